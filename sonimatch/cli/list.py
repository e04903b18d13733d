"""Show the synthesizers with their parameters, ranges, units, warps and defaults, the losses and the searches."""

from __future__ import annotations

import argparse
import json

from sonimatch.cli.told import settings

HELP = "show the synthesizers, losses and searches"
EXAMPLES = "  sonimatch list"


def arguments(_: argparse.ArgumentParser) -> None:
    """There are none."""


def run(_: argparse.Namespace) -> None:
    from sonimatch.losses import LOSSES
    from sonimatch.search import SEARCHES
    from sonimatch.synths import PNP_SYNTHS, SYNTHS

    print("Synths (or the path of a .dsp file of yours):")
    for synth in (*SYNTHS, *PNP_SYNTHS):
        space = synth.space
        alone = "   (one parameter: for landscapes)" if len(space) == 1 else ""
        print(f"  {synth.name}   {synth.num_samples / synth.sample_rate:g} s at {synth.sample_rate} Hz{alone}")
        for name, low, high, unit, warp, default in zip(
            space.names, space.low, space.high, space.unit, space.warp, space.default, strict=True
        ):
            print(f"    {name:12} {low:g} to {high:g} {unit}".ljust(38) + f"{warp}, default {default:g}")
    for title, things in (("Losses", LOSSES), ("Searches", SEARCHES)):
        print(f"\n{title}:")
        for thing in things:
            print(f"  {thing.name}")
            for name, value in settings(thing).items():
                print(f"    {name:15} {json.dumps(value)}")
