"""Write the tables of a record (report.md; summary, kruskal_wallis and ranks as CSV) and its figures: the
bootstrapped means coloured by rank (P_loss.png, MSS.png), and the P-loss over the steps (steps.png).
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from sonimatch.cli import words
from sonimatch.cli.told import check_output, csv_text, markdown_text, save_figure, write_text

HELP = "write the tables and figures of a record"
EXAMPLES = "  sonimatch study report results/paper.npz -o out"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("record", metavar="RECORD.npz", type=Path, help=words.RECORD_HELP)
    words.add_output_folder(parser)


def run(args: argparse.Namespace) -> None:
    study = words.record(args.record)
    names = ("report.md", "summary.csv", "kruskal_wallis.csv", "ranks.csv", "P_loss.png", "MSS.png", "steps.png")
    check_output(*(args.output / name for name in names), make_folder=True)

    from sonimatch import plots, stats

    summary = study.summary()
    shown = [
        {
            "synth": row["synth"],
            "loss": row["loss"],
            "trials": row["trials"],
            "P-loss at the start": f"{row['P_loss_start']:.4f}",
            "P-loss": f"{row['P_loss']:.4f} ± {row['P_loss_se']:.4f}",
            "MSS": f"{row['MSS']:.4f} ± {row['MSS_se']:.4f}",
            "solved": f"{row['solved']:.1%}",
            "out of range": row["out_of_range"],
            "not finite": row["not_finite"],
            "no score": row["no_score"],
        }
        for row in summary
    ]
    tests, ranks, notes, figures = [], [], [], []
    metrics: dict[Any, str] = {"P_loss": "P-loss", "MSS": "MSS"}
    for metric, name in metrics.items():
        means, published = {}, {}
        for synth in study.synths:
            try:
                scores = {loss: study.scores(synth, loss, metric) for loss in study.losses}
                test = stats.kruskal_wallis([*scores.values()])
                ranking, raw = stats.rank_losses(scores), stats.rank_losses(scores, resamples=0)
            except ValueError as error:
                notes.append(f"{synth}, {name}: no test and no ranks: {error}.")
                continue
            tests.append({"synth": synth, "metric": name, "H": test.H, "p": test.p})
            ranks.append({"synth": synth, "metric": name, "ranked": "means, as published"} | ranking)
            ranks.append({"synth": synth, "metric": name, "ranked": "trials"} | raw)
            means[synth] = {
                loss: stats.bootstrap_means(score, seed=i) for i, (loss, score) in enumerate(scores.items())
            }
            published[synth] = ranking
        if means:
            figures.append(f"{metric}.png")
            save_figure(args.output / figures[-1], plots.violins_figure(means, published, f"bootstrapped mean {name}"))
    if study.is_thinned:
        notes.append("The record has the ends of the paths only: no figure of the steps.")
    else:
        curves = {synth: {loss: study.P_loss(synth, loss, "path") for loss in study.losses} for synth in study.synths}
        figures.append("steps.png")
        save_figure(args.output / "steps.png", plots.progress_figure(curves))

    tables = {"summary.csv": summary, "kruskal_wallis.csv": tests, "ranks.csv": ranks}
    for file, rows in tables.items():
        write_text(args.output / file, csv_text(rows))
    text = f"""# {study.settings["name"]}

{args.record.name}: {words.origin(study.provenance)}; SHA-256 `{study.checksum}`.

## Scores

Means ± standard errors of the finite scores; solved: the share of trials that end with a P-loss of 0.05 or less.
Out of range: the trial ended with a parameter outside its range. Not finite: a loss or gradient on the way. No score:
the MSS is not finite.

{markdown_text(shown)}
## Differences between the losses

Kruskal–Wallis on the trials; a score that is not finite counts as the worst of its pair.

{markdown_text(tests)}
## Ranks

Scott–Knott effect size difference, 1 is best: of 1000 bootstrapped means (as published), and of the trials themselves.

{markdown_text(ranks)}
"""
    write_text(args.output / "report.md", "\n\n".join([text.rstrip(), *notes]) + "\n")
    print(markdown_text(shown), end="")
    for note in notes:
        print(note)
    print(f"wrote {args.output / 'report.md'}, {', '.join([*names[1:4], *figures])}")
