"""Which way a loss points: how well its order, its slopes and its valleys lead to the truth from elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np
from numpy.typing import ArrayLike
from scipy.signal import find_peaks
from scipy.stats import spearmanr
from tqdm import tqdm

from sonimatch.metrics import P_loss
from sonimatch.types import Loss, Synth

DISTANCES = (0.01, 0.05, 0.1, 0.3)


class Home(NamedTuple):
    """What `points_home` measures for `n` targets and `P` parameters, at `D` distances.

    - `order [n]`: Spearman's rank correlation of loss and `P_loss` over random candidates.
    - `order_along [n, P]`: the same of loss and distance along each axis through the truth.
    - `gradient [n, D, P]`: gradient-direction accuracy, the share of points at a distance where downhill by the
      derivative, `-∂L/∂θ_p`, goes towards the truth. A derivative of 0 goes nowhere and counts as wrong.
    - `secant [n, D, P]`: the same by the difference of two values, a step to either side.
    - `minima [n, P]`: local minima along each axis, see `minima`.
    - `basin [n, P]`: width of the valley of the truth along each axis, see `basin`, as a share of the range.
    """

    order: Any
    order_along: Any
    gradient: Any
    secant: Any
    minima: Any
    basin: Any


def points_home(
    synth: Synth,
    losses: Sequence[Loss],
    truths: ArrayLike,
    targets: ArrayLike,
    *,
    candidates: int = 100,
    points: int = 4,
    num: int = 201,
    step: float = 0.01,
    distances: Sequence[float] = DISTANCES,
    ripple: float = 0.01,
    seed: int = 0,
    progress: bool = True,
) -> dict[str, Home]:
    """How well each loss, by its name, leads to `targets [n, num_samples]`, the sounds at `truths [n, P]` or ones like
    them.

    All in the coordinates of the unit cube. For each target: `candidates` random points for the order; at each of
    `distances`, `points` random corners `truth ± distance` in every parameter, a sign being turned where the corner
    would leave the cube, for the slopes, with secants over `± step`; and `num` even steps and the truth along each axis
    through it, for the valleys, where `ripple` is the share of a curve's range that counts as none. Draw truths from a
    continuum: a loss may look better at round values.

    The sounds are rendered once for all losses. Values that are not finite count as infinite. Raises ValueError for
    targets that do not fit, fewer than 3 candidates, 1 point or 3 steps, and distances or a step that are not above 0
    and at most 0.5.
    Sources: J. Turian and M. Henry, "I'm sorry for your loss", 2020, for the order; B. Torres, G. Peeters and G.
    Richard, "Unsupervised harmonic parameter estimation using differentiable DSP and spectral optimal transport", 2024,
    for the question which way a gradient points. Shown in notebooks/points_home.md.
    """
    truths, targets = np.asarray(truths, np.float32), np.asarray(targets)
    n_parameters = len(synth.space)
    if truths.shape != (len(targets), n_parameters) or targets.shape != (len(truths), synth.num_samples):
        raise ValueError(
            f"truths {truths.shape} and targets {targets.shape}; for {synth.name} they must be "
            f"(n, {n_parameters}) and (n, {synth.num_samples})"
        )
    for name, value, least in (("candidates", candidates, 3), ("points", points, 1), ("num", num, 3)):
        if value < least:
            raise ValueError(f"{name} is {value}; it must be at least {least}")
    for name, values in {"step": [step], "distances": distances}.items():
        if not all(0 < value <= 0.5 for value in values):
            raise ValueError(f"{name} is {values}; it must be above 0 and at most 0.5")

    key, rng = jax.random.key(seed), np.random.default_rng(seed)
    rows: dict[str, list[Home]] = {loss.name: [] for loss in losses}
    sides = step * np.stack([-np.eye(n_parameters), np.eye(n_parameters)])  # [2, P, P]
    pairs = zip(truths, targets, strict=True)
    for trial, (truth, target) in enumerate(tqdm(pairs, total=len(truths), delay=2, disable=not progress, leave=False)):
        scattered = np.asarray(synth.space.sample(jax.random.fold_in(key, trial), candidates))
        lines = np.tile(truth, (n_parameters, num + 1, 1))
        for p in range(n_parameters):
            lines[p, :-1, p] = np.linspace(0, 1, num)
        axes = np.stack([lines[p, :, p] for p in range(n_parameters)])  # the truth is the last of each
        apart = np.reshape(distances, (-1, 1, 1)) * rng.choice([-1, 1], (len(distances), points, n_parameters))
        apart = np.where(np.abs(truth + apart - 0.5) > 0.5, -apart, apart)
        corners = (truth + apart).astype(np.float32)  # [D, points, P]
        beside = np.clip(corners[:, :, None, None] + sides, 0, 1)  # [D, points, 2, P, P]

        every = np.concatenate([each.reshape(-1, n_parameters) for each in (scattered, lines, beside)])
        sounds = _sounds(synth, every.astype(np.float32))
        at = _sounds(synth, corners.reshape(-1, n_parameters)), _jacobians(synth, corners.reshape(-1, n_parameters))
        for loss in losses:
            reference = _feature(loss, target)
            value = np.asarray(_values(loss, reference, sounds), float)
            value = np.where(np.isfinite(value), value, np.inf)
            some, along, either = np.split(value, np.cumsum([candidates, axes.size]))
            rise = np.diff(either.reshape(beside.shape[:-1]), axis=2)[:, :, 0]
            slope = np.reshape(_slopes(loss, reference, *at), apart.shape)
            curves = list(zip(axes, along.reshape(axes.shape), strict=True))
            rows[loss.name].append(Home(
                order=_rank_correlation(some, P_loss(scattered, truth)),
                order_along=[_rank_correlation(v, np.abs(x - x[-1])) for x, v in curves],
                gradient=(np.sign(slope) == np.sign(apart)).mean(1),
                secant=(np.sign(rise) == np.sign(apart)).mean(1),
                minima=[minima(v[np.argsort(x)], ripple) for x, v in curves],
                basin=[basin(x, v, x[-1], ripple) for x, v in curves],
            ))  # fmt: skip
    return {name: Home(*map(np.array, zip(*found, strict=True))) for name, found in rows.items()}


def minima(value: ArrayLike, ripple: float = 0.01) -> int:
    """How many local minima a curve `value [n]` has, an end that is lower than its neighbour included: there a bounded
    descent rests.

    Each is a valley: going either way, the curve rises by at least `ripple` of its range before it falls lower. A flat
    floor counts once.
    """
    value = np.asarray(value, float)
    upside_down = np.pad(-value, 1, constant_values=-np.inf)
    return len(find_peaks(upside_down, prominence=_height(value, ripple))[0])


def basin(place: ArrayLike, value: ArrayLike, home: float, ripple: float = 0.01) -> float:
    """The width of the interval around `home`, one of `place [n]` in any order, from which the curve `value [n]` falls
    towards it on either side, but for ripples.

    Going away from home, the interval ends at the highest place before the curve falls by more than `ripple` of its
    range; what has not risen by so much belongs to it only if the curve rises later. Where nothing rises it has no
    width.
    """
    place, value = np.asarray(place, float), np.asarray(value, float)
    height, width = _height(value, ripple), 0.0
    for side in (-1, 1):
        away = side * (place - home)
        outwards = np.flatnonzero(away >= 0)[np.argsort(away[away >= 0], kind="stable")]
        highest, reach = value[outwards[0]], 0.0
        for here in outwards:
            if value[here] < highest - height:
                break
            if value[here] > highest and value[here] > value[outwards[0]] + height:
                highest, reach = value[here], away[here]
        width += reach
    return float(width)


def _height(value: np.ndarray, ripple: float) -> float:
    finite = value[np.isfinite(value)]
    return ripple * float(np.ptp(finite)) if finite.size else 0.0


def _rank_correlation(a: ArrayLike, b: ArrayLike) -> float:
    """Spearman's, and 0 where one side is constant: it tells no order."""
    a, b = np.asarray(a), np.asarray(b)
    if (a == a[0]).all() or (b == b[0]).all():
        return 0.0
    rho, _ = map(float, spearmanr(a, b))
    return rho


# A synth and a loss are compiled apart: each serves many of the other.


@partial(jax.jit, static_argnums=0)
def _feature(loss: Loss, sound: jax.Array) -> Any:
    return loss.feature(sound)


@partial(jax.jit, static_argnums=0)
def _sounds(synth: Synth, points: jax.Array) -> jax.Array:
    return jax.lax.map(synth, points)


@partial(jax.jit, static_argnums=0)
def _values(loss: Loss, reference: Any, sounds: jax.Array) -> jax.Array:
    return jax.lax.map(lambda sound: loss.distance(reference, loss.feature(sound)), sounds)


@partial(jax.jit, static_argnums=0)
def _jacobians(synth: Synth, points: jax.Array) -> jax.Array:
    return jax.lax.map(jax.jacfwd(synth), points)


@partial(jax.jit, static_argnums=0)
def _slopes(loss: Loss, reference: Any, sounds: jax.Array, jacobians: jax.Array) -> jax.Array:
    slope = jax.grad(lambda sound: loss.distance(reference, loss.feature(sound)))
    return jax.lax.map(lambda each: slope(each[0]) @ each[1], (sounds, jacobians))
