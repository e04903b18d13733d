"""Sample trials of a record and write DIR/listening_test, the folder for the raters: a page that works
from the disk and the sounds of target and match, at one level, under random names; and DIR/key.json, which
says what each of them is, for nobody but the experimenter. For records whose synths, losses and search the
package has.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from sonimatch.cli import words
from sonimatch.cli.told import check_output

HELP = "write the folder for the raters, and the key"
EXAMPLES = "  sonimatch listen build --study results/paper.npz --per-pair 40 --seed 0 -o listening"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--study", metavar="RECORD.npz", type=Path, required=True, help=words.RECORD_HELP)
    parser.add_argument(
        "--per-pair", metavar="N", type=words.at_least(1), default=40, help="trials of each pair (40, as published)"
    )
    parser.add_argument("--seed", metavar="N", type=words.at_least(0), default=0, help="another sample (0)")
    parser.add_argument("--opus", action="store_true", help="smaller files, not quite the sounds (FLAC)")
    parser.add_argument("-o", "--output", metavar="DIR", type=Path, required=True, help="the folder to write to")


def run(args: argparse.Namespace) -> None:
    record = words.record(args.study)

    from sonimatch import listening
    from sonimatch.study import StudyError

    try:
        from sonimatch.widgets.listening_test import rater_page
    except ImportError as error:
        raise words.InputError(f"the page of the test needs {error.name}; install sonimatch[book]") from None
    check_output(args.output / listening.KEY, make_folder=True)

    kind = "opus" if args.opus else "flac"
    try:
        key = listening.build(record, args.output, rater_page, args.per_pair, args.seed, kind)
    except (StudyError, listening.ListeningError) as error:
        raise words.InputError(str(error)) from None
    raters, secret = args.output / listening.FOLDER, args.output / listening.KEY
    size = sum(path.stat().st_size for path in raters.rglob("*") if path.is_file()) / 1e6
    print(
        f"{raters}: {len(key.items)} pairs of sounds, {size:.1f} MB; send this folder to the raters, who open its "
        f"index.html and send a file back\n"
        f"{secret}: the key, which says what each sound is; keep it, and show it to no rater\n"
        f"put the raters' files beside the key, then: sonimatch listen score {args.output}"
    )
