"""Compile and run a Faust program in all three engines, and compare every derivative with differences of its sound."""

from __future__ import annotations

import argparse

from sonimatch.cli import told, words

HELP = "say what of a Faust program can be matched, and what to do instead where it cannot"
EXAMPLES = """\
  sonimatch check ./my_synth.dsp
  sonimatch check ./my_synth.dsp cutoff=800 --switch gate=0.4 --json"""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("synth", metavar="FILE.dsp", type=words.synth_name, help=words.SYNTH_HELP)
    parser.add_argument("values", metavar="name=value", nargs="*", help="where to look (near the default)")
    words.add_synth_settings(parser)
    parser.set_defaults(seconds=0.1)
    parser.add_argument("--json", action="store_true", help="print the same as JSON")


def run(args: argparse.Namespace) -> None:
    from dataclasses import asdict

    synth = words.synth(args.synth, args)
    found = synth.check(words.theta(synth, args.values) if args.values else None)
    print(told.json_text(asdict(found)) if args.json else found, end="" if args.json else "\n")
