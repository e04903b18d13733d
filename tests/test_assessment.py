"""Whether a match worked: against closed forms, and where there is no gradient."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_match import TARGET, Ramp, Square

from sonimatch import FaustSynth, ParamSpace, RMSProp, bp_noise, match
from sonimatch.assessment import assess, without_gradient
from sonimatch.plots import match_figure

SHORT = {"num_samples": 2_000}


@dataclass(frozen=True)
class Steps(Ramp):
    """A ramp whose height is rounded to tenths, with a third parameter that nothing hears."""

    name: str = "steps"

    @property
    def space(self):
        return ParamSpace(("a", "b", "c"), (0.0,) * 3, (1.0,) * 3, ("linear",) * 3, ("",) * 3, (0.5,) * 3)

    def __call__(self, theta):
        return super().__call__(jnp.stack([theta[0], jnp.round(10 * theta[1]) / 10]))


def test_a_match_that_worked_says_so():
    found = match(Ramp(), Square(), TARGET, RMSProp(), steps=100, init=jnp.array([[0.9, 0.1], [0.2, 0.5]]))
    worth = assess(Ramp(), Square(), TARGET, found)
    assert worth.start == int(np.argmin(found.value_best))
    np.testing.assert_array_equal(worth.kept.theta_best, found.theta_best[worth.start])
    assert worth.step == int(np.argmin(found.trajectory.value[worth.start]))
    assert worth.draws.trajectory.value.shape == (606,)
    assert worth.kept.value_best < worth.draws.value_best < worth.loss_of_silence
    np.testing.assert_allclose(worth.loss_of_silence, np.mean(np.square(TARGET)), rtol=1e-6)
    assert (worth.worked, worth.objections) == (True, ())
    assert (worth.at_end, worth.unmoved, worth.without_gradient) == ((), (), ())
    assert worth.comparison.endswith(f"of the best of 606 random draws, {worth.loss_of_silence:.6g} of silence")


def test_no_better_than_random_draws_or_silence_is_no_success():
    still = assess(Ramp(), Square(), TARGET, match(Ramp(), Square(), TARGET, steps=0, init=jnp.array([0.3, 0.8])))
    assert still.objections == ("no parameter moved from its start",)
    few = match(Ramp(), Square(), TARGET, RMSProp(), steps=80, init=jnp.array([0.0, 0.005]))
    worth = assess(Ramp(), Square(), TARGET, jax.tree.map(lambda leaf: leaf, few))
    assert worth.worked
    quiet = Ramp()(jnp.array([0.02, 0.0]))
    astray = match(Ramp(), Square(), quiet, RMSProp(), steps=1, init=jnp.array([0.9, 0.995]))
    far = assess(Ramp(), Square(), quiet, astray)
    assert not far.worked
    assert far.objections[-1].startswith("no better than silence: loss ")


def test_the_best_of_the_random_draws_is_the_best_that_is_drawn():
    found = match(Ramp(), Square(), TARGET, RMSProp(), steps=20, init=jnp.array([0.9, 0.1]))
    key = jax.random.key(3)
    worth = assess(Ramp(), Square(), TARGET, found, key=key)
    points = np.asarray(worth.draws.trajectory.theta)
    assert len(np.unique(points, axis=0)) == 63
    losses = [float(np.mean((np.asarray(Ramp()(point)) - np.asarray(TARGET)) ** 2)) for point in points]
    np.testing.assert_allclose(worth.draws.value_best, min(losses), rtol=1e-4)


@pytest.mark.parametrize("theta", [[0.005, 0.5], [0.5, 0.995], [-0.02, 1.04], [0.02, 0.98]])
def test_what_is_at_or_near_an_end_is_named(theta):
    worth = assess(
        Ramp(), Square(), TARGET, match(Ramp(), Square(), TARGET, steps=0, init=jnp.clip(jnp.array(theta), 0, 1))
    )
    expected = tuple(name for name, x in zip("ab", theta, strict=True) if not 0.01 < x < 0.99)
    assert worth.at_end == expected
    for name in expected:
        assert worth.remarks(name)[0] == "at or within 1 % of an end of its range"


def test_what_has_no_gradient_is_told_from_what_is_not_heard():
    assert without_gradient(Steps()) == ("b",)  # c has none either, and changes nothing
    assert without_gradient(Steps(), ["a", "c"]) == ()
    assert without_gradient(Ramp()) == ()
    assert without_gradient(bp_noise) == ()


@pytest.mark.parametrize(
    ("program", "flat"),
    [
        ('import("stdfaust.lib"); process = os.osc(hslider("f", 440, 99, 999, 1)) * hslider("g", 1, 0, 1, 0.1);', "f"),
        (
            'import("stdfaust.lib"); n = int(hslider("n", 3, 1, 9, 0.5)); gain = hslider("gain", 1, 0, 1, 0.1);'
            "process = (+(0.01 * n) ~ ma.frac) * 2 * ma.PI : sin : *(gain);",
            "n",
        ),
    ],
)  # fmt: skip
def test_tables_and_whole_numbers_have_no_gradient_and_random_draws_step_in(program, flat):
    synth = FaustSynth("flat", program, table_slopes=False, **SHORT)
    assert without_gradient(synth) == (flat,)
    space = synth.space
    target = synth(jnp.array([0.62, 0.62]))
    found = match(synth, Square(), target, RMSProp(), steps=30, init=jnp.array([0.05, 0.3]))
    column = space.names.index(flat)
    assert not np.ptp(found.trajectory.theta[:, column])
    worth = assess(synth, Square(), target, found)
    assert (worth.start, worth.unmoved, worth.without_gradient) == (None, (flat,), (flat,))
    assert worth.kept.value_best == worth.draws.value_best < found.value_best
    assert not worth.worked
    assert (
        worth.objections[0] == f"{flat} has no gradient for the search to follow; the best of 93 random draws is kept"
    )
    assert worth.remarks(flat)[-2:] == ("never moved", "no gradient")


def test_the_sheet_has_no_blank_cell_and_marks_what_is_kept():
    rng = np.random.default_rng(0)
    target, sound = rng.normal(size=(2, 8_000))
    for names in (("a",), ("a", "b"), ("a", "b", "c", "d")):  # the last over two rows
        values, points = rng.uniform(size=30), rng.uniform(size=(30, len(names)))
        values[3], values[17] = np.nan, 0.0
        figure = match_figure(target, sound, 8_000, points, values, names, ["Hz"] * len(names))
        panels = figure.axes
        assert len(panels) == 5 + len(names)
        assert all(panel.axison and (panel.lines or panel.collections) for panel in panels)
        assert [len(panel.lines) for panel in panels[2:4]] == [2, 2]
        assert [text.get_text() for text in panels[3].get_legend().get_texts()] == ["target", "match"]
        for panel, series in zip(panels[4:], [values, *points.T], strict=True):
            assert panel.lines[1].get_xydata().tolist() == [[17, series[17]]]
