"""Tell for every study in DIR, finished or not, how many trials of each pair are done, and what is damaged."""

from __future__ import annotations

import argparse

from sonimatch.cli import words

HELP = "tell what a folder holds"
EXAMPLES = "  sonimatch study status -o results"


def arguments(parser: argparse.ArgumentParser) -> None:
    words.add_output_folder(parser, "results", "the folder of records")


def run(args: argparse.Namespace) -> None:
    from sonimatch import study

    if not (found := study.status(args.output)):
        raise words.InputError(f"{args.output} holds no study")
    for path, settings, provenance, done, damaged in found:
        if settings:
            told = study.origin(provenance) if provenance else "not finished; `study run` continues it"
            print(f"{path}: {told}")
            for (synth, loss), number in done.items():
                print(f"  {synth}, {loss}: {number} of {settings['trials']} trials")
        for message in damaged:
            print(message + ("; `study run` runs it again" if settings else ""))
