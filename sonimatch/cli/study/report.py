"""Write the tables of a record (report.md; summary, kruskal_wallis and ranks as CSV) and its figures: the
bootstrapped means coloured by rank (P_loss.png, MSS.png), and the P-loss over the steps (steps.png).
"""

from __future__ import annotations

import argparse
from pathlib import Path

from sonimatch.cli import words
from sonimatch.cli.told import check_output, csv_text, markdown_text, save_figure, write_text

HELP = "write the tables and figures of a record"
EXAMPLES = "  sonimatch study report results/paper.npz -o out"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("record", metavar="RECORD.npz", type=Path, help=words.RECORD_HELP)
    words.add_output_folder(parser)


def run(args: argparse.Namespace) -> None:
    record = words.record(args.record)
    names = ("report.md", "summary.csv", "kruskal_wallis.csv", "ranks.csv", "P_loss.png", "MSS.png", "steps.png")
    check_output(*(args.output / name for name in names), make_folder=True)

    from sonimatch import plots
    from sonimatch.study import METRICS, origin, report

    found, figures, notes = report(record), {}, []
    for metric, name in METRICS.items():
        if means := found.means.get(metric):
            label = f"bootstrapped mean {name}"
            figures[f"{metric}.png"] = plots.violins_figure(means, found.published[metric], label)
    if record.is_thinned:
        notes.append("The record has the ends of the paths only: no figure of the steps.")
    else:
        paths = {synth: {loss: record.P_loss(synth, loss, "path") for loss in record.losses} for synth in record.synths}
        figures["steps.png"] = plots.progress_figure(paths)
    for name, figure in figures.items():
        save_figure(args.output / name, figure)
    tables = dict(zip(names[1:4], (record.summary(), found.tests, found.ranks), strict=True))
    for name, rows in tables.items():
        write_text(args.output / name, csv_text(rows))
    text = f"""# {record.settings["name"]}

{args.record.name}: {origin(record.provenance)}; SHA-256 `{record.checksum}`.

## Scores

Means ± standard errors of the finite scores; solved: the share of trials that end with a P-loss of 0.05 or less.
Out of range: the trial ended with a parameter outside its range. Not finite: a loss or gradient on the way. No score:
the MSS is not finite.

{markdown_text(found.scores)}
## Differences between the losses

Kruskal–Wallis on the trials; a score that is not finite counts as the worst of its pair.

{markdown_text(found.tests)}
## Ranks

Scott–Knott effect size difference, 1 is best: of 1000 bootstrapped means (as published), and of the trials themselves.

{markdown_text(found.ranks)}
"""
    notes = [*found.notes, *notes]
    write_text(args.output / "report.md", "\n\n".join([text.rstrip(), *notes]) + "\n")
    print(markdown_text(found.scores), end="")
    for note in notes:
        print(note)
    print(f"wrote {args.output / 'report.md'}, {', '.join([*tables, *figures])}")
