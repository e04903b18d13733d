"""What can be answered about a sound: which synth comes nearest, at which distinct settings, how well each is known."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from sonimatch import audio
from sonimatch.assessment import Assessment, assess, between
from sonimatch.match import cores, match
from sonimatch.metrics import PAPER_MSS
from sonimatch.search import Race
from sonimatch.search.nelder_mead import Simplex
from sonimatch.types import Loss, Match, Search, Synth

TOLERANCE = 0.05
"""What counts as as near: a loss higher than the best by this part of the way to a typical random setting."""

MATCH = 0.9
"""A match has gone this part of the way from a typical random setting to the target, or more."""

APART = 0.1
"""Two settings are distinct when some parameter differs by this part of its range or more."""

LOOK, FINALISTS = 96, 2
"""Where there are many synths and no budget is given, each has first so many evaluations, and so many of them go on."""


@dataclass(frozen=True)
class Answer:
    """The best that `synth` has to say: what its match is worth, and its sound `[num_samples]`.

    `mss` is the multi-scale spectral distance of the sound, which no search has minimised: a second opinion, NaN where
    it cannot be had. `worth` is None, and `error` says why, where nothing could be searched.
    """

    synth: Synth
    worth: Assessment | None = None
    sound: np.ndarray = field(default_factory=lambda: np.zeros(0), repr=False)
    mss: float = np.nan
    error: str = ""

    @property
    def loss(self) -> float:
        """The common score: the value of one loss for one target; infinite where there is no sound."""
        return float(self.worth.kept.value_best) if self.worth and self.sounds else np.inf

    @property
    def sounds(self) -> bool:
        """Whether there is a finite sound with a finite loss that is not silent."""
        found = self.worth is not None and np.isfinite(self.worth.kept.value_best) and np.isfinite(self.sound).all()
        return bool(found) and not audio.is_silent(self.sound)

    @property
    def objections(self) -> tuple[str, ...]:
        """Why this is no match, a line each."""
        if self.worth is None:
            return (self.error,)
        if not self.sounds:
            return ("the best sound found is silent" if np.isfinite(self.sound).all() else "no finite sound was found",)
        return self.worth.objections


@dataclass(frozen=True)
class Ranking:
    """Answers to one target under one loss, the nearest first, and a scale for their losses.

    `equal` is the loss of the target beside itself, `typical` the median loss of all random draws of all synths. It
    took `evaluations` in all searches, and as many random draws as `drawn`.
    """

    answers: tuple[Answer, ...]
    equal: float
    typical: float
    evaluations: int
    drawn: int

    def way(self, loss: float) -> float:
        """The part of the way from a typical random setting to the target itself: 1 is the target, 0 no better than
        a setting drawn at random, below 0 worse."""
        return (self.typical - loss) / (self.typical - self.equal) if self.typical > self.equal else np.nan

    @property
    def within(self) -> float:
        """Up to this loss a setting, or another synth, is as near as the best: `TOLERANCE` of the way back."""
        best = self.answers[0].loss
        return best + TOLERANCE * max(self.typical - best, 0.0)

    @property
    def clear(self) -> bool | None:
        """Whether the first is clearly nearer than the second: its loss by more than `TOLERANCE`, and the MSS agrees.

        None where there is no second that sounds.
        """
        if len(self.answers) < 2 or not self.answers[1].sounds:
            return None
        first, second = self.answers[:2]
        return bool(second.loss > self.within and not first.mss > second.mss)

    @property
    def matched(self) -> bool:
        """Whether the first is a match: nearer than random draws and silence, and `MATCH` of the way or more."""
        return not self.answers[0].objections and self.way(self.answers[0].loss) >= MATCH

    @property
    def verdict(self) -> tuple[str, ...]:
        """Whether there is a match, in sentences."""
        first = self.answers[0]
        if first.objections or not first.worth:
            return (f"no match: {first.synth.name} comes nearest, and {first.objections[0]}",)
        draws, way = len(first.worth.draws.trajectory.value), f"{100 * self.way(first.loss):.0f} % of the way"
        beats = f"{first.synth.name} is nearer than the best of {draws} random draws, and than silence"
        told = [
            f"a match: {beats}, and went {way} from a typical random setting to the target"
            if self.matched
            else f"a likeness, and no match: {beats}, but went only {way} from a typical random setting to the target "
            f"(a match: {100 * MATCH:.0f} %)"
        ]
        if self.clear is not None:
            other = self.answers[1].synth.name
            told.append(
                f"it is clearly nearer than the runner-up, {other}"
                if self.clear
                else f"it is not clearly nearer than the runner-up, {other}: hear both"
            )
        return tuple(told)


def answer(
    synth: Synth,
    loss: Loss,
    target: ArrayLike,
    search: Search = Race(),  # noqa: B008 (frozen)
    evaluations: int | None = None,
    *,
    steps: int | None = None,
    starts: int = 1,
    first: ArrayLike | None = None,
    draws: Match | None = None,
    seed: int = 0,
    progress: bool = True,
) -> Answer:
    """Search from `starts` random points, the first of them `first [P]` if it is given, and say what it is worth.

    Costs twice the budget where no `draws` are given: as many random ones stand beside the search (`assess`). Raises
    ValueError as `match` does.
    """
    start_key, key = jax.random.split(jax.random.key(seed))
    init = synth.space.sample(start_key, starts)
    init = init if first is None else init.at[0].set(jnp.asarray(first, init.dtype))
    aim = jnp.asarray(target)
    found = match(synth, loss, aim, search, evaluations, steps=steps, init=init, key=key, progress=progress)
    worth = assess(synth, loss, aim, found, draws=draws, key=jax.random.fold_in(key, 1), progress=progress)
    sound = np.asarray(synth(worth.kept.theta_best))
    try:
        mss = float(PAPER_MSS(aim, jnp.asarray(sound)))
    except ValueError:  # shorter than its windows
        mss = np.nan
    return Answer(synth, worth, sound, mss)


def rank(
    synths: Sequence[Synth],
    loss: Loss,
    target: ArrayLike,
    search: Search = Race(),  # noqa: B008 (frozen)
    evaluations: int | None = None,
    *,
    steps: int | None = None,
    **settings: Any,
) -> Ranking:
    """The `answer` of each of the synths to one target, the lowest loss first; what is silent or fails comes last.

    The losses compare, for it is one loss and one target. A synth that fails hides no other: its answer says why.
    With no budget given, each of many synths has first `LOOK` evaluations, and the `FINALISTS` that come nearest then
    have what is theirs (`match`), from the same start, beside the random draws of the first look.
    Shown in notebooks/your_own_sound.md.
    """
    look = evaluations is steps is None and len(synths) > FINALISTS

    def one(synth: Synth, evaluations: int | None = LOOK if look else evaluations, **more: Any) -> Answer:
        try:
            return answer(synth, loss, target, search, evaluations, steps=steps, **more, **settings)
        except (ValueError, RuntimeError, MemoryError) as error:
            return Answer(synth, error=f"failed: {' '.join(str(error).split())}")

    def again(first: Answer) -> Answer:
        return one(first.synth, None, draws=first.worth.draws) if look and first.worth else first

    with ThreadPoolExecutor(cores()) as pool:  # compiled code leaves the interpreter to the others
        looked = sorted(pool.map(one, sorted(synths, key=lambda synth: -len(synth.space))), key=_order)
        final = list(pool.map(again, looked[:FINALISTS]))
    before = [first for first, last in zip(looked, final, strict=False) if first is not last]
    return ranking(sorted([*final, *looked[FINALISTS:]], key=_order), loss, target, before)


def _order(answer: Answer) -> tuple[float, bool]:
    return answer.loss, answer.worth is None


def ranking(answers: Sequence[Answer], loss: Loss, target: ArrayLike, before: Sequence[Answer] = ()) -> Ranking:
    """The scale for answers that are in their order, and what they took, those `before` them that they replace too."""
    aim = jnp.asarray(target)
    draws = [one.worth.draws.trajectory.value for one in answers if one.worth]
    draws = np.concatenate(draws) if draws else np.zeros(0)
    spent = sum(int(one.worth.runs.evaluations.sum()) for one in (*answers, *before) if one.worth)
    finite = draws[np.isfinite(draws)]
    typical = float(np.median(finite)) if finite.size else np.nan
    return Ranking(tuple(answers), float(between(loss, aim, aim)), typical, spent, draws.size)


# ------------------------------------------------------------------------------------------ around one answer


@dataclass(frozen=True)
class Candidate:
    """A setting `theta [P]`, its loss, and its sound `[num_samples]`."""

    theta: np.ndarray
    loss: float
    sound: np.ndarray


def candidates(
    one: Answer, loss: Loss, target: ArrayLike, number: int = 3, *, apart: float = APART, polish: int = 24
) -> tuple[tuple[Candidate, ...], int]:
    """At most `number` distinct settings of a synth, the answer and then the best, and the evaluations they took.

    The first is the answer. Each other is the best point of all that the search and the random draws have heard that
    differs from every setting before it in some parameter by `apart` of its range or more, walked downhill by a
    simplex for `polish` evaluations as long as it stays that far apart. Settings that are silent or not finite are left
    out. Shown in notebooks/your_own_sound.md.
    """
    assert one.worth
    spent, kept, worth = 0, one.worth.kept, one.worth
    found = [Candidate(np.asarray(kept.theta_best), float(kept.value_best), np.asarray(one.sound))]
    paths = (worth.runs.trajectory, worth.draws.trajectory)
    points = np.concatenate([path.theta.reshape(-1, len(one.synth.space)) for path in paths])
    values = np.concatenate([path.value.ravel() for path in paths])
    usable = np.isfinite(values) & ((points >= 0) & (points <= 1)).all(1)
    points, values = points[usable], values[usable]

    def away(points: np.ndarray) -> np.ndarray:
        return np.min([np.abs(points - each.theta).max(-1) for each in found], axis=0) >= apart

    while len(found) < number and (free := away(points)).any():
        start = points[free][values[free].argmin()]
        walk = match(one.synth, loss, jnp.asarray(target), _Polish(), polish, init=jnp.asarray(start), progress=False)
        spent += polish
        path, value = np.asarray(walk.trajectory.theta), np.asarray(walk.trajectory.value)
        best = np.where(away(path) & np.isfinite(value), value, np.inf).argmin()
        sound = np.asarray(one.synth(jnp.asarray(path[best])))
        if np.isfinite(sound).all() and not audio.is_silent(sound):
            found.append(Candidate(path[best], float(value[best]), sound))
        points, values = points[free], values[free]
        others = np.abs(points - start).max(-1) >= apart
        points, values = points[others], values[others]
    return (found[0], *sorted(found[1:], key=lambda each: each.loss)), spent


@dataclass(frozen=True)
class Intervals:
    """How far each parameter may go while the loss stays within `within`: `low [P]` to `high [P]` in the unit cube."""

    low: np.ndarray
    high: np.ndarray
    within: float
    evaluations: int


def intervals(
    synth: Synth, loss: Loss, target: ArrayLike, best: ArrayLike, within: float, evaluations: int | None = None
) -> Intervals:
    """The profile of each parameter around `best [P]`: its range within which the loss stays at most `within`.

    From the best point a walk goes along each axis, both ways, doubling its distance and, once it is too far, halving
    it. Where the loss is too high with the other parameters held, a simplex moves these, at most eight evaluations,
    before the place counts as too far. The interval spans all that the walks have heard within the limit, so that the
    true one is at least as wide; another valley beyond a ridge is not part of it. `evaluations` a walk, 2 P walks
    (default: 16 where there is no other parameter, 40 with one to three, 24 with more).
    Shown in notebooks/your_own_sound.md.
    """
    count = len(synth.space)
    evaluations = evaluations or (16 if count == 1 else 40 if count <= 4 else 24)
    best = jnp.clip(jnp.asarray(best), 0, 1)

    def heard(walk: _Profile) -> np.ndarray:
        path = match(synth, loss, jnp.asarray(target), walk, evaluations, init=best, progress=False).trajectory
        return np.asarray(path.theta)[np.asarray(path.value) <= within]

    walks = [_Profile(column, way, within) for column in range(count) for way in (-1, 1)]
    with ThreadPoolExecutor(cores()) as pool:
        inside = np.concatenate([np.asarray(best)[None], *pool.map(heard, walks)])
    return Intervals(inside.min(0), inside.max(0), within, 2 * count * evaluations)


@dataclass(frozen=True)
class Around:
    """What there is beside one answer: `candidates`, the answer first, the `evaluations` that they took beside those of
    the ranking, and the intervals of the answer."""

    candidates: tuple[Candidate, ...]
    evaluations: int
    intervals: Intervals

    @property
    def better(self) -> int | None:
        """The number, from 2 on, of a candidate that is nearer than the answer: the search has ended too early."""
        losses = [each.loss for each in self.candidates]
        return int(np.argmin(losses)) + 1 if min(losses) < losses[0] else None

    def told(self, ranked: Ranking) -> str:
        """All evaluations, those of the ranking first."""
        return (
            f"{ranked.evaluations} of the search, {ranked.drawn} random draws, {self.evaluations} for the other "
            f"candidates, {self.intervals.evaluations} for the intervals"
        )


def around(ranking: Ranking, loss: Loss, target: ArrayLike, number: int = 3) -> Around:
    """The `candidates` and the `intervals` of the first answer of a ranking."""
    best = ranking.answers[0]
    found, spent = candidates(best, loss, target, number)
    return Around(found, spent, intervals(best.synth, loss, target, found[0].theta, ranking.within))


_Asks = Generator[np.ndarray, np.ndarray, None]


@dataclass(frozen=True)
class _Polish:
    """One simplex, downhill."""

    edge: float = 0.03
    name: str = "Polish"

    def cost(self, n_parameters: int) -> int:
        return 1

    def asks(self, start: np.ndarray, rng: np.random.Generator) -> _Asks:
        values = yield start[None]
        simplex = Simplex(start, values[0], self.edge)
        while True:
            values = yield simplex.point[None]
            simplex.tell(values[0])


@dataclass(frozen=True)
class _Profile:
    """From the start along the axis of a parameter, as far as the loss stays within a limit; see `intervals`."""

    column: int
    way: int
    within: float
    tries: int = 8
    name: str = "Profile"

    def cost(self, n_parameters: int) -> int:
        return 1

    def asks(self, start: np.ndarray, rng: np.random.Generator) -> _Asks:
        yield start[None]
        others = np.arange(start.size) != self.column
        room = 1 - start[self.column] if self.way > 0 else start[self.column]
        inside, near, far = start.astype(float), 0.0, np.inf
        while True:
            at = min(max(2 * near, 1 / 128), room) if far == np.inf else (near + far) / 2
            point = inside.copy()
            point[self.column] = np.clip(start[self.column] + self.way * at, 0, 1)
            value = float((yield point[None])[0])
            if value > self.within and others.any():
                simplex = Simplex(point[others], value, max(at - near, 1 / 128) / 2)
                for _ in range(self.tries):
                    point[others] = simplex.point
                    simplex.tell(float((yield point[None].copy())[0]))
                    if simplex.value <= self.within:
                        break
                point[others], value = simplex.best, simplex.value
            if value <= self.within:
                inside, near = point, at
            else:
                far = at
