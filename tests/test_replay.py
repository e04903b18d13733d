"""The replay on the Python side: what it takes and refuses, what it sends, and how its traits hang together."""

import base64
import json
from types import SimpleNamespace

import numpy as np
import pytest
from traitlets import TraitError

from sonimatch import Landscape, Match, Trajectory, hp_noise, noise_am
from sonimatch.study import PAPER, Study, Trials
from sonimatch.widgets.replay import Replay, check_grids


def path(steps: int = 21, end: float = 0.5, parameters: int = 2) -> Trajectory:
    """From (0.9, 0.9, ...) straight to a point, past the edge where `end` is beyond it."""
    way = np.linspace(0, 1, steps, dtype=np.float32)[:, None]
    theta = 0.9 + (end - 0.9) * way * np.ones((1, parameters), np.float32)
    return Trajectory(theta, 1 - way[:, 0], np.exp(-way[:, 0]))


def bowl(size: int = 5, goal: float = 0.5) -> Landscape:
    theta = np.stack(np.meshgrid(*[np.linspace(0, 1, size)] * 2, indexing="ij"), -1)
    return Landscape(theta, ((theta - goal) ** 2).sum(-1), 2 * (theta - goal))


def floats(text: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), "<f4")


def study(trials: int = 3, own_targets: bool = False) -> Study:
    """Straight paths in place of a search; where each loss has its own target, they differ."""

    def some(k: int) -> Trials:
        paths = [path(end=0.1 * i) for i in range(trials)]
        stacked = (np.stack([getattr(each, key) for each in paths]) for key in ("theta", "value", "grad_norm"))
        truth = np.full((trials, 2), 0.25 + 0.1 * k * own_targets, np.float32)
        ends = (np.full(trials, True), np.full(trials, 20), np.zeros(trials, np.float32))
        return Trials(truth, *stacked, *ends)

    settings = {**PAPER.settings, "steps": 20, "trials": trials}
    pairs = [(synth.name, loss.name) for synth, loss in PAPER.pairs]
    return Study(settings, {}, {(synth, loss): some(k) for k, (synth, loss) in enumerate(pairs)})


def test_the_page_has_the_paths_thinned_with_their_ends():
    replay = Replay(noise_am, {"L1_Spec": path(22), "mine": path(11)}, {"amp": 1}, {"L1_Spec": bowl()}, every=5)
    long, short = replay.data["trials"]
    np.testing.assert_allclose(floats(long["theta"]).reshape(-1, 2), path(22).theta[[0, 5, 10, 15, 20, 21]])
    np.testing.assert_array_equal(floats(short["value"]), path(11).value[[0, 5, 10]])
    assert (long["last"], short["last"], replay.last) == (21, 10, 21)
    assert (long["color"], short["color"]) == ("#0072B2", "#E69F00")
    np.testing.assert_allclose(floats(replay.data["maps"]["L1_Spec"]["value"]).reshape(5, 5), bowl().value)
    assert len(json.dumps(replay.data)) < 20_000


def test_a_stored_study_of_its_size_is_small_enough_for_a_page():
    four = {name: path(201) for name in ("L1_Spec", "SIMSE_Spec", "Scattering", "DTW_Envelope")}
    replay = Replay(noise_am, four, {}, {name: bowl(41) for name in four})
    assert len(json.dumps(replay.data)) < 250_000


def test_a_match_is_its_trajectory_and_a_batch_is_refused():
    one = path()
    match = Match(one, one.theta[-1], one.value[-1], np.array(True), np.array(3))
    assert Replay(noise_am, {"a": match}, {}).data["trials"] == Replay(noise_am, {"a": one}, {}).data["trials"]
    batch = Trajectory(*(np.stack([each] * 3) for each in vars(one).values()))
    with pytest.raises(ValueError, match=r"a has theta \(3, 21, 2\).*must be \(T, 2\), \(T,\), \(T,\).*one trial at"):
        Replay(noise_am, {"a": batch}, {})


def test_step_and_theta_follow_each_other():
    replay = Replay(noise_am, {"long": path(22), "short": path(11, end=1.2)}, {}, every=5)
    seen = []
    replay.observe(lambda change: seen.append(change["new"]), "step")
    replay.step = 12
    assert replay.step == 10, "the kept step before"
    np.testing.assert_allclose(replay.theta, path(22).theta[10])
    replay.theta = [float(x) for x in path(22).theta[16]]
    assert replay.step == 15
    np.testing.assert_allclose(replay.theta, path(22).theta[15])
    replay.step = 21
    replay.trial = "short"
    assert replay.step == 21
    np.testing.assert_allclose(replay.theta, [1.2, 1.2], rtol=1e-6, err_msg="it rests at its end, out of range")
    assert seen == [10, 15, 21]
    with pytest.raises(TraitError, match="step is 22; it must be 0 to 21"):
        replay.step = 22
    with pytest.raises(TraitError, match=r"no trial 'other' \(there are: long, short\)"):
        replay.trial = "other"


def test_every_point_of_a_path_is_found_again():
    replay = Replay(noise_am, {"long": path(22), "short": path(13)}, {}, every=5)
    for name in ("long", "short"):
        replay.trial = name
        for step in replay._kept(name):
            replay.step = 0
            replay.theta = [float(x) for x in replay.trials[name].theta[step]]
            np.testing.assert_allclose(replay.theta, replay.trials[name].theta[step])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"trials": {}}, "at least one trial"),
        ({"every": 0}, "every must be 1 or more, not 0"),
        ({"target": {"ampere": 1}}, "no parameter 'ampere'; did you mean 'amp'"),
        ({"target": [0.5]}, r"target must be 2 finite numbers for noise_am, not \[0.5\]"),
        ({"landscapes": {"b": bowl()}}, "a landscape for 'b', which is no trial .there are: a."),
        ({"landscapes": {"a": Landscape(bowl().theta[::-1], bowl().value, bowl().gradient)}}, "even steps from 0 to 1"),
        ({"landscapes": {"a": Landscape(bowl().theta[0], bowl().value[0], bowl().gradient[0])}}, r"a has shape \(5,\)"),
        ({"trials": {"a": path(1)}}, "T of 2 or more"),
        ({"trials": {"a": path(parameters=3)}}, r"a has theta \(21, 3\)"),
        ({"trials": {"a": path(end=np.nan)}}, "the path of a is not finite at step 0"),
    ],
)
def test_what_does_not_fit_is_named(change, message):
    with pytest.raises(ValueError, match=message):
        Replay(noise_am, **{"trials": {"a": path()}, "target": {}} | change)


def test_landscapes_need_one_or_two_parameters_and_one_grid():
    with pytest.raises(ValueError, match="one or two parameters; three has 3"):
        check_grids({"a": bowl()}, SimpleNamespace(space=range(3), name="three"))
    with pytest.raises(ValueError, match=r"have .*\(4, 4\).* points; all must have the same"):
        check_grids({"a": bowl(5), "b": bowl(4)}, noise_am)


def test_a_trial_of_a_study_is_played_again():
    stored = study()
    replay = Replay.of_study(stored, "noise_am", 2, losses=["L1_Spec", "DTW_Envelope"], every=4)
    assert list(replay.trials) == ["L1_Spec", "DTW_Envelope"]
    assert replay.synth == noise_am
    np.testing.assert_array_equal(replay.trials["L1_Spec"].theta, stored.trials["noise_am", "L1_Spec"].theta[2])
    np.testing.assert_allclose(replay.target, 0.25)
    assert list(Replay.of_study(stored, "noise_am", 0).trials) == list(stored.losses)


def test_what_a_study_does_not_have_is_named():
    for arguments, message in {
        ("no_such", 0): "no synth 'no_such' in the study .there are: bp_noise, add_sinesaw, noise_am, sinesaw_am.",
        ("noise_am", 3): "trial is 3; the study has trials 0 to 2",
        ("noise_am", -1): "trial is -1",
        ("noise_am", 0, ("L2",)): "no loss 'L2' in the study .there are: L1_Spec",
        ("noise_am", 0, None, hp_noise): "the study ran another noise_am: SHA-256",
    }.items():
        with pytest.raises(ValueError, match=message):
            Replay.of_study(study(), *arguments)
    with pytest.raises(ValueError, match="each loss has a target of its own; name one of: L1_Spec"):
        Replay.of_study(study(own_targets=True), "noise_am", 0)
    assert Replay.of_study(study(own_targets=True), "noise_am", 0, ["L1_Spec"]).trials
    with pytest.raises(ValueError, match="the study paper has no paths, only their ends"):
        Replay.of_study(study().thinned(), "noise_am", 0)


def test_without_scripts_there_is_a_picture_and_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv("SONIMATCH_SOUNDS", str(tmp_path))
    for landscapes in (None, {"L1_Spec": bowl()}):
        replay = Replay(noise_am, {"L1_Spec": path(), "other": path(5)}, {"amp": 2.5, "modulator": 2}, landscapes)
        output = replay._repr_mimebundle_()
        assert "P-loss at the end: L1_Spec 0.000, other 0.000" in output["text/html"]
        assert output["image/png"]
    assert Replay(hp_noise, {"a": path(parameters=1)}, {}).figure()
