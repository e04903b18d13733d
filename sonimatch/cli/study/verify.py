"""Run a random sample of a record again and compare: all to the last bit, as on the machine that made it; or
within rounding, that is targets and starts within 0.001 of the range, and losses at all stored points and
scores within 1%, for a search that rounds differently may walk elsewhere. Exit status 1 otherwise.
For records whose synths, losses and search the package has.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from sonimatch.cli import words
from sonimatch.cli.told import markdown_text

HELP = "run a random sample of a record again"
EXAMPLES = "  sonimatch study verify results/paper.npz --per-pair 2 --seed 1"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("record", metavar="RECORD.npz", type=Path, help=words.RECORD_HELP)
    parser.add_argument("--per-pair", metavar="N", type=words.at_least(1), default=1, help="trials of each pair (1)")
    parser.add_argument("--seed", metavar="N", type=words.at_least(0), default=0, help="another sample (0)")


def run(args: argparse.Namespace) -> None:
    from sonimatch import study

    record = words.record(args.record)
    try:
        rows = study.verify(record, per_pair=args.per_pair, seed=args.seed)
    except study.StudyError as error:
        raise words.InputError(f"{args.record} cannot be run again: {error}") from None
    print(markdown_text([row._asdict() for row in rows]), end="")
    if all(row.equal for row in rows):
        print(f"equal to the last bit: {len(rows)} trials")
        return
    if bad := [row for row in rows if not row.is_within_rounding]:
        raise words.FailedError(
            f"{args.record} is not what its experiment gives: {len(bad)} of {len(rows)} trials differ"
        )
    print(f"equal within rounding: {len(rows)} trials, in their draws, in the losses on their way and in their score")
