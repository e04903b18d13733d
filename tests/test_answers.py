"""Which synth, which settings, how well known: against closed forms; and a program that starts at an answer."""

from dataclasses import dataclass, replace

import jax.numpy as jnp
import numpy as np
import pytest
from test_match import TARGET, Ramp, Square

from sonimatch import PAPER_MSS, FaustSynth, ParamSpace, Race, bp_noise, sinesaw_am
from sonimatch.answers import APART, FINALISTS, LOOK, TOLERANCE, answer, around, candidates, intervals, rank
from sonimatch.faust.preset import preset


@dataclass(frozen=True)
class Flat(Ramp):
    """Only the level: the ramp is out of its reach."""

    name: str = "flat"

    def __call__(self, theta):
        return super().__call__(jnp.stack([0 * theta[0], theta[1]]))


@dataclass(frozen=True)
class Silent(Ramp):
    name: str = "silent"

    def __call__(self, theta):
        return 0 * super().__call__(theta)


@dataclass(frozen=True)
class Together(Ramp):
    """Two parameters that are heard as their sum, and ten times less as their difference."""

    name: str = "together"

    def __call__(self, theta):
        return jnp.tile(jnp.stack([theta[0] + theta[1], 0.1 * (theta[0] - theta[1])]), 32)


# ------------------------------------------------------------------------------------------------- ranking


def test_a_likeness_is_no_match():
    ranking = rank([Flat()], Square(), TARGET, Race(), 100, progress=False)
    ranking = replace(ranking, typical=2 * ranking.answers[0].loss)
    assert (ranking.matched, ranking.answers[0].objections) == (False, ())
    assert ranking.verdict[0].startswith("a likeness, and no match: flat is nearer than the best of 100 random draws")
    assert "but went only 50 % of the way" in ranking.verdict[0]


def test_synths_are_ranked_by_one_loss_and_a_failure_hides_none():
    broken = Ramp(name="broken", broken_above=-1.0)
    short = Ramp(name="short", num_samples=32)
    ranking = rank([short, Silent(), broken, Flat(), Ramp()], Square(), TARGET, Race(), 100, progress=False)
    assert [one.synth.name for one in ranking.answers] == ["ramp", "flat", "silent", "broken", "short"]
    ramp, flat, silent, nowhere, failed = ranking.answers
    assert ramp.loss < 1e-4
    assert flat.loss == pytest.approx(np.mean((0.3 * np.linspace(-1, 1, 64)) ** 2), rel=1e-3), "what no level reaches"
    assert (silent.loss, nowhere.loss, failed.loss) == (np.inf,) * 3
    assert silent.objections == ("the best sound found is silent",)
    assert nowhere.objections == ("no finite sound was found",)
    assert failed.objections == ("failed: target must have shape (32,) for short, not (64,)",)
    assert (ramp.objections, ranking.clear) == ((), True)
    beats = "a match: ramp is nearer than the best of 100 random draws, and than silence, and went "
    assert ranking.verdict[0].startswith(beats)
    assert ranking.matched
    assert ranking.verdict[1] == "it is clearly nearer than the runner-up, flat"
    assert np.isnan(ramp.mss), "64 samples are shorter than its windows"


def test_the_way_runs_from_a_typical_draw_to_the_target():
    ranking = rank([Ramp(), Flat()], Square(), TARGET, Race(), 100, progress=False)
    losses = np.concatenate([one.worth.draws.trajectory.value for one in ranking.answers])
    assert (ranking.equal, ranking.typical) == (0, pytest.approx(np.median(losses)))
    assert ranking.way(ranking.equal) == 1
    assert ranking.way(ranking.typical) == 0
    best = ranking.answers[0].loss
    assert ranking.within == pytest.approx(best + TOLERANCE * (ranking.typical - best))


def test_twins_are_told_apart_by_nothing_and_the_second_opinion_counts():
    twins = rank([Ramp(), Ramp(name="twin")], Square(), TARGET, Race(), 100, progress=False)
    assert twins.clear is False
    assert twins.verdict[1] == "it is not clearly nearer than the runner-up, twin: hear both"
    assert rank([Ramp()], Square(), TARGET, Race(), 20, progress=False).clear is None
    long = Ramp(num_samples=4_500)
    target = long(jnp.array([0.3, 0.8]))
    one = answer(long, Square(), target, Race(), 20, progress=False)
    assert one.mss == pytest.approx(float(PAPER_MSS(target, jnp.asarray(one.sound))), rel=1e-5)


@dataclass(frozen=True)
class Sum(Ramp):
    """Three parameters that are heard as their sum: what comes near has a larger budget of its own."""

    name: str = "sum"

    @property
    def space(self):
        return ParamSpace(("a", "b", "c"), (0.0,) * 3, (1.0,) * 3, ("linear",) * 3, ("",) * 3, (0.5,) * 3)

    def __call__(self, theta):
        return super().__call__(jnp.stack([theta.sum() / 3, theta[0]]))


def test_of_many_synths_the_nearest_have_their_own_budget():
    synths = [Flat(), Silent(), Sum(name="far", broken_above=-1.0), Sum()]
    assert (LOOK, FINALISTS) == (96, 2), "as README.md and the help of `match` say"
    ranking = rank(synths, Square(), TARGET, progress=False)
    spent = {one.synth.name: int(one.worth.runs.evaluations[0]) for one in ranking.answers}
    assert spent == {"sum": 240, "flat": 160, "silent": LOOK, "far": LOOK}
    assert ranking.evaluations == sum(spent.values()) + 2 * LOOK, "the first look counts"
    assert ranking.drawn == 4 * LOOK
    alone = answer(Sum(), Square(), TARGET, progress=False)
    np.testing.assert_array_equal(alone.worth.kept.theta_best, ranking.answers[0].worth.kept.theta_best)
    few = rank([Flat(), Sum()], Square(), TARGET, progress=False)
    assert few.evaluations == few.drawn == 160 + 240
    told = rank(synths, Square(), TARGET, Race(), 200, progress=False)
    assert told.evaluations == told.drawn == 4 * 200


def test_a_search_goes_on_from_a_given_point():
    first = answer(Ramp(), Square(), TARGET, Race(), 20, seed=3, progress=False)
    best = first.worth.kept.theta_best
    again = answer(Ramp(), Square(), TARGET, Race(), 20, seed=4, first=best, progress=False)
    np.testing.assert_array_equal(again.worth.runs.trajectory.theta[0, 0], best)
    assert again.loss <= first.loss


# ------------------------------------------------------------------------------------------------- around one answer


def test_candidates_are_apart_and_best_first():
    ranking = rank([Ramp()], Square(), TARGET, Race(), 100, progress=False)
    one = ranking.answers[0]
    found, spent = candidates(one, Square(), TARGET, 5)
    points = np.stack([each.theta for each in found])
    np.testing.assert_array_equal(points[0], one.worth.kept.theta_best)
    gaps = np.abs(points[:, None] - points[None]).max(-1) + np.eye(5)
    assert gaps.min() >= APART
    losses = [each.loss for each in found]
    assert losses[1:] == sorted(losses[1:])
    assert spent == 4 * 24
    for each in found:
        np.testing.assert_allclose(each.loss, np.mean((each.sound - np.asarray(TARGET)) ** 2), rtol=1e-4, atol=1e-9)
    heard = np.concatenate([one.worth.runs.trajectory.theta[0], one.worth.draws.trajectory.theta])
    value = np.concatenate([one.worth.runs.trajectory.value[0], one.worth.draws.trajectory.value])
    away = np.abs(heard - points[0]).max(1) >= APART
    assert found[1].loss <= value[away].min(), "no worse than the best that was heard there"
    assert len(candidates(one, Square(), TARGET, 1)[0]) == 1
    many, _ = candidates(one, Square(), TARGET, 99, apart=0.6, polish=1)
    assert 1 < len(many) <= 4, "no more than there is room for"


@pytest.mark.parametrize("synth", [Ramp(), Together()], ids=["apart", "together"])
def test_intervals_are_profiles(synth):
    """For `L = d^T H d` the profile of parameter j reaches `sqrt(within (H^-1)_jj)`, which where they are heard
    together is five times what it is with the other held. A walk of 40 evaluations comes within 15 %, from inside."""
    best, within = np.array([0.5, 0.45]), 2e-5
    sounds = np.stack([np.asarray(synth(jnp.asarray(unit))) for unit in np.eye(2)], 1)
    hessian = sounds.T @ sounds / len(sounds)
    reach = np.sqrt(within * np.diag(np.linalg.inv(hessian)))
    found = intervals(synth, Square(), synth(jnp.asarray(best)), best, within)
    for end in (best - found.low, found.high - best):
        assert (end <= 1.001 * reach).all(), "single precision"
        assert (end >= 0.85 * reach).all(), (end, reach)
    assert found.evaluations == 160
    if synth.name == "together":
        assert (reach > 4 * np.sqrt(within / np.diag(hessian))).all(), "the others held it would be narrower"


def test_what_is_not_heard_may_be_anything():
    found = intervals(Flat(), Square(), Flat()(jnp.array([0.5, 0.7])), [0.5, 0.7], 1e-4)
    np.testing.assert_allclose([found.low[0], found.high[0]], [0, 1])
    assert 0.68 < found.low[1] < 0.7 < found.high[1] < 0.72


def test_an_interval_ends_at_the_wall_and_one_parameter_needs_no_other():
    found = intervals(Ramp(), Square(), Ramp()(jnp.array([0.0, 1.0])), [0.0, 1.0], 1e-4)
    assert (found.low[0], found.high[1]) == (0, 1)

    @dataclass(frozen=True)
    class Level(Ramp):
        @property
        def space(self):
            return ParamSpace(("a",), (0.0,), (1.0,), ("linear",), ("",), (0.5,))

        def __call__(self, theta):
            return jnp.full(64, theta[0])

    ranking = rank([Level()], Square(), jnp.full(64, 0.4), Race(), 30, progress=False)
    near = around(ranking, Square(), jnp.full(64, 0.4), 2)
    reach = np.sqrt(ranking.within)
    np.testing.assert_allclose([near.intervals.low[0], near.intervals.high[0]], [0.4 - reach, 0.4 + reach], atol=3e-3)
    assert near.intervals.evaluations == 32
    told = "30 of the search, 30 random draws, 24 for the other candidates, 32 for the intervals"
    assert near.told(ranking) == told


# ------------------------------------------------------------------------------------------------- presets

TWO = """\
import("stdfaust.lib"); // hslider("a", 1, 0, 2, 1) in a remark
a = vgroup("left", hslider("a[unit:Hz]", 2 * (1 + max(0, 3)), 0, 20, 0.001));
b = vgroup("right", vslider("a", 5, 0, 20, 0.001)); /* "a", 5, */
c = nentry("h:more/count", 3, 0, 9, 1);
d = hslider("d, (e)", 0.5, 0, 1, 0.01);
process = os.phasor(1, a + 10 * b + 100 * int(c) + d);
"""


@pytest.mark.parametrize("synth", [bp_noise, sinesaw_am], ids=lambda synth: synth.name)
def test_a_preset_starts_at_the_answer_and_sounds_so(synth):
    theta = np.array([0.3217, 0.7531], np.float32)
    text, left = preset(synth, theta)
    made = FaustSynth("made", text)
    assert left == ()
    assert made.space.names == synth.space.names
    np.testing.assert_allclose(made.space.default, synth.space.to_physical(theta), rtol=1e-6)
    np.testing.assert_allclose(
        made.render_native(made.space.theta({})), synth.render_native(theta), atol=1e-4
    )  # fmt: skip
    assert [line for line in text.splitlines() if "slider" not in line] == [
        line for line in synth.source.splitlines() if "slider" not in line
    ]


def test_a_preset_finds_the_slider_that_is_meant():
    """Twins in two groups, a default that is computed, a label with a path and one with a comma, remarks."""
    synth = FaustSynth("two", TWO)
    values = {"d___e": 0.875, "left_a": 7.25, "count": 4, "right_a": 11.5}
    assert (*values,) == synth.space.names
    text, left = preset(synth, synth.space.theta(values))
    assert left == ()
    np.testing.assert_allclose(FaustSynth("made", text).space.default, [*values.values()], rtol=1e-6)
    assert text.splitlines()[0] == TWO.splitlines()[0]
    assert preset(synth, synth.space.theta({})) == (TWO, ()), "nothing to write"


def test_what_cannot_be_written_is_told_and_not_written():
    one = 'hslider("h", 1, 0, 2, 0.001)'
    several = FaustSynth("several", f'process = par(i, 2, hslider("g%i", 0.5, 0, 1, 0.01)) :> *({one});')
    text, left = preset(several, [0.2, 0.9, 0.1])
    assert left == ("g0", "g1")
    np.testing.assert_allclose(FaustSynth("made", text).space.default, [0.5, 0.5, 0.2], rtol=1e-6)
    shared = FaustSynth("shared", 'g = hslider("g", 0.5, 0, 1, 0.01); process = vgroup("a", g) + vgroup("b", g);')
    text, left = preset(shared, [0.2, 0.9])
    assert (text, left) == (shared.source, shared.space.names)
    library = FaustSynth("library", 'import("stdfaust.lib"); process = os.osc(440) : ba.db2linear : dm.cubicnl_demo;')
    text, left = preset(library, np.full(len(library.space), 0.123))
    assert (text, left) == (library.source, library.space.names)
    assert left, "its sliders stand in the library"
