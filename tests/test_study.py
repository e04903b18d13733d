"""The study: the same numbers whatever the order, the company, the interruption or the executor; and what is refused.

Everything runs on programs of a tenth of a second. Bits are compared between processes of one core each, since the
number of threads may change rounding.
"""

import csv
import importlib
import json
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import Executor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import psutil
import pytest

from sonimatch import LOSSES, MSS, STFT, FaustSynth, L1_Spec, RMSProp, match, plots, study
from sonimatch.__main__ import main
from sonimatch.search import RandomSearch
from sonimatch.study import PAPER, PRESETS, RELEASED, Experiment, Study, StudyError, Trials, experiment_of, load, run

running = importlib.import_module("sonimatch.study.run")  # the module; `study.run` is its function

TONE = FaustSynth(
    "tone",
    'process = (hslider("freq [unit:Hz]", 400, 100, 1000, 1) / 44100 : (+ : \\(x).(x - floor(x))) ~ _) * 2 - 1'
    ' : *(hslider("gain", 0.5, 0.1, 1, 0.01));',
    num_samples=4410,
)
HISS = FaustSynth(
    "hiss", 'import("stdfaust.lib"); process = no.noise * hslider("level", 1, 0, 3, 1);', num_samples=4410
)
SHORT, LONG = L1_Spec(STFT(128, 64, 128, 64), name="short"), L1_Spec(STFT(512, 256, 512, 256), name="long")
TINY = Experiment("tiny", (TONE, HISS), (SHORT, LONG), steps=5, trials=9, score=MSS((STFT(256, 128, 256, 128),)))
SMALL = replace(TINY, name="small", synths=(HISS,), losses=(SHORT,), trials=40)
PAIRS = [(synth.name, loss.name) for synth, loss in TINY.pairs]
SCRIPT = """\
import pickle, sys
from sonimatch import study
if __name__ == "__main__":
    study.storage._CHUNK = 1
    study.run(pickle.load(open(sys.argv[1], "rb")), sys.argv[2], workers=1, progress=False)
"""


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    monkeypatch.setattr(study.storage, "_CHUNK", 4)


@pytest.fixture(scope="module")
def pool():
    """A worker as `run` starts them, kept warm."""
    with running._pool(1) as pool:
        yield pool


@pytest.fixture(scope="module")
def finished(pool, tmp_path_factory) -> Study:
    return run(TINY, tmp_path_factory.mktemp("finished"), executor=pool, progress=False)


@pytest.fixture(scope="module")
def small(pool, tmp_path_factory) -> Study:
    return run(SMALL, tmp_path_factory.mktemp("small"), executor=pool, progress=False)


class Idle(Executor):
    """An executor for what must not compute."""

    def submit(self, *_, **__):
        raise AssertionError("nothing was to be computed")


def unfinished(finished: Study, folder: Path) -> Path:
    """A folder in which every chunk is done, and the study not yet put together."""
    parts = folder / f"{finished.settings['name']}.parts"
    study.storage._claim(TINY, parts)
    study.storage._unpack(finished, parts)
    return parts


def equal(a: Trials, b: Trials) -> bool:
    return all(x.dtype == y.dtype and x.tobytes() == y.tobytes() for x, y in zip(a, b, strict=True))


def workers_of(pid: int) -> list[psutil.Process]:
    workers = []
    for child in psutil.Process(pid).children() if psutil.pid_exists(pid) else ():
        with suppress(psutil.Error):  # others come and go
            workers += [child] if "spawn_main" in " ".join(child.cmdline()) else []
    return workers


def take(trials: Trials, rows) -> Trials:
    return Trials(*(array[rows] for array in trials))


# ------------------------------------------------------------------------------------------------- the same numbers


def test_a_trial_does_not_depend_on_the_others(pool, finished):
    order = np.random.default_rng(0).permutation(9)
    for synth, loss in TINY.pairs:
        whole = finished.trials[synth.name, loss.name]
        assert equal(pool.submit(study.solve, TINY, synth, loss, order.tolist()).result(), take(whole, order))
        for i in (0, 8):
            assert equal(pool.submit(study.solve, TINY, synth, loss, [i]).result(), take(whole, [i]))


def test_two_workers_do_what_one_does(tmp_path, small):
    messages = []
    again = run(SMALL, tmp_path, workers=2, progress=False, report=messages.append)
    assert again.checksum == small.checksum == load(tmp_path / "small.npz").checksum
    assert messages == ["hiss, short: 40 trials done"]
    assert [path.name for path in tmp_path.iterdir()] == ["small.npz"]


def test_the_shapes_and_what_they_mean(finished):
    assert list(finished.trials) == PAIRS
    for (synth, loss), trials in finished.trials.items():
        P = len(finished.space(synth))
        shapes = [(9, P), (9, 6, P), (9, 6), (9, 6), (9,), (9,), (9,)]
        assert [array.shape for array in trials] == shapes
        assert trials.ok.all()
        assert (trials.kept == 5).all()
        np.testing.assert_array_equal(trials.start, trials.theta[:, 0])
        np.testing.assert_array_equal(trials.end, trials.theta[:, 5])
        path = finished.P_loss(synth, loss, "path")
        assert path.shape == (9, 6)
        np.testing.assert_array_equal(path[:, -1], finished.P_loss(synth, loss))
        np.testing.assert_array_equal(path[:, 0], finished.P_loss(synth, loss, "start"))
        np.testing.assert_allclose(path[:, -1], np.abs(trials.end - trials.theta_true).mean(1), rtol=1e-6)
    assert finished.space("tone") == replace(TONE.space, step=())  # which matter where a parameter is quantised


@pytest.mark.told_start
def test_a_trial_is_a_match(finished):
    trials = finished.trials["tone", "short"]
    problem = TINY.draw(TONE, SHORT, [3])
    np.testing.assert_array_equal(problem.target[0], TONE(problem.theta_true[0]))
    alone = match(TONE, SHORT, problem.target[0], RMSProp(), steps=5, init=problem.theta_init[0])
    np.testing.assert_allclose(trials.theta[3], alone.trajectory.theta, atol=1e-5)
    np.testing.assert_allclose(trials.MSS[3], TINY.score(problem.target[0], TONE(trials.end[3])), rtol=1e-5)


def test_paired_losses_meet_the_same_problems(finished):
    for synth in finished.synths:
        short, long = (finished.trials[synth, loss] for loss in finished.losses)
        np.testing.assert_array_equal(short.theta_true, long.theta_true)
        np.testing.assert_array_equal(short.start, long.start)
        assert (short.start != short.theta_true).any(1).all()
    unpaired = replace(TINY, paired=False)
    short, long = (unpaired.draw(TONE, loss, range(9)) for loss in (SHORT, LONG))
    assert (np.asarray(short.theta_true) != np.asarray(long.theta_true)).all()
    assert (np.asarray(short.theta_init) != np.asarray(long.theta_init)).all()
    other = replace(TINY, seed=1).draw(TONE, SHORT, range(9))
    assert (np.asarray(other.theta_true) != finished.trials["tone", "short"].theta_true).all()


def test_the_best_point_is_kept_if_wished(pool, finished):
    best = pool.submit(study.solve, replace(TINY, keep="best"), TONE, SHORT, range(9)).result()
    last = finished.trials["tone", "short"]
    np.testing.assert_array_equal(best.theta, last.theta)
    np.testing.assert_array_equal(best.kept, last.value.argmin(1))
    assert equal(take(best, best.kept == 5), take(last, best.kept == 5))


# ------------------------------------------------------------------------------------------------- draws


def test_whole_numbers(rng):
    whole = replace(TINY, whole_targets=("tone.freq", "hiss.level"), whole_starts=("hiss.level",))
    for synth, column in ((TONE, 0), (HISS, 0)):
        plain, rounded = (e.draw(synth, SHORT, range(64)) for e in (TINY, whole))
        before, after = (np.asarray(synth.space.to_physical(p.theta_true))[:, column] for p in (plain, rounded))
        np.testing.assert_allclose(after, np.floor(before), atol=1e-4 * after.max())
    np.testing.assert_array_equal(*(jax.random.key_data(problem.key) for problem in (plain, rounded)))
    levels = np.asarray(HISS.space.to_physical(rounded.theta_init))[:, 0]
    np.testing.assert_allclose(levels, np.round(levels), atol=1e-5)
    assert np.bincount(np.round(levels).astype(int), minlength=4).min() > 6  # 0, 1, 2 and 3 alike
    rounded, plain = (e.draw(TONE, SHORT, range(4)) for e in (whole, TINY))
    np.testing.assert_array_equal(rounded.theta_true[:, 1], plain.theta_true[:, 1])
    np.testing.assert_array_equal(rounded.theta_init, plain.theta_init)


def test_noise_of_its_own():
    """`no.noise` by its definition: r <- 1103515245 r + 12345 in 32 bits, from the seed."""
    theta = jnp.array([1 / 3])
    np.testing.assert_array_equal(HISS.with_noise(theta, 0), HISS(theta))
    np.testing.assert_array_equal(TONE.with_noise(jnp.array([0.3, 0.4]), 7), TONE(jnp.array([0.3, 0.4])))
    sounds = []
    for seed in (0, 1, 123_456_789):
        state, expected = np.int64(seed), []
        for _ in range(200):
            state = (state * 1_103_515_245 + 12_345) % 2**32
            expected.append(np.int64(state - 2**32 if state >= 2**31 else state) / 2_147_483_647)
        sounds.append(np.asarray(HISS.with_noise(theta, seed)))
        np.testing.assert_allclose(sounds[-1][:200], expected, rtol=1e-5, atol=1e-7)
    assert np.abs(np.corrcoef(sounds) - np.eye(3)).max() < 0.08  # over 4410 samples the standard deviation is 0.015


def test_independent_noise_is_in_the_target_alone():
    own = replace(TINY, shared_noise=False).draw(HISS, SHORT, [0, 1])
    shared = TINY.draw(HISS, SHORT, [0, 1])
    np.testing.assert_array_equal(own.theta_true, shared.theta_true)
    np.testing.assert_array_equal(shared.target[0], HISS(shared.theta_true[0]))
    sounds = np.stack([shared.target[0], own.target[0], own.target[1]])
    assert np.abs(np.corrcoef(sounds) - np.eye(3)).max() < 0.08
    tone = replace(TINY, shared_noise=False).draw(TONE, SHORT, [0])
    np.testing.assert_array_equal(tone.target[0], TONE(tone.theta_true[0]))


# ------------------------------------------------------------------------------------------------- interruptions


def test_killed_at_any_moment(tmp_path, small):
    """SIGKILL early and late, then an end: the bits of an undisturbed run, and no worker outlives its parent."""
    (tmp_path / "script.py").write_text(SCRIPT)
    (tmp_path / "experiment").write_bytes(pickle.dumps(SMALL))
    words = [sys.executable, "script.py", "experiment", "out"]
    rng, seen, parts = np.random.default_rng(1), [], tmp_path / "out" / "small.parts"
    for low, high in ((1, 5), (12, 32)):
        process = subprocess.Popen(words, cwd=tmp_path, stderr=subprocess.DEVNULL)
        moment = rng.integers(low, high)
        while len([*parts.glob("0*.npz")]) < moment and process.poll() is None:
            time.sleep(0.002)
        time.sleep(rng.uniform(0, 0.02))
        workers = workers_of(process.pid)
        process.kill()
        process.wait()
        assert not psutil.wait_procs(workers, timeout=60)[1]
        seen.append(len([*parts.glob("0*.npz")]))
    assert any(0 < number < 40 for number in seen), seen
    subprocess.run(words, cwd=tmp_path, check=True, capture_output=True)
    assert load(tmp_path / "out" / "small.npz").checksum == small.checksum
    assert not parts.exists()


def test_a_second_run_is_refused_and_a_killed_one_holds_nothing(tmp_path, pool, small):
    (tmp_path / "script.py").write_text(SCRIPT)
    (tmp_path / "experiment").write_bytes(pickle.dumps(SMALL))
    words = [sys.executable, "script.py", "experiment", "out"]
    parts = tmp_path / "out" / "small.parts"
    first = subprocess.Popen(words, cwd=tmp_path, stderr=subprocess.DEVNULL)
    try:
        while not (parts / "lock").is_file() or not (parts / "lock").read_text():
            assert first.poll() is None
            time.sleep(0.002)
        first.send_signal(signal.SIGSTOP)  # it does not end while we look
        second = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True)
        said = f"process {first.pid} is running small in this folder: {Path('out') / 'small.parts'}; wait until it ends"
        assert second.returncode == 1
        assert said in second.stderr.splitlines()[-1]
        with pytest.raises(StudyError, match=f"process {first.pid} is running small"):
            run(SMALL, tmp_path / "out", executor=Idle(), progress=False)
        run(replace(SMALL, name="other", trials=1), tmp_path / "out", executor=pool, progress=False)
    finally:
        first.kill()
        first.wait()
    assert (parts / "lock").read_text() == str(first.pid)  # the file stays, the hold does not
    again = run(SMALL, tmp_path / "out", executor=pool, progress=False)
    assert again.checksum == small.checksum
    assert not parts.exists()


def test_damaged_chunks_are_named_and_run_again(tmp_path, pool, finished):
    parts = unfinished(finished, tmp_path)
    flipped, cut, gone, strange = (
        parts / f"{name}.npz" for name in ("000-000000", "001-000004", "002-000008", "003-000000")
    )
    content = bytearray(flipped.read_bytes())
    content[len(content) // 2] ^= 1
    flipped.write_bytes(content)
    cut.write_bytes(cut.read_bytes()[:-30])
    gone.unlink()
    settings = replace(TINY, steps=4).settings
    study.storage._write(strange, settings, take(finished.trials["hiss", "long"], slice(0, 4))._asdict())
    messages = []
    again = run(TINY, tmp_path, executor=pool, progress=False, report=messages.append)
    assert again.checksum == finished.checksum
    told = [message for message in messages if "run again" in message]
    assert len(told) == 3
    for path, words in ((flipped, "is damaged"), (cut, "is damaged"), (strange, "is of another experiment")):
        assert any(str(path) in message and words in message for message in told)


def test_a_finished_study_is_not_run_again(tmp_path, finished):
    study.save(finished, tmp_path / "tiny.npz")
    unfinished(finished, tmp_path)  # what a kill between the record and the end leaves
    assert run(TINY, tmp_path, executor=Idle(), progress=False).checksum == finished.checksum
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.npz"]


def test_more_trials_continue_a_study(tmp_path, pool, finished):
    more = replace(TINY, trials=14)
    study.save(finished, tmp_path / "tiny.npz")
    longer = run(more, tmp_path, executor=pool, progress=False)
    for pair in PAIRS:
        assert equal(take(longer.trials[pair], slice(9)), finished.trials[pair])
    at_once = pool.submit(study.solve, more, TONE, LONG, range(14)).result()
    assert equal(longer.trials["tone", "long"], at_once)
    assert longer.provenance["seconds"] >= finished.provenance["seconds"]
    with pytest.raises(StudyError, match="holds 14 trials of each pair of tiny, more than 9"):
        run(TINY, tmp_path)


def test_another_experiment_of_the_same_name_is_refused(tmp_path, finished):
    unfinished(finished, tmp_path)
    with pytest.raises(StudyError, match=r"tiny.parts holds another experiment named tiny: it differs in steps, keep;"):
        run(replace(TINY, steps=6, keep="best"), tmp_path)
    study.save(finished, tmp_path / "tiny.npz")
    with pytest.raises(StudyError, match=r"tiny.npz holds another experiment named tiny: it differs in losses;"):
        run(replace(TINY, losses=(SHORT,)), tmp_path)
    with pytest.raises(StudyError, match="differs in synths"):
        run(replace(TINY, synths=(replace(TONE, precision="single"), HISS)), tmp_path)


# ------------------------------------------------------------------------------------------------- workers


@dataclass(frozen=True)
class Deadly(L1_Spec):
    """A loss that kills its process, once."""

    flag: str = ""

    def feature(self, audio):
        if not Path(self.flag).exists():
            Path(self.flag).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().feature(audio)


def test_a_worker_that_dies_is_replaced(tmp_path, pool):
    experiment = replace(SMALL, losses=(Deadly(SHORT.stft, flag=str(tmp_path / "flag")),))
    messages = []
    found = run(experiment, tmp_path / "a", workers=1, progress=False, report=messages.append)
    assert "a worker died; its chunk is run again" in messages
    assert found.checksum == run(experiment, tmp_path / "b", executor=pool, progress=False).checksum


def test_workers_that_die_always_are_not_replaced_for_ever(tmp_path, monkeypatch):
    class Broken(Executor):
        def submit(self, *_, **__):
            raise BrokenProcessPool("again")

    monkeypatch.setattr(running, "_pool", contextmanager(lambda workers: (yield Broken())))
    messages = []
    with pytest.raises(BrokenProcessPool):
        run(TINY, tmp_path, workers=1, progress=False, report=messages.append)
    assert len(messages) == 2


def test_an_error_in_a_worker_is_told(tmp_path, pool):
    wrong = replace(SHORT, sample_rate=8000)
    with pytest.raises(ValueError, match="short works at 8000 Hz but tone at 44100 Hz"):
        run(replace(TINY, synths=(TONE,), losses=(wrong,)), tmp_path, executor=pool, progress=False)


@pytest.mark.filterwarnings("default")  # those of Dask are its own affair
def test_dask_with_a_worker_killed(tmp_path, small, monkeypatch):
    import distributed

    monkeypatch.setattr(study.storage, "_CHUNK", 1)
    settings = {"n_workers": 2, "threads_per_worker": 1, "processes": True, "dashboard_address": None}
    with distributed.LocalCluster(**settings, env={"NPROC": "1"}) as cluster, distributed.Client(cluster) as client:
        pid = next(iter(client.run(os.getpid).values()))

        def kill() -> None:
            while len([*tmp_path.glob("small.parts/0*.npz")]) < 12:
                time.sleep(0.002)
            os.kill(pid, signal.SIGKILL)

        killer = threading.Thread(target=kill, daemon=True)
        killer.start()
        found = run(SMALL, tmp_path, executor=client.get_executor(), progress=False)
        killer.join()
        assert found.checksum == small.checksum
        assert pid not in client.run(os.getpid).values()


# ------------------------------------------------------------------------------------------------- settings


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"steps": 0}, "steps is 0; it must be at least 1"),
        ({"trials": 0}, "trials is 0; it must be at least 1"),
        ({"seed": -1}, "seed is -1; it must be at least 0"),
        ({"keep": "first"}, "keep is 'first'; it must be 'last' or 'best'"),
        ({"name": ""}, "name is ''; it must be the name of a file"),
        ({"name": "a/b"}, "name is 'a/b'"),
        ({"synths": ()}, "synths are none"),
        ({"losses": (SHORT, replace(LONG, name="short"))}, "losses are short, short; there must be some, of different"),
        ({"whole_targets": ("tone.level",)}, "no parameter 'tone.level'"),
        ({"whole_starts": ("freq",)}, "no parameter 'freq'"),
    ],
)
def test_settings_that_make_no_experiment(settings, words):
    with pytest.raises(ValueError, match=words):
        replace(TINY, **settings)


def test_settings_are_plain_and_complete():
    for experiment in (*PRESETS, TINY):
        assert json.loads(study.storage._text(experiment.settings)) == experiment.settings
    changes = {"search": RMSProp(eps=0), "score": MSS(), "paired": False, "whole_targets": ("hiss.level",)}
    for name, value in changes.items():
        assert study.experiment._different(replace(TINY, **{name: value}), TINY.settings) == [name]
    different = study.experiment._different
    assert different(replace(TINY, synths=(replace(TONE, source=TONE.source + " "), HISS)), TINY.settings)
    assert different(replace(TINY, losses=(SHORT, replace(LONG, stft=STFT()))), TINY.settings) == ["losses"]


def test_experiments_come_back_from_their_settings(monkeypatch):
    variation = replace(RELEASED, name="x", search=RandomSearch(), keep="best", trials=7, losses=(L1_Spec(STFT(512)),))
    every_loss = replace(PAPER, name="x", losses=LOSSES)
    for experiment in (PAPER, RELEASED, variation, every_loss):
        assert experiment_of(json.loads(study.storage._text(experiment.settings))) == experiment
    with pytest.raises(StudyError, match="tiny has parts that this version of sonimatch does not have"):
        experiment_of(TINY.settings)
    for room in (study, study.presets, running):
        monkeypatch.setattr(room, "PRESETS", (TINY,))
    assert experiment_of(TINY.settings) == TINY
    with pytest.raises(StudyError, match=r"does not have: .*colour"):
        experiment_of(TINY.settings | {"colour": "red"})
    changed = json.loads(study.storage._text(TINY.settings))
    changed["synths"][0]["space"]["high"] = [2000.0, 1.0]
    with pytest.raises(StudyError, match="tiny has parts that have changed since: synths"):
        experiment_of(changed)


# ------------------------------------------------------------------------------------------------- records


def test_a_record_comes_back_as_it_was(tmp_path, finished):
    study.save(finished, tmp_path / "deep" / "x.npz")
    again = load(tmp_path / "deep" / "x.npz")
    assert (again.settings, again.provenance, again.checksum) == (
        finished.settings,
        finished.provenance,
        finished.checksum,
    )
    for pair in PAIRS:
        assert equal(again.trials[pair], finished.trials[pair])
    times = {"finished", "seconds", "core_seconds"}
    assert times | {"workers", "cores", "device", "versions", "commit"} == again.provenance.keys()
    clock = replace(finished, provenance={**finished.provenance, "finished": "never"})
    assert clock.checksum == finished.checksum
    renamed = replace(finished, settings={**finished.settings, "name": "other"})
    assert renamed.checksum != finished.checksum


def test_records_that_are_not_whole(tmp_path, finished):
    with pytest.raises(StudyError, match=r"absent.npz: there is no such file"):
        load(tmp_path / "absent.npz")
    (tmp_path / "text.npz").write_text("no archive")
    with pytest.raises(StudyError, match=r"text.npz is damaged"):
        load(tmp_path / "text.npz")
    parts = unfinished(finished, tmp_path)
    with pytest.raises(StudyError, match="is not a finished study"):
        load(parts / "000-000000.npz")
    study.save(finished, tmp_path / "x.npz")
    content, found = (tmp_path / "x.npz").read_bytes(), 0
    for place in np.random.default_rng(0).integers(len(content), size=20):
        (tmp_path / "y.npz").write_bytes(content[:place] + bytes([content[place] ^ 16]) + content[place + 1 :])
        try:
            again = load(tmp_path / "y.npz")
        except StudyError as error:
            found += "y.npz is damaged" in str(error)
        else:  # some bytes of an archive say nothing
            assert (again.checksum, again.provenance) == (finished.checksum, finished.provenance)
    assert found > 10
    with np.load(tmp_path / "x.npz") as file:
        arrays = {name: file[name] for name in file.files}
    arrays["tone/short/MSS"][0] += 1
    np.savez(tmp_path / "z.npz", **arrays)
    with pytest.raises(StudyError, match=r"z.npz is damaged: the checksum does not fit"):
        load(tmp_path / "z.npz")


def test_thinned_records_have_the_same_scores(tmp_path, finished):
    thin = finished.thinned()
    assert thin.is_thinned
    assert not finished.is_thinned
    study.save(thin, tmp_path / "tiny.npz")
    for synth, loss in PAIRS:
        assert thin.trials[synth, loss].theta.shape[1] == 2
        for when in ("start", "end"):
            np.testing.assert_array_equal(thin.P_loss(synth, loss, when), finished.P_loss(synth, loss, when))
    assert run(TINY, tmp_path, executor=Idle(), progress=False).checksum == thin.checksum
    with pytest.raises(StudyError, match="no trials can be added"):
        run(replace(TINY, trials=14), tmp_path)


def test_a_study_with_the_losses_of_another_one_is_the_study_of_all(finished):
    def part(loss, n):
        told = {
            "name": loss.name,
            "losses": [each for each in finished.settings["losses"] if each["name"] == loss.name],
        }
        some = {pair: take(each, slice(n)) for pair, each in finished.trials.items() if pair[1] == loss.name}
        return replace(finished, settings=finished.settings | told | {"trials": n}, trials=some)

    both = part(SHORT, 9).beside(part(LONG, 6))
    assert (both.losses, both.settings["trials"]) == (finished.losses, 6)
    assert [*both.trials] == PAIRS
    assert all(equal(both.trials[pair], take(finished.trials[pair], slice(6))) for pair in PAIRS)
    with pytest.raises(ValueError, match="short and short both have short"):
        part(SHORT, 9).beside(part(SHORT, 9))
    other = part(LONG, 9)
    with pytest.raises(ValueError, match="short and long differ in seed"):
        part(SHORT, 9).beside(replace(other, settings=other.settings | {"seed": 1}))


def test_status_tells_what_a_folder_holds(tmp_path, finished):
    assert study.status(tmp_path) == []
    study.save(finished, tmp_path / "other.npz")
    (tmp_path / "bad.npz").write_text("x")
    parts = unfinished(finished, tmp_path)
    (parts / "000-000004.npz").unlink()
    (parts / "003-000008.npz").write_text("x")
    bad, other, tiny = study.status(tmp_path)
    assert (bad.settings, bad.provenance, bad.done, len(bad.damaged)) == (None, None, {}, 1)
    assert (other.path, other.done) == (tmp_path / "other.npz", dict.fromkeys(PAIRS, 9))
    assert other.provenance == finished.provenance
    assert (tiny.path, tiny.provenance) == (parts, None)
    assert tiny.done == dict(zip(PAIRS, (5, 9, 9, 8), strict=True))
    assert len(tiny.damaged) == 1
    assert "003-000008.npz is damaged" in tiny.damaged[0]


@pytest.fixture
def here(monkeypatch, pool):
    """`verify` and the command line on the warm worker."""
    results = running._results
    monkeypatch.setattr(
        running, "_results", lambda experiment, todo, _, __, say: results(experiment, todo, pool, None, say)
    )
    for room in (study, study.presets, running):
        monkeypatch.setattr(room, "PRESETS", (TINY,))


def test_verify_runs_a_sample_again(here, finished):
    for record in (finished, finished.thinned()):
        rows = study.verify(record, TINY, per_pair=2, seed=1)
        assert [row[:2] for row in rows] == [pair for pair in PAIRS for _ in range(2)]
        assert all(row.equal and row.drawn == row.end == 0 and max(row.value, row.score) < 1e-5 for row in rows)
        assert {row.trial for row in rows} != {row.trial for row in study.verify(record, TINY, 2, seed=2)}
    with pytest.raises(StudyError, match="the record differs from tiny in: steps"):
        study.verify(finished, replace(TINY, steps=9))


@pytest.mark.parametrize(
    ("field", "change", "column"),
    [
        ("theta_true", lambda x: 1 - x, "drawn"),
        ("theta", lambda x: x + 0.01, "drawn"),
        ("value", lambda x: np.roll(x, 1, axis=1), "value"),
        ("MSS", lambda x: 0.9 * x, "score"),
        ("value", lambda x: x * np.float32(1.0001), None),
    ],
)
def test_verify_detects_what_was_changed(here, finished, field, change, column):
    pair = PAIRS[0]
    changed = finished.trials[pair]._replace(**{field: change(getattr(finished.trials[pair], field))})
    first, *others = study.verify(replace(finished, trials={**finished.trials, pair: changed}), TINY)
    assert not first.equal
    assert all(row.equal for row in others)
    if column:
        assert getattr(first, column) > 0.005


# ------------------------------------------------------------------------------------------------- scores


def written(P_loss, MSS, end=0.5) -> Study:
    """A study of one parameter, whose truth is 0, ended at `end` or at the given P-loss, with these MSS."""
    end = np.asarray(P_loss, np.float32)[:, None]
    theta = np.stack([np.ones_like(end), end], 1)
    flags, kept = np.isfinite(end[:, 0]), np.ones(len(end), np.int16)
    flat = np.zeros(theta.shape[:2], np.float32)
    trials = Trials(np.zeros_like(end), theta, flat, flat, flags, kept, np.asarray(MSS, np.float32))
    settings = replace(TINY, synths=(HISS,), losses=(SHORT,), steps=1, trials=len(end)).settings
    return Study(settings, {}, {("hiss", "short"): trials})


def test_scores_follow_the_policies():
    record = written([0.5, 1.5, np.nan, 0.25], [3, np.inf, np.nan, 1])

    def scores(*policies, **named):
        return record.scores("hiss", "short", *policies, **named).tolist()

    assert scores() == [0.5, 1.5, 1.5, 0.25]
    assert scores(non_finite="drop") == [0.5, 1.5, 0.25]
    assert scores(non_finite=2) == [0.5, 1.5, 2.0, 0.25]
    assert scores(out_of_range="clip") == [0.5, 1.0, 1.0, 0.25]
    assert scores(out_of_range="drop") == [0.5, 1.5, 0.25]
    assert scores(non_finite="drop", out_of_range="drop") == [0.5, 0.25]
    assert scores("MSS") == [3, 3, 3, 1]
    assert scores("MSS", "drop", "drop") == [3, 1]
    assert record.P_loss("hiss", "short", released=True)[0] == 1
    for policies, words in (
        ({"metric": "P-loss"}, "metric is 'P-loss'; it must be 'P_loss' or 'MSS'"),
        ({"non_finite": "best"}, "non_finite is 'best'; it must be 'worst', 'drop' or a finite number"),
        ({"non_finite": np.inf}, "non_finite is inf"),
        ({"out_of_range": "stay"}, "out_of_range is 'stay'; it must be 'keep', 'clip' or 'drop'"),
    ):
        with pytest.raises(ValueError, match=words):
            scores(**policies)
    with pytest.raises(ValueError, match="hiss, short: no trial has a finite MSS, with out_of_range='keep'"):
        written([0.1], [np.nan]).scores("hiss", "short", "MSS")


def test_the_summary_counts():
    (row,) = written([0.5, 1.5, np.nan, 0.01], [3, np.inf, np.nan, 1]).summary()
    assert (row["synth"], row["loss"], row["trials"], row["P_loss_start"]) == ("hiss", "short", 4, 1)
    ends = np.array([0.5, 1.5, 0.01])
    assert row["P_loss"] == pytest.approx(ends.mean())
    assert row["P_loss_se"] == pytest.approx(ends.std(ddof=1) / np.sqrt(3))
    assert (row["MSS"], row["MSS_se"]) == pytest.approx((2, 1))
    assert (row["solved"], row["out_of_range"], row["not_finite"], row["no_score"]) == (0.25, 1, 1, 2)
    (alone,) = written([0.5], [np.nan]).summary()
    assert np.isnan([alone["P_loss_se"], alone["MSS"], alone["MSS_se"]]).all()


# ------------------------------------------------------------------------------------------------- searches


@pytest.mark.told_start
def test_random_search_is_its_draws():
    def objective(theta):
        return jnp.sum((theta - 0.3) ** 2)

    search, key = RandomSearch(), jax.random.key(3)
    state, points = search.init(jnp.array([0.9, 0.1]), key), []
    for n in range(20):
        state, seen = search.step(state, objective, jax.random.fold_in(key, n))
        assert float(seen.value) == pytest.approx(float(objective(seen.theta)))
        assert seen.grad_norm == 0
        points.append(np.asarray(seen.theta))
    np.testing.assert_array_equal(points[0], np.float32([0.9, 0.1]))
    for n in range(19):
        np.testing.assert_array_equal(points[n + 1], jax.random.uniform(jax.random.fold_in(key, n), (2,)))


@pytest.mark.parametrize("bounded", [False, True])
@pytest.mark.parametrize("kind", ["flat outside", "broken above"])
def test_rest_changes_nothing(kind, bounded):
    """RMSProp stops computing where the gradient is zero; without that, it would take the same steps to the bit."""

    class Restless(RMSProp):
        def _move(self, objective, state):
            return *super()._move(objective, state)[:-1], jnp.array(False)

    def objective(theta):
        if kind == "flat outside":  # pushed over the end of the range, where nothing is heard
            return -jnp.sum(jnp.where(theta > 1, 1.0, theta) ** 2)
        return jnp.where(theta[0] > 0.8, jnp.nan, 1.0) * -jnp.sum(theta)

    paths, rested = [], []
    for search in (RMSProp(bounded=bounded), Restless(bounded=bounded)):
        step, key = jax.jit(lambda state, key, search=search: search.step(state, objective, key)), jax.random.key(0)
        state, path = search.init(jnp.array([0.5, 0.9]), key), []
        for _ in range(40):
            state, seen = step(state, key)
            path.append([*seen.theta, seen.value, seen.grad_norm])
            rested += [bool(state[-1])] if search == RMSProp(bounded=bounded) else []
        paths.append(np.array(path))
    np.testing.assert_array_equal(*paths)
    assert rested[-1] == (kind == "broken above" or not bounded)
    if rested[-1]:
        stop = rested.index(True)
        assert 2 < stop < 30
        assert all(rested[stop:])
        np.testing.assert_array_equal(paths[0][stop:], np.broadcast_to(paths[0][stop], (40 - stop, 4)))


# ------------------------------------------------------------------------------------------------- figures


def test_violins_have_the_colour_of_their_loss_and_keep_their_axis():
    rng = np.random.default_rng(0)
    names = ["L1_Spec", "Scattering", "c"]
    distributions = {synth: {loss: rng.normal(size=50) for loss in names} for synth in ("x", "y")}
    ranks = {"x": dict(zip(names, (2, 1, 2), strict=True)), "y": dict(zip(names, (1, 2, 3), strict=True))}
    figure = plots.violins_figure(distributions, ranks, "mean")
    for panel, synth in zip(figure.axes, ranks, strict=True):
        colors = [plots.mpl.colors.to_hex(body.get_facecolor()[0]).upper() for body in panel.collections]
        assert colors[:2] == [plots.COLORS[loss] for loss in names[:2]]
        assert colors[2] not in plots.COLORS.values()
        assert [text.get_text() for text in panel.texts] == [str(rank) for rank in ranks[synth].values()]
        assert [label.get_text() for label in panel.get_xticklabels()] == names
    assert figure._repr_png_()[:4] == b"\x89PNG"
    alone = [panel.get_ylim() for panel in figure.axes]
    rivals = {synth: dict(zip(names, (0.5, 40.0, -12.5), strict=True)) for synth in ranks}
    figure = plots.violins_figure(distributions, ranks, "mean", rivals)
    assert [panel.get_ylim() for panel in figure.axes] == alone, "what random search attains leaves the violins as wide"
    for panel in figure.axes:
        low, high = panel.get_ylim()
        points, markers = zip(*((line.get_xydata()[0], line.get_marker()) for line in panel.lines[:3]), strict=True)
        np.testing.assert_allclose(points, [(1.36, 0.5), (2.36, high), (3.36, low)])
        assert markers == ("D", "^", "v")
        assert {"40", "-12.5"} < {text.get_text() for text in panel.texts}
    assert "random search" in [text.get_text() for text in figure.legends[0].get_texts()]


def test_progress_shows_median_and_quartiles():
    value = np.arange(5.0)[:, None] * np.linspace(1, 0, 7)
    value[3, 2:] = np.nan
    figure = plots.progress_figure({"x": {"L1_Spec": value}})
    (line,) = figure.axes[0].lines
    np.testing.assert_allclose(line.get_ydata()[:2], np.median(value, 0)[:2])
    assert np.isfinite(line.get_ydata()).all()
    assert line.get_color() == plots.COLORS["L1_Spec"]
    assert figure._repr_png_()[:4] == b"\x89PNG"


# ------------------------------------------------------------------------------------------------- the command line


@pytest.fixture
def record(tmp_path, finished):
    study.save(finished, tmp_path / "tiny.npz")
    return str(tmp_path / "tiny.npz")


def complaint(capsys, status: int, *words: object) -> str:
    capsys.readouterr()
    assert main(["study", *map(str, words)]) == status
    error = capsys.readouterr().err
    assert error.startswith("sonimatch: ")
    assert len(error.splitlines()) == 1
    return error


def test_study_run_names_what_differs(tmp_path, here, monkeypatch, capsys):
    ran = []
    monkeypatch.setattr(study, "run", lambda experiment, folder, **_: ran.append(experiment) or written([0.1], [1]))
    monkeypatch.setattr("sonimatch.study.origin", lambda _: "now")
    for words, name in (
        ("", "tiny"),
        ("--trials 3", "tiny-3x5"),
        ("--steps 2 --seed 4", "tiny-9x2-seed4"),
        ("--unpaired --independent-noise", "tiny-unpaired-independent"),
        ("--pairs tone", "tiny-tone"),
        ("--pairs long", "tiny-long"),
        ("--pairs hiss,short", "tiny-hiss-short"),
        ("--pairs hiss:long,tone:long", "tiny-long"),
        ("--pairs tone,hiss,short,long --trials 9", "tiny"),
    ):
        assert main(["study", "run", "--preset", "Tiny", "-o", str(tmp_path), *words.split()]) == 0
        assert ran[-1].name == name
        assert f"{tmp_path / name}.npz: now; SHA-256 " in capsys.readouterr().out
    assert ran[0] == TINY
    assert (ran[3].paired, ran[3].shared_noise) == (False, False)
    assert (ran[6].synths, ran[6].losses) == ((HISS,), (SHORT,))


def test_study_run_does_and_continues(tmp_path, here, capsys):
    words = ["study", "run", "--preset", "tiny", "--pairs", "hiss", "--trials", "5", "-o", str(tmp_path)]
    assert main(words) == 0
    out, err = capsys.readouterr()
    assert out.startswith("tiny-5x5-hiss: 1 synths × 2 losses × 5 trials of 5 steps, seed 0\n")
    assert "hiss, long: 5 of 5" in err  # the bar
    assert "hiss, long: 5 trials done" in err
    checksum = load(tmp_path / "tiny-5x5-hiss.npz").checksum
    assert f"SHA-256 {checksum}" in out
    assert main(words) == 0
    assert f"SHA-256 {checksum}" in capsys.readouterr().out


def test_study_run_refuses(tmp_path, here, finished, capsys):
    def refused(*words: str) -> str:
        return complaint(capsys, 2, "run", "--preset", "tiny", "-o", tmp_path, *words)

    assert "no preset 'papr'" in complaint(capsys, 2, "run", "--preset", "papr")
    assert "no synth or loss 'shrt'; did you mean 'short'? (there are: tone, hiss, " in refused("--pairs", "tone,shrt")
    assert "no loss 'tone'" in refused("--pairs", "tone:tone")
    error = refused("--pairs", "tone:long,hiss:short")
    assert "every synth with every loss; tone:short, hiss:long would be missing" in error
    assert not [*tmp_path.iterdir()]
    study.save(replace(finished, settings={**finished.settings, "seed": 3}), tmp_path / "tiny.npz")
    assert "holds another experiment named tiny: it differs in seed" in refused()
    (tmp_path / "file").touch()
    assert "cannot write to the folder" in complaint(capsys, 2, "run", "--preset", "tiny", "-o", tmp_path / "file")


def test_study_status(tmp_path, finished, record, capsys):
    parts = unfinished(finished, tmp_path)
    (parts / "001-000004.npz").write_text("x")
    assert main(["study", "status", "-o", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    commit = finished.provenance["commit"]
    assert lines[0].startswith(f"{record}: finished 20")
    assert lines[0].endswith(f"commit {commit}" if commit else "no commit")
    assert lines[1:5] == [f"  {synth}, {loss}: 9 of 9 trials" for synth, loss in PAIRS]
    assert lines[5] == f"{parts}: not finished; `study run` continues it"
    assert lines[7] == "  tone, long: 5 of 9 trials"
    assert lines[10].startswith(f"{parts / '001-000004.npz'} is damaged: ")
    assert "holds no study" in complaint(capsys, 2, "status", "-o", tmp_path / "absent")


def test_study_report(tmp_path, finished, record, capsys):
    out = tmp_path / "out"
    assert main(["study", "report", record, "-o", str(out)]) == 0
    assert "| tone | short | 9 |" in capsys.readouterr().out
    names = {"report.md", "summary.csv", "kruskal_wallis.csv", "ranks.csv", "P_loss.png", "MSS.png", "steps.png"}
    assert {path.name for path in out.iterdir()} == names
    for path in out.glob("*.png"):
        assert path.read_bytes()[:4] == b"\x89PNG"
    with (out / "summary.csv").open() as file:
        rows = [*csv.DictReader(file)]
    for row, expected in zip(rows, finished.summary(), strict=True):
        assert {name: str(value) for name, value in expected.items()} == row
    with (out / "ranks.csv").open() as file:
        ranks = [*csv.DictReader(file)]
    assert len(ranks) == 8
    assert {row[loss] for row in ranks for loss in finished.losses} <= {"1", "2"}
    with (out / "kruskal_wallis.csv").open() as file:
        assert len([*csv.DictReader(file)]) == 4
    text = (out / "report.md").read_text()
    row = finished.summary()[0]
    assert f"{row['P_loss']:.4f} ± {row['P_loss_se']:.4f}" in text
    assert finished.checksum in text


def test_study_report_of_what_cannot_be_ranked(tmp_path, finished, capsys):
    trials = finished.thinned().trials
    silent = {pair: some._replace(MSS=np.full(9, np.nan, np.float32)) for pair, some in trials.items()}
    study.save(replace(finished, trials=silent), tmp_path / "x.npz")
    assert main(["study", "report", str(tmp_path / "x.npz"), "-o", str(tmp_path / "out")]) == 0
    assert "tone, MSS: no test and no ranks: tone, short: no trial has a finite MSS" in capsys.readouterr().out
    assert "the ends of the paths only" in (tmp_path / "out" / "report.md").read_text()
    assert {path.name for path in (tmp_path / "out").glob("*.png")} == {"P_loss.png"}


def test_study_verify(tmp_path, here, finished, record, capsys):
    assert main(["study", "verify", record, "--per-pair", "2", "--seed", "3"]) == 0
    assert "equal to the last bit: 8 trials" in capsys.readouterr().out

    def changed(name: str, **fields) -> Path:
        trials = finished.trials["tone", "long"]
        trials = trials._replace(**{field: change(getattr(trials, field)) for field, change in fields.items()})
        study.save(replace(finished, trials={**finished.trials, ("tone", "long"): trials}), tmp_path / name)
        return tmp_path / name

    rounded = changed("rounded.npz", theta=lambda x: x + np.float32(1e-5))
    assert main(["study", "verify", str(rounded)]) == 0
    assert "equal within rounding: 4 trials" in capsys.readouterr().out
    forged = changed("forged.npz", MSS=lambda x: 0.5 * x)
    assert "is not what its experiment gives: 1 of 4 trials differ" in complaint(capsys, 1, "verify", forged)
    foreign = tmp_path / "foreign.npz"
    study.save(replace(finished, settings={**finished.settings, "seed": 9}), foreign)
    assert "cannot be run again: the record differs from tiny in: seed" in complaint(capsys, 2, "verify", foreign)
    study.save(replace(finished, settings={**finished.settings, "name": "x", "colour": "red"}), foreign)
    assert "x has parts that this version" in complaint(capsys, 2, "verify", foreign)
    assert "there is no such file" in complaint(capsys, 2, "verify", tmp_path / "absent.npz")


def test_study_export(tmp_path, finished, record, capsys):
    assert main(["study", "export", record, "--csv", str(tmp_path / "x.csv")]) == 0
    assert "36 trials" in capsys.readouterr().out
    with (tmp_path / "x.csv").open() as file:
        rows = [*csv.DictReader(file)]
    for row in (rows[3], rows[30]):
        trials = finished.trials[row["synth"], row["loss"]]
        i, space = int(row["trial"]), finished.space(row["synth"])
        for column, (name, unit) in enumerate(zip(space.names, space.unit, strict=True)):
            assert row[f"parameter_{column}"] == (f"{name} ({unit})" if unit else name)
            for what, theta in (("true", trials.theta_true), ("start", trials.start), ("end", trials.end)):
                assert float(row[f"{what}_{column}"]) == pytest.approx(float(space.to_physical(theta[i])[column]))
        assert float(row["P_loss_end"]) == pytest.approx(finished.P_loss(row["synth"], row["loss"])[i])
        assert float(row["P_loss_start"]) == pytest.approx(finished.P_loss(row["synth"], row["loss"], "start")[i])
        assert float(row["value_best"]) == pytest.approx(trials.value[i].min())
        assert float(row["MSS"]) == pytest.approx(trials.MSS[i])
        assert (row["ok"], row["out_of_range"]) == ("1", str(int(trials.out_of_range[i])))
    assert rows[30]["parameter_1"] == ""
    assert "would be overwritten" in complaint(capsys, 2, "export", record, "--csv", record)


def test_ctrl_c_stops_at_once_and_says_how_to_go_on(tmp_path):
    words = ["run", "--pairs", "sinesaw_am:L1_Spec", "--trials", "2", "--steps", "2", "--workers", "1", "-o", "out"]
    heed = "import signal, runpy; signal.signal(signal.SIGINT, signal.default_int_handler)"  # a background job does not
    process = subprocess.Popen(
        [sys.executable, "-c", f"{heed}; runpy.run_module('sonimatch', run_name='__main__')", "study", *words],
        cwd=tmp_path, start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    while not (workers := workers_of(process.pid)):
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 130
    assert out.startswith("paper-2x2-sinesaw_am-L1_Spec: 1 synths × 1 losses × 2 trials of 2 steps, seed 0")
    assert err.splitlines()[-1] == "sonimatch: interrupted; the same command continues"
    assert "Traceback" not in err
    assert not psutil.wait_procs(workers, timeout=60)[1]
    assert (tmp_path / "out" / "paper-2x2-sinesaw_am-L1_Spec.parts" / "experiment.json").is_file()


def test_ctrl_c_waits_while_workers_are_started():
    other, started = threading.Event(), []
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job ignores it
    threading.Thread(target=other.wait).start()  # as JAX's: it takes the signal that the main thread blocks
    try:
        with pytest.raises(KeyboardInterrupt), running._deaf():  # noqa: PT012 (raised where the block ends)
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.2)
            started.append("worker")
        with pytest.raises(KeyboardInterrupt):  # and afterwards it is heard as before
            signal.raise_signal(signal.SIGINT)
    finally:
        other.set()
        signal.signal(signal.SIGINT, before)
    assert started


def test_an_archive_of_something_else_is_told(tmp_path):
    for arrays in ({"weights": np.zeros(3), "bias": np.zeros(1)}, {"arr_0": np.array([{}], object)}):
        np.savez(tmp_path / "foreign.npz", **arrays)
        with pytest.raises(StudyError, match=r"foreign\.npz is no study of sonimatch: it has no header") as error:
            load(tmp_path / "foreign.npz")
        assert next(iter(arrays)) in str(error.value)
        assert "\n" not in str(error.value)
