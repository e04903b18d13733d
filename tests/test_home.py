"""What points home: against closed forms, SciPy and slow loops."""

import json
from dataclasses import dataclass
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.typing import ArrayLike
from scipy.stats import spearmanr

from sonimatch import DTW_Envelope, L1_Spec, P_loss, ParamSpace, noise_am
from sonimatch.home import DISTANCES, basin, minima, points_home
from sonimatch.losses import Sum

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Bare:
    """A synth whose samples are its parameters."""

    n_parameters: int = 2
    name: str = "bare"
    sample_rate: int = 44_100

    @property
    def space(self):
        n = self.n_parameters
        names = tuple("abcd"[:n])
        return ParamSpace(names, (0.0,) * n, (1.0,) * n, ("linear",) * n, ("",) * n, (0.5,) * n)

    @property
    def num_samples(self):
        return self.n_parameters

    def __call__(self, theta):
        return theta


@dataclass(frozen=True)
class Shape:
    """A loss of the differences of parameters, by the name of its formula."""

    name: str
    sample_rate: int | None = None

    def feature(self, audio):
        return audio

    def distance(self, a, b):
        apart = b - a
        return {
            "absolute": lambda: jnp.abs(apart).mean(),
            "square": lambda: (apart**2).sum(),
            "hill": lambda: -jnp.abs(apart).mean(),
            "ripples": lambda: (apart**2 / 2 + 0.01 * (1 - jnp.cos(20 * jnp.pi * apart))).sum(),
            "deaf": lambda: jnp.abs(apart[0]) + 0 * apart[1],
            "jumps": lambda: (jnp.round(50 * jnp.abs(apart)) / 50).sum(),
            "broken": lambda: jnp.where(jnp.abs(apart).max() > 0.45, jnp.nan, jnp.abs(apart).mean()),
        }[self.name]()


TRUTHS = np.random.default_rng(3).uniform(0.02, 0.98, (5, 2)).astype(np.float32)


def measured(shape: str, truths: ArrayLike = TRUTHS, **settings):
    truths = np.asarray(truths, np.float32)
    few: dict = {"candidates": 20, "num": 101, "progress": False}
    return points_home(Bare(truths.shape[1]), [Shape(shape)], truths, truths, **few | settings)[shape]


def test_the_parameter_distance_itself_points_home():
    home = measured("absolute")
    np.testing.assert_allclose(home.order, 1, atol=1e-12)
    np.testing.assert_allclose(home.order_along, 1, atol=1e-12)
    assert home.gradient.shape == home.secant.shape == (5, len(DISTANCES), 2)
    assert (home.gradient == 1).all()
    assert (home.secant == 1).all()
    assert (home.minima == 1).all()
    np.testing.assert_allclose(home.basin, 1, atol=1e-6)


def test_the_square_of_one_parameter_points_home():
    home = measured("square", TRUTHS[:, :1])
    np.testing.assert_allclose(home.order, 1, atol=1e-12)
    assert (home.gradient == 1).all()
    assert (home.minima == 1).all()
    np.testing.assert_allclose(home.basin, 1, atol=1e-6)


def test_a_hill_points_away():
    home = measured("hill")
    np.testing.assert_allclose(home.order, -1, atol=1e-12)
    assert (home.gradient == 0).all()
    assert (home.secant == 0).all()
    assert (home.minima == 2).all(), "the ends"
    np.testing.assert_allclose(home.basin, 0, atol=1e-12)


def test_order_is_scipys():
    home = measured("square", seed=7)
    for trial, truth in enumerate(TRUTHS):
        points = Bare().space.sample(jax.random.fold_in(jax.random.key(7), trial), 20)
        values = ((np.asarray(points) - truth) ** 2).sum(1)
        rho, _ = map(float, spearmanr(values, P_loss(points, truth)))
        assert home.order[trial] == pytest.approx(rho, abs=1e-12)
    assert home.order.max() < 1, "a square is no mean of absolute values"


def test_ripples_stop_a_slope_and_not_all_secants():
    """L' = d + 0.2 π sin(20 π d): at half a period from the truth, d = 0.05, it is 0.05 and more at 0.075, and at 0.08
    and at 0.28 it points away; a secant over a whole period, ± 0.05, sees the bowl alone."""
    home = measured("ripples", [[0.5, 0.5]], distances=(0.04, 0.08, 0.1, 0.28), points=8, step=0.05)
    np.testing.assert_array_equal(home.gradient[0], [[1, 1], [0, 0], [1, 1], [0, 0]])
    assert (home.secant == 1).all()
    curve = measured("ripples", [[0.503, 0.481]], num=401, ripple=1e-4)
    assert np.abs(curve.minima - 11).max() <= 2, "one a period of 0.1, fewer where the bowl is steep"
    np.testing.assert_allclose(curve.basin, 0.1, atol=0.02)
    assert (measured("ripples", [[0.503, 0.481]], num=401, ripple=0.2).minima == 1).all()


def test_what_is_not_heard_has_no_order_no_slope_and_no_width():
    home = measured("deaf")
    assert (home.order_along[:, 1] == 0).all()
    assert (home.gradient[..., 1] == 0).all()
    assert (home.secant[..., 1] == 0).all()
    assert (home.minima[:, 1] == 1).all(), "one floor"
    assert (home.basin[:, 1] == 0).all()
    assert (home.gradient[..., 0] == 1).all()


def test_jumps_are_no_slope_and_a_secant_sees_them():
    home = measured("jumps", [[0.5, 0.5]], distances=(0.05, 0.1, 0.3), step=0.02)
    assert (home.gradient == 0).all()
    assert (home.secant == 1).all()


def test_what_is_not_finite_counts_as_the_worst():
    home = measured("broken", [[0.5, 0.5]])
    assert np.isfinite(home.order).all()
    assert (home.minima == 1).all()
    np.testing.assert_allclose(home.basin, 0.9, atol=0.021)


def slow_minima(value, height):
    """Go both ways from every lowest point until the curve is lower; it must have risen by the height on the way."""
    found = 0
    for here in range(len(value)):
        if here and value[here - 1] == value[here]:
            continue  # a flat floor, counted at its left end
        sides = []
        for way in (value[:here][::-1], value[here + 1 :]):
            highest = value[here]
            for other in way:
                highest = max(highest, other)
                if other < value[here]:
                    break
            else:
                highest = np.inf
            sides.append(highest - value[here])
        floor = here
        while floor + 1 < len(value) and value[floor + 1] == value[here]:
            floor += 1
        lowest = (here == 0 or value[here - 1] > value[here]) and (
            floor + 1 == len(value) or value[floor + 1] > value[here]
        )
        found += lowest and min(sides) >= height
    return found


def slow_basin(place, value, home, height):
    pairs = sorted(zip(place, value, strict=True))
    at_home = dict(pairs)[home]
    width = 0.0
    for way in ([pair for pair in pairs if pair[0] >= home], [pair for pair in pairs if pair[0] <= home][::-1]):
        reached = []
        for k in range(len(way)):
            values = [v for _, v in way[: k + 1]]
            if values[-1] < max(values) - height:
                break
            reached.append(way[k])
        top = max(v for _, v in reached)
        if top > at_home + height:
            width += abs(next(x for x, v in reached if v == top) - home)
    return width


@pytest.mark.parametrize("ripple", [0, 0.01, 0.3])
def test_minima_and_basin_are_those_of_a_slow_loop(ripple, rng):
    for n in (1, 2, 3, 30):
        for walk in (rng.normal(size=n).cumsum(), rng.integers(0, 4, n).astype(float)):
            height = ripple * np.ptp(walk)
            assert minima(walk, ripple) == slow_minima(walk, height), walk
            places = rng.permutation(n) / n
            home = places[rng.integers(n)]
            assert basin(places, walk, home, ripple) == pytest.approx(slow_basin(places, walk, home, height))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"candidates": 2}, "candidates is 2; it must be at least 3"),
        ({"num": 2}, "num is 2"),
        ({"points": 0}, "points is 0"),
        ({"step": 0.6}, "step is"),
        ({"distances": (0.1, 0.0)}, r"distances is \(0.1, 0.0\)"),
    ],
)
def test_wrong_settings_are_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        measured("square", **settings)


def test_targets_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"they must be \(n, 2\) and \(n, 2\)"):
        points_home(Bare(), [Shape("square")], TRUTHS, TRUTHS[:3])


# ------------------------------------------------------------------------------------------------------- the record


def test_a_sum_is_scaled_by_what_its_parts_say(rng):
    """Each part alone, above its floor and over its scale: median 1 over the pairs, and nothing below 0."""
    sounds = jnp.asarray(rng.normal(size=(9, 4410)), jnp.float32) * jnp.linspace(0.1, 1, 9)[:, None]
    both = Sum.scaled((L1_Spec(), DTW_Envelope()), sounds[0], sounds[1:], "both")
    assert both.name == "both"
    for loss, floor, scale in zip(both.losses, both.floors, both.scales, strict=True):
        parts = [float(loss.distance(loss.feature(sounds[0]), loss.feature(other))) for other in sounds]
        least = min(parts)
        assert floor == pytest.approx(least, rel=1e-5, abs=1e-6)
        assert scale == pytest.approx(np.median(parts[1:]) - least, rel=1e-4)
    with pytest.raises(ValueError, match="they must be positive"):
        Sum.scaled((L1_Spec(),), sounds[0], sounds[0])


def test_the_record_is_what_is_measured():
    """One pair again, two of its targets; other vector units round differently, which turns no sign of this loss."""
    from sonimatch.study import PAPER

    record = json.loads((ROOT / "results" / "home.json").read_text())
    settings, losses = (record["groups"]["noise_am"][part] for part in ("settings", "losses"))
    drawn, stored = PAPER.draw(noise_am, L1_Spec(), range(2)), losses["L1_Spec"]
    how = {name: settings[name] for name in ("candidates", "points", "num", "step", "distances", "ripple", "seed")}
    home = points_home(noise_am, [L1_Spec()], drawn.theta_true, drawn.target, **how, progress=False)["L1_Spec"]
    np.testing.assert_allclose(home.order, stored["order"][:2], atol=2e-3)
    np.testing.assert_allclose(home.order_along, stored["order_along"][:2], atol=2e-3)
    np.testing.assert_allclose(home.basin, stored["basin"][:2], atol=0.03)
    np.testing.assert_array_equal(home.minima[:, 0], np.array(stored["minima"])[:2, 0])
    assert len(stored["order"]) == settings["targets"]
    assert all(record["provenance"][name] for name in ("commit", "versions", "device"))
