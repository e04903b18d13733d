"""Write a CSV file with a row for each trial: target, start and end in physical units (at the nearer end of
the range where they lie outside), P-loss and loss value at start and end, the lowest value if the record
has it, and the MSS.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from sonimatch.cli import words
from sonimatch.cli.told import check_output, csv_text, write_text

HELP = "write the trials of a record as a table"
EXAMPLES = "  sonimatch study export results/paper.npz --csv paper.csv"

_POINTS = ("true", "start", "end")


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("record", metavar="RECORD.npz", type=Path, help=words.RECORD_HELP)
    parser.add_argument("--csv", metavar="FILE", type=Path, required=True, help="the file to write")


def run(args: argparse.Namespace) -> None:
    study = words.record(args.record)
    check_output(args.csv, spare=args.record)

    import numpy as np

    rows = []
    for (synth, loss), trials in study.trials.items():
        space = study.space(synth)
        points = [np.asarray(space.to_physical(theta)) for theta in (trials.theta_true, trials.start, trials.end)]
        P_loss = [study.P_loss(synth, loss, when) for when in ("start", "end")]
        best = np.where(np.isfinite(trials.value), trials.value, np.inf).min(1)
        for i, kept in enumerate(trials.kept):
            row = {"synth": synth, "loss": loss, "trial": i}
            for column, (name, unit) in enumerate(zip(space.names, space.unit, strict=True)):
                row[f"parameter_{column}"] = f"{name} ({unit})" if unit else name
                row |= {f"{what}_{column}": point[i, column] for what, point in zip(_POINTS, points, strict=True)}
            row |= {"P_loss_start": P_loss[0][i], "P_loss_end": P_loss[1][i], "MSS": trials.MSS[i]}
            row |= {"value_start": trials.value[i, 0], "value_end": trials.value[i, kept]}
            row |= {} if study.is_thinned else {"value_best": best[i]}
            row |= {"ok": int(trials.ok[i]), "out_of_range": int(trials.out_of_range[i])}
            rows.append(row)
    write_text(args.csv, csv_text(rows))
    print(f"wrote {args.csv}: {len(rows)} trials")
