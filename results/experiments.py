"""The experiments behind the records in this folder, and the command that makes them again.

`python results/experiments.py` runs every experiment whose record is missing, or those that are named, one by one or by
the first word of several, as `searches`; `--list` lists them. The two published studies and the walks are stored with
the whole path of every trial, the races and all searches at equal evaluations with the best point so far at each
entry, the others with start and end.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from sonimatch.atlas import Atlas
from sonimatch.faust import FaustSynth
from sonimatch.features import RELEASED_STFT
from sonimatch.learn.recipe import RECIPES
from sonimatch.losses import JTFS, Averaged, DTW_Envelope, L1_Spec, Marginals, MSS_Spec, Scattering, SIMSE_Spec
from sonimatch.match import match_all
from sonimatch.scattering import JointScattering
from sonimatch.search import CMA_ES, LES, Adam, GradientDescent, LevenbergMarquardt, Race, RandomSearch, RMSProp
from sonimatch.search.race_from import RaceFrom
from sonimatch.study import PAPER, PRESETS, RACE, RELEASED, Experiment, run, save
from sonimatch.synths import RELEASED_SYNTHS, add_sinesaw, bp_noise, noise_am, sinesaw_am, subtractive
from sonimatch.types import Match, Problem

HERE = Path(__file__).parent
BUILD = HERE.parent / "build" / "study"
KNOBS = HERE.parent / "faust" / "knobs"
EVALUATIONS = 1000  # where searches are compared
SUBSET = 40  # trials where one thing is changed; trial i meets the same target and start as trial i of the preset

random_search = [
    replace(preset, name=f"random-{preset.name}", search=RandomSearch(), keep="best", trials=SUBSET)
    for preset in (PAPER, RELEASED)
]

# A bug in the ear: the released scattering with the right weights, in full.
corrected = replace(RELEASED, name="corrected", losses=(Scattering(),))

# What the text says and what the code ran: one thing at a time, from the text towards the code.
one_thing = [
    replace(PAPER, name="programs", synths=RELEASED_SYNTHS[1:], trials=SUBSET),
    replace(
        PAPER,
        name="stft",
        losses=(L1_Spec(stft=RELEASED_STFT), SIMSE_Spec(stft=RELEASED_STFT), DTW_Envelope(stft=RELEASED_STFT)),
        trials=SUBSET,
    ),
    replace(PAPER, name="clip", losses=(SIMSE_Spec(clip=True),), trials=SUBSET),
    replace(PAPER, name="weights", losses=(Scattering(released=True),), trials=SUBSET),
    replace(PAPER, name="single", synths=(replace(bp_noise, precision="single"),), trials=SUBSET),
    replace(
        PAPER, name="whole", whole_targets=RELEASED.whole_targets, whole_starts=RELEASED.whole_starts, trials=SUBSET
    ),
    replace(PAPER, name="scattering", losses=(Scattering(J=10, Q=2),), trials=SUBSET // 2),  # the text names neither
]

# The one pair whose means differ from the published ones, drawn twice more: another seed; every loss its own draw.
simse = tuple(loss for loss in RELEASED.losses if loss.name == "SIMSE_Spec")
redrawn = [
    replace(RELEASED, name=name, synths=RELEASED.synths[:1], losses=simse, **how)
    for name, how in {"another-seed": {"seed": 1}, "unpaired": {"paired": False}}.items()
]

# Locked noise: the target has a noise of its own.
own_noise = replace(PAPER, name="own-noise", synths=(bp_noise, noise_am), shared_noise=False, trials=2 * SUBSET)

# How much does the optimizer matter: for each synth the loss that suits it.
suited = {bp_noise: L1_Spec(), add_sinesaw: Scattering(), noise_am: DTW_Envelope(), sinesaw_am: DTW_Envelope()}
searches = {
    "slow": RMSProp(learning_rate=0.015),
    "fast": RMSProp(learning_rate=0.135),
    "unclipped": RMSProp(clip_norm=None),
    "bounded": RMSProp(bounded=True),
    "adam": Adam(),
    "descent": GradientDescent(),
}
optimizers = [
    replace(PAPER, name=f"{name}-{synth.name}", synths=(synth,), losses=(loss,), search=search, trials=SUBSET)
    for name, search in searches.items()
    for synth, loss in suited.items()
]
bounded = replace(PAPER, name="bounded", search=RMSProp(bounded=True), trials=SUBSET)

# A search that solves: 200 renderings each, of the same targets, and the same with noise of the target's own.
race = replace(RACE, name="race-Marginals", losses=(Marginals(),))
race_own = replace(race, name="race-own-noise", synths=(bp_noise, noise_am), shared_noise=False)
every_own = replace(race_own, name="race-losses-own-noise", losses=RACE.losses)
added = [
    replace(race, name="race-added", losses=(MSS_Spec(),)),
    replace(race_own, name="race-added-own-noise", losses=(MSS_Spec(),)),
]  # losses that came later; every pair meets the same targets


@dataclass(frozen=True)
class Several(Experiment):
    """The candidate is heard with so many noises, and its features are their mean; each noise is an evaluation."""

    noises: int = 4

    def match(self, synth: Any, loss: Any, problems: Problem) -> Match:
        return match_all(synth.noises(self.noises), Averaged(loss), problems, self.search, self.steps)


both = replace(race_own, losses=(L1_Spec(), Marginals()), trials=SUBSET)
averaged = [Several(**vars(replace(both, name=f"averaged-{n}", steps=n - 1))) for n in (50, 200)]


# Every search at equal evaluations, each counted strictly.
@dataclass(frozen=True)
class Charted(Experiment):
    """Races from the nearest points of an atlas of so many candidates, whose renderings are not among the evaluations:
    they are paid once for all trials of a pair."""

    candidates: int = 4096

    def match(self, synth: Any, loss: Any, problems: Problem) -> Match:
        atlas = Atlas.of(synth, loss, self.candidates, progress=False)
        found = [
            atlas.match(target, self.steps + 1, search=self.search, key=key, progress=False)  # pyright: ignore[reportArgumentType]
            for target, key in zip(problems.target, problems.key, strict=True)
        ]
        return jax.tree.map(lambda *leaves: jnp.stack(leaves), *found)


compared = {
    "race": Race(),
    "cma-es": CMA_ES(),
    "les": LES(),
    "levenberg": LevenbergMarquardt(),
    "rmsprop": RMSProp(),
    "adam": Adam(),
    "random": RandomSearch(),
    "atlas": RaceFrom(),
}
searched = [
    (Charted if name == "atlas" else Experiment)(
        name=f"searches-{name}", losses=(Marginals(),), search=search, steps=EVALUATIONS // search.cost(2) - 1,
        trials=SUBSET, keep="best",
    )
    for name, search in compared.items()
]  # fmt: skip
searched += [replace(searched[3], name="searches-levenberg-L1", losses=(L1_Spec(),))]

# More than two parameters: three and five, and eight and twelve with five times the evaluations.
chirplet, reed, fm_pair = (FaustSynth.from_faust(KNOBS / f"{name}.dsp") for name in ("chirplet", "reed", "fm_pair"))
knobs = [
    Experiment(
        name=f"{group}-{name}", synths=synths, losses=(Marginals(),), search=compared[name], steps=evaluations - 1,
        trials=trials, keep="best",
    )
    for group, synths, evaluations, trials in (
        ("knobs", (chirplet, reed), EVALUATIONS, SUBSET),
        ("many", (fm_pair, subtractive), 5 * EVALUATIONS, SUBSET // 2),
    )
    for name in ("race", "cma-es", "les", "random")
]  # fmt: skip

# Gauss and Newton by ear: least squares on joint scattering beside searches that need no slope, and the published one,
# with 100 evaluations for each parameter.
hearing = {
    "four": (PAPER.synths, JointScattering(13, (4, 1), T="global", epsilon=1e-3)),
    **{made.synth.name: ((made.synth,), made.phi) for made in RECIPES if made.scale == "cpu"},
}
by_ear = [
    Experiment(
        name=f"ear-{group}-{name}", synths=synths, losses=(JTFS(transform=phi, order=2),), search=compared[name],
        steps=100 * len(synths[0].space) // compared[name].cost(len(synths[0].space)) - 1, trials=SUBSET // 4,
        keep="best",
    )
    for group, (synths, phi) in hearing.items()
    for name in ("levenberg", "rmsprop", "race")
]  # fmt: skip


@dataclass(frozen=True)
class Walks(Experiment):
    """One trial of each pair, from a start to a target that are chosen: `(synth, target, start)`, physical values."""

    chosen: tuple[tuple[str, tuple[float, ...], tuple[float, ...]], ...] = ()

    def draw(self, synth: Any, loss: Any, trials: Sequence[int]) -> Problem:
        ((target, start),) = (ends for name, *ends in self.chosen if name == synth.name)
        problem = super().draw(synth, loss, trials)
        truth, begin = (jnp.tile(synth.space.theta(dict(zip(synth.space.names, point, strict=True))), (len(trials), 1))
                        for point in (target, start))  # fmt: skip
        sounds = jnp.stack([synth(theta) for theta in truth])
        return replace(problem, target=sounds, theta_true=truth, theta_init=begin)


# One match, step by step: what is told of a walk is read from here, for a search may walk elsewhere on other machines.
walks = Walks(
    name="walks",
    synths=(bp_noise, sinesaw_am),
    losses=(L1_Spec(), SIMSE_Spec()),
    trials=1,
    chosen=(("bp_noise", (335, 72), (905, 25)), ("sinesaw_am", (314, 12), (980, 17))),
)

EXPERIMENTS: tuple[Experiment, ...] = (
    *PRESETS, *random_search, corrected, *one_thing, own_noise, *redrawn, bounded, *optimizers, walks, race, race_own,
    every_own, *added, *averaged, *searched, *knobs, *by_ear,
)  # fmt: skip


def main(names: list[str]) -> None:
    known = {experiment.name: experiment for experiment in EXPERIMENTS}
    paid = {RACE, race, race_own, every_own, *added, *averaged, *searched, *knobs, *by_ear}  # budgets in evaluations
    if names == ["--list"]:
        for name, experiment in known.items():
            print(f"{name}: {len(experiment.pairs)} pairs, {experiment.trials} trials, {experiment.search.name}")
        return
    groups = {name: [other for other in known if other.startswith(f"{name}-")] for name in names if name not in known}
    if unknown := [name for name, group in groups.items() if not group]:
        sys.exit(f"no experiment {unknown[0]!r} (there are: {', '.join(known)})")
    for name in [one for word in names for one in groups.get(word, [word])] or known:
        if names or not (HERE / f"{name}.npz").is_file():
            study = run(known[name], BUILD)
            whole, raced = known[name] in (PAPER, RELEASED, walks), known[name] in paid
            save(study if whole else study.best_so_far() if raced else study.thinned(), HERE / f"{name}.npz")


if __name__ == "__main__":
    main(sys.argv[1:])
