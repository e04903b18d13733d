"""A stored match, step by step: where the search is, what it sees, and how it sounds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import traitlets
from numpy.typing import ArrayLike

from sonimatch.faust import FaustSynth
from sonimatch.landscape import Landscape
from sonimatch.metrics import P_loss
from sonimatch.plots import Figure, heatmaps_figure, search_figure
from sonimatch.study import Study, Trials, experiment_of
from sonimatch.widgets.element import Element, compact, program, settings_text, start
from sonimatch.widgets.landscape_scrubber import colors, label


class Seen(NamedTuple):
    """What a search saw: `theta [T, P]`, `value [T]`, `grad_norm [T]`."""

    theta: np.ndarray
    value: np.ndarray
    grad_norm: np.ndarray

    @classmethod
    def of(cls, name: str, trial: Any, count: int) -> Seen:
        """That of a trajectory, a match or alike, with `count` parameters; ValueError where it does not fit."""
        seen = getattr(trial, "trajectory", trial)
        path = cls(*(np.asarray(getattr(seen, key), np.float32) for key in cls._fields))
        length = len(path.theta)
        if path.theta.shape != (length, count) or length < 2 or {each.shape for each in path[1:]} != {(length,)}:
            raise ValueError(
                f"{name} has theta {path.theta.shape}, value {path.value.shape}, grad_norm {path.grad_norm.shape}; "
                f"they must be (T, {count}), (T,), (T,) with T of 2 or more, one trial at a time"
            )
        if not np.isfinite(path.theta).all():
            raise ValueError(f"the path of {name} is not finite at step {np.isfinite(path.theta).all(1).argmin()}")
        return path


def check_grids(maps: Mapping[str, Landscape], synth: FaustSynth) -> None:
    """ValueError for landscapes that are not on the same even steps over all one or two parameters of `synth`."""
    count, steps = len(synth.space), {np.shape(surface.value) for surface in maps.values()}
    if maps and not 1 <= count <= 2:
        raise ValueError(f"a landscape has one or two parameters; {synth.name} has {count}")
    if len(steps) > 1:
        raise ValueError(f"the landscapes have {' and '.join(map(str, steps))} points; all must have the same")
    for name, surface in maps.items():
        (sizes,) = steps
        if len(sizes) != count or min(sizes) < 2:
            raise ValueError(f"the landscape of {name} has shape {sizes}, not {count} axes of 2 or more points")
        even = np.stack(np.meshgrid(*(np.linspace(0, 1, size) for size in sizes), indexing="ij"), -1)
        if np.shape(surface.theta) != even.shape or not np.allclose(surface.theta, even, atol=1e-5):
            raise ValueError(f"the landscape of {name} must stand on even steps from 0 to 1")
        if np.shape(surface.gradient) != even.shape:
            raise ValueError(f"the landscape of {name} has gradients {np.shape(surface.gradient)}, not {even.shape}")


def maps_figure(
    synth: FaustSynth, maps: Mapping[str, Landscape], target: ArrayLike, paths: Mapping[str, ArrayLike]
) -> Figure:
    """`plots.heatmaps_figure` of landscapes over two parameters, with `target [2]` and `paths [T, 2]` in the cube."""
    names = [label(synth.space, name) for name in synth.space.names]

    def physical(theta: ArrayLike) -> np.ndarray:
        return np.asarray(synth.space.to_physical(np.asarray(theta, np.float32)))

    points, (x, y) = physical(next(iter(maps.values())).theta), physical(target)
    axes = (names[0], points[:, 0, 0]), (names[1], points[0, :, 1])
    walks = {name: physical(path) for name, path in paths.items()}
    return heatmaps_figure({name: each.value for name, each in maps.items()}, *axes, (x, y), walks)


class Replay(Element):
    """One slider is the step of a search; several searches stand side by side.

    `trials` maps a name, of a loss as a rule, to what its search saw: a `Trajectory`, a `Match`, or anything with
    `theta [T, P]` in the unit cube, `value [T]` and `grad_norm [T]`; a search that ended earlier rests at its last
    entry. `target`: physical values, where what is not named stands at its default, or `theta [P]`.
    `landscapes` of a synth of one or two parameters, by the same names, lie under the paths. Of each path the page
    keeps every `every`-th step, and the last.
    With a kernel `step` (0 to `last`), `trial` (the name of the one that is heard) and `theta` (where it is) follow
    the hand and move it; a `step` that is not kept becomes the one before, a `theta` the nearest of the path.
    Raises ValueError for no trial, wrong shapes, paths that are not finite, landscapes that do not fit, `every < 1`,
    and a target that the synth does not have. Shown in notebooks/one_match.md and notebooks/experiment.md.
    """

    shared = ("maps.js",)
    script = "replay.js"
    step = traitlets.Int(0).tag(sync=True)
    trial = traitlets.Unicode().tag(sync=True)

    def __init__(
        self,
        synth: FaustSynth,
        trials: Mapping[str, Any],
        target: Mapping[str, float] | ArrayLike,
        landscapes: Mapping[str, Landscape] | None = None,
        every: int = 1,
    ) -> None:
        if every < 1:
            raise ValueError(f"every must be 1 or more, not {every}")
        if not trials:
            raise ValueError("a replay needs at least one trial; there is none")
        self.synth, self.every, self.landscapes = synth, every, dict(landscapes or {})
        self.trials = {name: Seen.of(name, trial, len(synth.space)) for name, trial in trials.items()}
        self.last = max(len(trial.value) for trial in self.trials.values()) - 1
        if isinstance(target, Mapping):
            self.target = np.array(start(synth.space, target))
        else:
            self.target = np.asarray(target, float)
        if self.target.shape != (len(synth.space),) or not np.isfinite(self.target).all():
            raise ValueError(f"target must be {len(synth.space)} finite numbers for {synth.name}, not {target}")
        if unknown := [name for name in self.landscapes if name not in self.trials]:
            raise ValueError(f"a landscape for {unknown[0]!r}, which is no trial (there are: {', '.join(self.trials)})")
        check_grids(self.landscapes, synth)
        data = {
            "id": f"replay-{synth.name}",
            "program": program(synth),
            "target": self.target.tolist(),
            "every": every,
            "trials": [
                {"name": name, "color": color, "last": len(self.trials[name].value) - 1}
                | {key: compact(array[self._kept(name)]) for key, array in self.trials[name]._asdict().items()}
                for name, color in colors(self.trials).items()
            ],
            "maps": {
                name: {"shape": np.shape(surface.value), "value": compact(surface.value)}
                for name, surface in self.landscapes.items()
            },
        }
        first = next(iter(self.trials))
        super().__init__(data=data, theta=self._at(first, 0), trial=first)

    @classmethod
    def of_study(
        cls,
        study: Study,
        synth_name: str,
        trial: int,
        losses: Sequence[str] | None = None,
        synth: FaustSynth | None = None,
        **settings: Any,
    ) -> Replay:
        """Trial number `trial` of a stored study, for all of its losses or those named.

        `synth` is the program that was run, when it is not in the catalogues; `settings` go to `Replay`.
        Raises ValueError for what the study does not have (a synth, a loss, a trial, the paths), for losses that had
        targets of their own, and for another program.
        """
        if synth_name not in study.synths:
            raise ValueError(f"no synth {synth_name!r} in the study (there are: {', '.join(study.synths)})")
        for loss in losses or ():
            if loss not in study.losses:
                raise ValueError(f"no loss {loss!r} in the study (there are: {', '.join(study.losses)})")
        if study.is_thinned:
            raise ValueError(f"the study {study.settings['name']} has no paths, only their ends")
        pairs = {loss: study.trials[synth_name, loss] for loss in losses or study.losses}
        count = min(len(some.theta_true) for some in pairs.values())
        if not 0 <= trial < count:
            raise ValueError(f"trial is {trial}; the study has trials 0 to {count - 1}")
        targets = np.array([some.theta_true[trial] for some in pairs.values()])
        if np.ptp(targets, axis=0).any():
            raise ValueError(f"in this study each loss has a target of its own; name one of: {', '.join(pairs)}")
        place = study.synths.index(synth_name)
        ran: Any = synth or experiment_of(study.settings).synths[place]
        if ran.source_sha256 != (stored := study.settings["synths"][place]["sha256"]):
            raise ValueError(f"the study ran another {synth_name}: SHA-256 {stored[:16]}, not {ran.source_sha256[:16]}")
        paths = {loss: Trials(*(array[trial] for array in some)) for loss, some in pairs.items()}
        return cls(ran, paths, targets[0], **settings)

    @traitlets.validate("step")
    def _valid_step(self, proposal: Any) -> int:
        step = proposal["value"]
        if not 0 <= step <= self.last:
            raise traitlets.TraitError(f"step is {step}; it must be 0 to {self.last}")
        return step if step == self.last else step - step % self.every

    @traitlets.validate("trial")
    def _valid_trial(self, proposal: Any) -> str:
        if proposal["value"] not in self.trials:
            raise traitlets.TraitError(f"no trial {proposal['value']!r} (there are: {', '.join(self.trials)})")
        return proposal["value"]

    @traitlets.observe("step", "trial")
    def _walk(self, _: Any) -> None:
        self.theta = self._at(self.trial, self.step)

    @traitlets.observe("theta")
    def _find(self, _: Any) -> None:
        here = np.array(self.theta)
        if here.shape == self.target.shape and not np.allclose(here, self._at(self.trial, self.step), atol=1e-6):
            kept = self._kept(self.trial)
            entry = kept[((self.trials[self.trial].theta[kept] - here) ** 2).sum(1).argmin()]
            self.step = min(self.last, int(-(-entry // self.every) * self.every))
        self.theta = self._at(self.trial, self.step)

    def _kept(self, name: str) -> np.ndarray:
        last = len(self.trials[name].value) - 1
        return np.append(np.arange(0, last, self.every), last)

    def _at(self, name: str, step: int) -> list[float]:
        path = self.trials[name].theta
        return [float(x) for x in path[min(step, len(path) - 1)]]

    @property
    def audio(self) -> np.ndarray:
        """The sound of the trial that is heard at this step, `[num_samples]`."""
        return np.asarray(self.synth(np.array(self.theta, np.float32)))

    def figure(self) -> Figure:
        if self.landscapes and len(self.target) == 2:
            paths = {name: path.theta for name, path in self.trials.items()}
            return maps_figure(self.synth, self.landscapes, self.target, paths)
        space = self.synth.space
        values = {name: path.value / (path.value[0] or 1) for name, path in self.trials.items()}
        parameters = {name: np.asarray(space.to_physical(path.theta)) for name, path in self.trials.items()}
        goal = np.asarray(space.to_physical(self.target)).tolist()
        return search_figure(values, parameters, space.names, space.unit, goal)

    def sentence(self) -> str:
        ends = (f"{name} {float(P_loss(path.theta[-1], self.target)):.3f}" for name, path in self.trials.items())
        return (
            f"Searches for {self.synth.name} at {settings_text(self.synth.space, self.target)}; P-loss at the end: "
            f"{', '.join(ends)}. With scripts, a slider shows and plays every step."
        )
