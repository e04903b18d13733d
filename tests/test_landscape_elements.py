"""The landscape elements without a browser: their tables are the landscapes, their traits follow."""

import json
from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sonimatch import PAPER_LOSSES, L1_Spec, Marginals, hp_noise, landscape, noise_am
from sonimatch.widgets.landscape_explorer import LandscapeExplorer
from sonimatch.widgets.landscape_scrubber import BESIDE, LandscapeScrubber

HIGH_PASS, TREMOLO = replace(hp_noise, num_samples=8192), replace(noise_am, num_samples=8192)


@dataclass(frozen=True)
class Power:
    """The squared difference of mean powers: quick to compile."""

    name: str = "Power"
    sample_rate: int | None = None

    def feature(self, audio: jax.Array) -> jax.Array:
        return (audio**2).mean(keepdims=True)

    def distance(self, a: jax.Array, b: jax.Array) -> jax.Array:
        return ((a - b) ** 2).sum()


def close(found, expected, rtol=1e-5):
    """Equal but for single-precision rounding of sums whose terms are as large as the largest result."""
    np.testing.assert_allclose(found, expected, rtol=rtol, atol=2e-6 * np.abs(expected).max())


@pytest.mark.parametrize("loss", [*PAPER_LOSSES, Marginals()], ids=lambda loss: loss.name)
def test_the_scrubbers_tables_are_landscapes(loss):
    scrubber = LandscapeScrubber(HIGH_PASS, [loss], {"cut": 8000}, num=5, targets=3, progress=False)
    aim = float(HIGH_PASS.space.theta({"cut": 8000})[0])
    np.testing.assert_allclose(scrubber.rows, [0, aim, 0.5, 1], atol=1e-7)
    beside = [aim - BESIDE, aim + BESIDE, 0.5 - BESIDE, 0.5 + BESIDE]
    known = np.sort([0, 0.25, aim, 0.5, 0.75, 1, *beside, scrubber.theta[0]])
    np.testing.assert_allclose(scrubber.grid, known, atol=1e-7)
    even = np.array([np.abs(scrubber.grid - x).argmin() for x in (0, 0.25, 0.5, 0.75, 1)])
    for place, (value, gradient) in zip(scrubber.rows, scrubber.tables[loss.name][..., even], strict=True):
        target = HIGH_PASS(np.array([place], np.float32))
        expected = landscape(HIGH_PASS, loss, target, num=5, progress=False)
        close(value, expected.value)
        apart = expected.theta[:, 0] != place  # at the target |a - b| has a corner, where rounding decides
        close(gradient[apart], expected.gradient[apart, 0], rtol=1e-4)


def test_a_spectral_loss_is_zero_where_the_target_is():
    scrubber = LandscapeScrubber(HIGH_PASS, [L1_Spec()], {"cut": 100}, num=5, targets=5, progress=False)
    np.testing.assert_array_equal(scrubber.rows, np.linspace(0, 1, 5, dtype=np.float32))
    there = np.searchsorted(scrubber.grid, scrubber.rows)
    np.testing.assert_array_equal(scrubber.tables["L1_Spec"][np.arange(5), :, there], 0)
    between = LandscapeScrubber(HIGH_PASS, [L1_Spec()], {"cut": 8000}, num=5, targets=0, progress=False)
    (there,) = np.flatnonzero(between.grid == between.rows[0])
    below, at, above = between.tables["L1_Spec"][0, :, there - 1 : there + 2].T
    assert at[0] == 0
    assert below[1] < 0 < above[1], "the slopes on both sides of the corner"
    np.testing.assert_allclose([-below[0] / below[1], above[0] / above[1]], BESIDE, rtol=0.02)


def test_the_other_parameters_stay_and_the_target_keeps_its_own():
    theta = [0.75, 0.5]
    scrubber = LandscapeScrubber(
        TREMOLO, [Power()], {"amp": 1, "modulator": 3}, "modulator", 5, 3, theta=theta, progress=False
    )
    assert len(scrubber.grid) == 5 + 4, "the target and the handle are on the grid"
    even = np.searchsorted(scrubber.grid, np.linspace(0, 1, 5))
    for place, (value, gradient) in zip(scrubber.rows, scrubber.tables["Power"][..., even], strict=True):
        target = TREMOLO(np.array([0.2, place], np.float32))
        expected = landscape(
            TREMOLO, Power(), target, parameters=["modulator"], num=5, theta=jnp.array(theta), progress=False
        )
        close(value, expected.value)
        close(gradient, expected.gradient[:, 1])
    with pytest.raises(ValueError, match=r"'amp' does not move here \(what does: modulator\)"):
        scrubber.set(amp=2)
    with pytest.raises(ValueError, match=r"amp stays at 0\.75, not 0\.1"):
        scrubber.theta = [0.1, 0.5]


def test_the_scrubbers_traits_follow_and_tell():
    scrubber = LandscapeScrubber(HIGH_PASS, [Power()], {"cut": 10_050}, num=5, targets=3, progress=False)
    table, seen = scrubber.tables["Power"], []
    near = lambda x: int(np.abs(scrubber.grid - x).argmin())  # noqa: E731
    scrubber.observe(lambda change: seen.append(change["new"]["Power"]), "value")
    scrubber.set(cut=100 + 19_900 * 0.75)
    assert seen == [table[1, 0, near(0.75)]]
    scrubber.theta = [0.27]  # between what is computed a gradient may do anything, so the handle does not stand there
    assert scrubber.theta == [0.25]
    assert seen[-1] == table[1, 0, near(0.25)]
    scrubber.target = [0.95]
    assert seen[-1] == table[2, 0, near(0.25)]
    np.testing.assert_array_equal(scrubber.audio, HIGH_PASS(np.array([0.25], np.float32)))
    assert repr(scrubber) == "LandscapeScrubber(0.25)"
    assert "cut 5075 Hz: Power " in scrubber.sentence()
    assert scrubber.figure()._repr_png_().startswith(b"\x89PNG")


def test_a_sound_of_unknown_setting_may_be_the_target(rng):
    sound = 0.1 * rng.standard_normal(8192).astype(np.float32)
    scrubber = LandscapeScrubber(HIGH_PASS, [Power()], sound, num=5, progress=False)
    expected = landscape(HIGH_PASS, Power(), jnp.asarray(sound), num=5, progress=False)
    even = np.searchsorted(scrubber.grid, np.linspace(0, 1, 5))
    close(scrubber.tables["Power"][0, 0, even], expected.value)
    assert (scrubber.target, len(scrubber.rows)) == ([], 0)
    assert scrubber.figure()._repr_png_().startswith(b"\x89PNG")


def test_an_element_is_light():
    losses = [Power(name) for name in ("a", "b", "c", "d")]
    for element in (
        LandscapeScrubber(HIGH_PASS, losses, {"cut": 8000}, progress=False),
        LandscapeExplorer(TREMOLO, losses, {"amp": 1}, progress=False),
    ):
        assert len(json.dumps(element.data)) < 250_000
        assert len({loss["color"] for loss in element.data["losses"]}) == 3, "colours of the palette that are free"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"parameter": "cutoff"}, r"hp_noise has no parameter 'cutoff' \(there are: cut\)"),
        ({"num": 1}, "num must be 2 or more, not 1"),
        ({"num": 5, "targets": 4}, "targets must be one of 0, 2, 3, 5 for num = 5, not 4"),
        ({"losses": []}, "losses must be one or more"),
        ({"losses": [Power(), Power()]}, r"with a name each, not \(Power, Power\)"),
        ({"losses": [Power(sample_rate=8000)]}, "Power works at 8000 Hz but hp_noise at 44100 Hz"),
        ({"target": np.zeros(10)}, r"target must have shape \(8192,\) for hp_noise, not \(10,\)"),
        ({"target": {"cut": 5}}, "cut = 5 is out of range: 100 to 20000 Hz"),
        ({"theta": [2.0]}, "theta must be 1 numbers from 0 to 1"),
    ],
)
def test_the_scrubber_refuses(wrong, message):
    with pytest.raises(ValueError, match=message):
        LandscapeScrubber(HIGH_PASS, **({"losses": [Power()], "progress": False} | wrong))


@pytest.fixture(scope="module")
def explorer():
    return LandscapeExplorer(TREMOLO, [Power()], {"amp": 1, "modulator": 3}, num=5, progress=False)


def test_the_explorer_has_the_landscapes_and_follows(explorer):
    target = TREMOLO(TREMOLO.space.theta({"amp": 1, "modulator": 3}))
    expected = landscape(TREMOLO, Power(), target, num=5, progress=False)
    np.testing.assert_array_equal(explorer.landscapes["Power"].value, expected.value)
    seen = []
    explorer.observe(lambda change: seen.append(change["new"]["Power"]), "value")
    explorer.set(amp=3.75, modulator=1)
    assert seen == [expected.value[3, 1]]
    explorer.theta = [0.6, 0.3]
    assert explorer.theta == [0.5, 0.25]
    assert seen[-1] == expected.value[2, 1]
    assert explorer.figure()._repr_png_().startswith(b"\x89PNG")
    assert "noise_am at amp 2.5, modulator 1 Hz: Power " in explorer.sentence()


def test_the_explorer_takes_landscapes_that_are_there(explorer):
    again = LandscapeExplorer(TREMOLO, target={"amp": 1, "modulator": 3}, landscapes=explorer.landscapes)
    assert again.data == explorer.data
    turned = landscape(TREMOLO, Power(), jnp.zeros(8192), parameters=["modulator", "amp"], num=5, progress=False)
    with pytest.raises(ValueError, match="the same even steps from 0 to 1 along amp, modulator, in that order"):
        LandscapeExplorer(TREMOLO, landscapes={"Power": turned})
    other = replace(turned, theta=turned.theta[..., ::-1])
    with pytest.raises(ValueError, match="the landscape of b has 4 x 5 points"):
        LandscapeExplorer(
            TREMOLO,
            landscapes={"a": explorer.landscapes["Power"], "b": replace(other, value=other.value[1:])},
        )


def test_the_explorer_needs_two_parameters():
    with pytest.raises(ValueError, match="moves two parameters; here 1 are free: cut"):
        LandscapeExplorer(HIGH_PASS, [Power()])
    with pytest.raises(ValueError, match="no parameter 'depth'"):
        LandscapeExplorer(TREMOLO, [Power()], parameters=["amp", "depth"])
    with pytest.raises(ValueError, match="moves two parameters; here 2 are free: amp, amp"):
        LandscapeExplorer(TREMOLO, [Power()], parameters=["amp", "amp"])
