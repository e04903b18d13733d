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


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("record", metavar="RECORD.npz", type=Path, help=words.RECORD_HELP)
    parser.add_argument("--csv", metavar="FILE", type=Path, required=True, help="the file to write")


def run(args: argparse.Namespace) -> None:
    study = words.record(args.record)
    check_output(args.csv, spare=(args.record,))
    rows = study.table()
    write_text(args.csv, csv_text(rows))
    print(f"wrote {args.csv}: {len(rows)} trials")
