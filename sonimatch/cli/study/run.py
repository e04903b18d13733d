"""Run a study and write DIR/NAME.npz. It can be interrupted or killed at any moment: the same command
continues it, and gives the same result to the last bit. NAME is that of the preset, followed by what
differs from it: trials and steps as 20x50, seed1, unpaired, independent, and the chosen synths and losses.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from sonimatch.cli import words
from sonimatch.cli.told import check_output
from sonimatch.cli.words import InputError, nearest

if TYPE_CHECKING:
    from sonimatch.study import Experiment
    from sonimatch.types import Loss, Synth

HELP = "run a study, or continue it"
EXAMPLES = """\
  sonimatch study run
  sonimatch study run --preset released --unpaired --workers 4
  sonimatch study run --trials 20 --steps 50               (writes results/paper-20x50.npz)
  sonimatch study run --pairs bp_noise,L1_Spec,SIMSE_Spec
  sonimatch study run --pairs bp_noise:L1_Spec,noise_am:L1_Spec"""


def arguments(parser: argparse.ArgumentParser) -> None:
    whole = words.at_least
    parser.add_argument(
        "--preset", metavar="P", default="paper", help="paper, the published text, released, its code, or race (paper)"
    )
    parser.add_argument("--trials", metavar="N", type=whole(1), help="trials of each pair (those of the preset)")
    parser.add_argument("--steps", metavar="N", type=whole(1), help="updates of each trial (those of the preset)")
    parser.add_argument("--seed", metavar="N", type=whole(0), help="other targets and starts (that of the preset)")
    parser.add_argument(
        "--pairs", metavar="A,B,...", help="SYNTH:LOSS, SYNTH or LOSS, between commas; together a full table (all)"
    )
    parser.add_argument("--unpaired", action="store_true", help="every loss draws targets and starts of its own")
    parser.add_argument("--independent-noise", action="store_true", help="targets have noise of their own")
    parser.add_argument("--workers", metavar="N", type=whole(1), help="processes of one core each (all cores)")
    words.add_output_folder(parser, "results", "the folder of records")


def run(args: argparse.Namespace) -> None:
    from sonimatch import study

    experiment = _experiment(args)
    path = args.output / f"{experiment.name}.npz"
    check_output(path, make_folder=True)
    print(
        f"{experiment.name}: {len(experiment.synths)} synths × {len(experiment.losses)} losses × "
        f"{experiment.trials} trials of {experiment.steps} steps, seed {experiment.seed}",
        flush=True,
    )
    try:
        found = study.run(experiment, args.output, workers=args.workers)
    except study.StudyError as error:
        raise InputError(str(error)) from None
    except KeyboardInterrupt:
        raise KeyboardInterrupt("interrupted; the same command continues") from None
    print(f"{path}: {study.origin(found.provenance)}; SHA-256 {found.checksum}")


def _experiment(args: argparse.Namespace) -> Experiment:
    """The preset with what the words change; a change changes the name too, so that no record is taken for another."""
    from dataclasses import replace

    from sonimatch import study

    presets = {preset.name: preset for preset in study.PRESETS}
    preset = presets[nearest("preset", args.preset.lower(), tuple(presets))]
    synths, losses = _pairs(args.pairs, preset)
    numbers = {name: getattr(args, name) for name in ("trials", "steps", "seed") if getattr(args, name) is not None}
    paired, shared = preset.paired and not args.unpaired, preset.shared_noise and not args.independent_noise
    changed = replace(preset, synths=synths, losses=losses, paired=paired, shared_noise=shared, **numbers)
    parts = {
        f"{changed.trials}x{changed.steps}": (changed.trials, changed.steps) != (preset.trials, preset.steps),
        f"seed{changed.seed}": changed.seed != preset.seed,
        "unpaired": paired != preset.paired,
        "independent": shared != preset.shared_noise,
        "-".join(synth.name for synth in synths): synths != preset.synths,
        "-".join(loss.name for loss in losses): losses != preset.losses,
    }
    return replace(changed, name="-".join([preset.name, *(word for word, said in parts.items() if said)]))


def _pairs(text: str | None, preset: Experiment) -> tuple[tuple[Synth, ...], tuple[Loss, ...]]:
    """The synths and losses of `SYNTH:LOSS`, `SYNTH` and `LOSS`, between commas."""
    synths, losses = {synth.name: synth for synth in preset.synths}, {loss.name: loss for loss in preset.losses}
    given = text.split(",") if text else []
    pairs = [tuple(word.split(":", 1)) for word in given if ":" in word]
    alone = [nearest("synth or loss", word, (*synths, *losses)) for word in given if ":" not in word]
    wanted = {(nearest("synth", synth, tuple(synths)), nearest("loss", loss, tuple(losses))) for synth, loss in pairs}
    if alone or not given:
        some_synths, some_losses = ([word for word in alone if word in known] for known in (synths, losses))
        wanted |= {(synth, loss) for synth in some_synths or synths for loss in some_losses or losses}
    rows, columns = ([name for name in known if any(name in pair for pair in wanted)] for known in (synths, losses))
    if missing := [f"{synth}:{loss}" for synth in rows for loss in columns if (synth, loss) not in wanted]:
        raise InputError(
            f"--pairs {text}: a study has every synth with every loss; {', '.join(missing)} would be missing: "
            f"add them, or run one study for each synth"
        )
    return tuple(synths[name] for name in rows), tuple(losses[name] for name in columns)
