"""Train a network to guess the parameters of a synthesizer from its sound: `sonimatch predict` then asks it.
Sounds, their pictures and, for PNP, the metric at each of them are computed once and kept in the folder of --data; the
network, its optimizer and the history of its losses are kept in DIR after every epoch. Stop it at any moment: the same
command goes on from there, and ends with the same network. At the end the guesses for the test set, which no training
saw, are scored into scores.json.
Needs the packages of `pip install 'sonimatch[learn]'`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from sonimatch.cli import told, words

HELP = "train a network to guess parameters from a sound"
EXAMPLES = """\
  sonimatch train --synth drum --objective p-loss -o drum
  sonimatch train --synth arpeggiator --objective p-pnp --seed 1 -o arpeggio"""

# Known before JAX is loaded; `sonimatch.learn.recipe` has the same.
SYNTHS, SCALES = ("arpeggiator", "drum"), ("cpu", "paper")
OBJECTIVES = ("p-loss", "ddsp", "p-ddsp", "pnp", "p-pnp", "paths")


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--synth", metavar="S", type=_one_of("synth", SYNTHS), required=True, help=" or ".join(SYNTHS))
    parser.add_argument(
        "--objective", metavar="O", type=_one_of("objective", OBJECTIVES), required=True,
        help=f"{', '.join(OBJECTIVES)}: distance of parameters (p), of spectrograms (ddsp), by the metric "
        "(pnp), the first before another (p-), or in the joint scattering from random paths",
    )  # fmt: skip
    parser.add_argument(
        "--scale", metavar="C", type=_one_of("scale", SCALES), default="cpu",
        help="cpu: two cores, minutes; paper: as published, for a GPU (cpu)",
    )  # fmt: skip
    parser.add_argument("--seed", metavar="N", type=words.at_least(0, 2**31 - 1), default=0, help="of the network (0)")
    parser.add_argument("--data", metavar="DIR", type=Path, help="where sounds are kept (the cache folder of the user)")
    parser.add_argument("-o", "--output", metavar="DIR", type=Path, required=True, help="the folder of the run")


def _one_of(kind: str, legal: tuple[str, ...]) -> Callable[[str], str]:
    return lambda word: words.nearest(kind, word, legal)


def run(args: argparse.Namespace) -> None:
    try:
        import flax  # noqa: F401
    except ModuleNotFoundError:
        raise words.InputError("training needs Flax: pip install 'sonimatch[learn]'") from None
    import numpy as np
    import platformdirs

    from sonimatch.learn import DataError
    from sonimatch.learn.recipe import recipe

    found = recipe(args.synth, args.scale)
    data = args.data or platformdirs.user_cache_path("sonimatch", appauthor=False) / "learn"
    corpus = found.corpus
    print(f"{found.name}, {args.objective}, seed {args.seed}: {len(corpus)} sounds, {found.epochs} epochs")
    print(f"data in {data}", flush=True)
    try:
        told.check_output(data / "data", make_folder=True)
        model, history = found.fit(args.objective, args.output, data, seed=args.seed)
        rows = found.rows(args.objective, data, progress=False)
    except DataError as error:
        raise words.InputError(str(error)) from None
    last, test = history[-1], corpus.parts["test"]
    print(f"validation loss {history[0]['validation']:.4g} after the first epoch, {last['lowest']:.4g} at its lowest")
    if not np.isfinite(last["lowest"]):
        raise words.FailedError("no validation loss of the last phase is finite: nothing was learned")
    scored = found.scored(model, rows, test)
    middle = float((rows["nu"][test] ** 2).sum(1).mean())
    record = {name: float(values.mean()) for name, values in scored._asdict().items() if name != "theta"}
    told.write_json(args.output / "scores.json", record | {"sounds": len(test), "p_loss_of_the_middle": middle})
    print(f"test set, {len(test)} sounds, on average: P-loss {record['p_loss']:.4g} (the middle of all ranges: "
          f"{middle:.4g}), JTFS distance {record['jtfs']:.4g}, MSS {record['mss']:.4g}")  # fmt: skip
    print(f"ask it: sonimatch predict {args.output} sound.wav")
