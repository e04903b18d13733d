"""Read the files that raters saved and the key: rank correlation of each two raters, Kendall's W and ICC(3,1),
for all sounds and by synth; whether the losses differ; mean score and rank of each loss.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from sonimatch.cli import words
from sonimatch.cli.told import check_output, csv_text, markdown_text, write_text

HELP = "agreement of the raters, tests and ranks"
EXAMPLES = """\
  sonimatch listen score listening
  sonimatch listen score listening/*.json --csv scores.csv
  sonimatch listen score anna.json ben.json --key listening/key.json"""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", metavar="FILE", type=Path, nargs="+", help="ratings, or a folder of them")
    parser.add_argument("--key", metavar="KEY", type=Path, help="the key (the one among the files)")
    parser.add_argument(
        "--csv", metavar="FILE", type=Path, help="also write every score with its synth, loss and trial"
    )


def run(args: argparse.Namespace) -> None:
    from sonimatch import listening

    paths = [path for word in args.files for path in (sorted(word.glob("*.json")) if word.is_dir() else [word])]
    try:
        read = [listening.read(path) for path in paths]
        keys = [found for found in read if isinstance(found, listening.Key)]
        if args.key:
            found = listening.read(args.key)
            keys = [found] if isinstance(found, listening.Key) else []
        if len(keys) != 1:
            raise words.InputError(f"there are {len(keys)} keys; name the one that `listen build` wrote with --key")
        ratings = [found for found in read if isinstance(found, listening.Ratings)]
        found = listening.analyse(ratings, keys[0])
    except listening.ListeningError as error:
        raise words.InputError(str(error)) from None
    if args.csv:
        check_output(args.csv)
        items = keys[0].items
        rows = [
            {"rater": one.rater, "item": name} | items[name]._asdict() | {"score": score}
            for one in ratings
            for name, score in one.scores.items()
        ]
        write_text(args.csv, csv_text(rows))
    for one in ratings:
        print(f"{one.rater}: {len(one.scores)} of {len(keys[0].items)} pairs of sounds scored")
    if found.left_out:
        print(f"left out: {found.left_out} pairs of sounds that not everybody scored")
    print()
    for title, rows in (
        ("Agreement of the raters; value, 95 % interval and p of its absence", found.agreement),
        ("Do the losses differ? Kruskal–Wallis on all scores, as published, and on one score per sound", found.tests),
        ("Mean scores and ranks, 1 is best: of bootstrapped means, as published, and of sounds", found.ranks),
    ):
        if rows:
            print(f"{title}\n\n{markdown_text(rows)}")
