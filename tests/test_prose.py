"""What chapters claim holds: counted again from the records, told from a record, and asked before it is answered."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import partial
from pathlib import Path

import jax
import numpy as np
import pytest

from sonimatch import sinesaw_am, stats
from sonimatch.study import load, solve

ROOT = Path(__file__).resolve().parent.parent
CELL = re.compile(r"^```\{code-cell\} ipython3\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def cells(chapter: str) -> list[str]:
    """The code of a chapter, cell by cell, without tags and figure settings."""
    text = (ROOT / "notebooks" / f"{chapter}.md").read_text(encoding="utf-8")
    return [re.sub(r"\A(?:---\n.*?^---\n|(?::[^\n]*\n)+)", "", cell, flags=re.M | re.S) for cell in CELL.findall(text)]


def prose(chapter: str) -> str:
    return CELL.sub("", (ROOT / "notebooks" / f"{chapter}.md").read_text(encoding="utf-8"))


# ------------------------------------------------------------------------------------ gradient against random search


def tally(name: str) -> tuple[int, int, int]:
    """In how many pairs the gradient ends nearer; by more than two standard errors; farther by as much; from arrays."""
    found = []
    with np.load(ROOT / f"results/{name}.npz") as descent, np.load(ROOT / f"results/random-{name}.npz") as rival:
        for pair in {key.rsplit("/", 1)[0] for key in rival.files if "/" in key}:
            truth = rival[f"{pair}/theta_true"].astype(float)
            n, each = len(truth), {}
            assert np.allclose(descent[f"{pair}/theta_true"][:n], truth, atol=1e-5), "the same targets"
            for label, record in {"gradient": descent, "random": rival}.items():
                end = record[f"{pair}/theta"][np.arange(n), record[f"{pair}/kept"][:n]]
                each[label] = np.abs(end - truth).mean(1)
            gap = each["gradient"] - each["random"]
            found.append((gap.mean(), gap.std(ddof=1) / n**0.5))
    mean, error = np.array(found).T
    assert len(mean) == 16
    return int((mean < 0).sum()), int((mean < -2 * error).sum()), int((mean > 2 * error).sum())


def test_the_first_page_says_what_the_records_say(monkeypatch):
    monkeypatch.chdir(ROOT / "notebooks")
    (cell,) = (cell for cell in cells("index") if ".against(" in cell)
    body, last = cell.rsplit("\nText(", 1)
    place: dict = {}
    exec(body, place)
    sentence = str(eval(f"Text({last}", place))
    (text, clear, far), (text_code, clear_code, far_code) = tally("paper"), tally("released")
    assert f"in {text} of 16 pairs" in sentence
    assert f"in {text_code} of 16 as its code ran" in sentence
    assert f"nearer in {clear} and {clear_code}, and farther in {far} and {far_code}." in sentence
    assert (text, text_code) == (2, 1)


@pytest.mark.parametrize("chapter", ["one_match", "experiment", "ranking"])
def test_the_finding_stands_where_it_belongs(chapter):
    code = "\n".join(cells(chapter))
    assert code.count(".against(") == 1
    assert "wins by far" not in prose(chapter)


def test_paired_differences_are_those_of_a_paired_t_test():
    from scipy.stats import ttest_rel

    a, b = np.random.default_rng(0).normal(0, 1, (2, 30))
    gap = stats.paired_difference(a, b + 1)
    assert gap.mean / gap.error == pytest.approx(ttest_rel(a, b + 1).statistic, rel=1e-12)
    assert gap.clear == -1
    assert stats.paired_difference(b + 1, a).clear == 1
    assert stats.paired_difference([0.0, 1.0, 5.0], [1.0, 0.0, 1.0]).clear == 0
    with pytest.raises(ValueError, match="3 and 2 values; they must be pairs"):
        stats.paired_difference([1.0, 2.0, 3.0], [1.0, 2.0])


# ------------------------------------------------------------------------------------------------------- told walks


@pytest.fixture(scope="module")
def walks():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "results"))
        from experiments import walks
    return walks


@partial(jax.jit, static_argnums=(0, 1))
def values(synth, loss, target, points):
    wanted = loss.feature(target)
    return jax.lax.map(lambda theta: loss.distance(wanted, loss.feature(synth(theta))), points)


def test_the_walks_are_those_of_the_experiment(walks):
    """On any machine: the draws, the loss at every stored point, and no step longer than RMSProp's, 0.045/√0.1/2.

    Where the landscape is smooth also the first ten steps, within a thousandth of the range, as `verify` has it; on a
    rugged one rounding alone leads a path farther away than that.
    """
    record = load(ROOT / "results" / "walks.npz")
    assert record.settings == walks.settings
    assert record.provenance["commit"]
    assert record.provenance["versions"]["jax"]
    for synth, loss in walks.pairs:
        stored = record.trials[synth.name, loss.name]
        assert stored.theta.shape == (1, walks.steps + 1, 2)
        problem = walks.draw(synth, loss, [0])
        np.testing.assert_allclose(stored.theta_true, problem.theta_true, atol=1e-6)
        np.testing.assert_allclose(stored.start, problem.theta_init, atol=1e-6)
        value = values(synth, loss, problem.target[0], stored.theta[0])
        np.testing.assert_allclose(stored.value[0], value, rtol=1e-3, atol=1e-3 * stored.value.max())
        assert np.abs(np.diff(stored.theta[0], axis=0)).max() <= 0.045 / 0.1**0.5 / 2 + 1e-6
        if synth.name == "bp_noise":
            again = solve(replace(walks, steps=10), synth, loss, [0])
            assert np.abs(again.theta - stored.theta[:, :11]).max() < 1e-3, loss.name


def test_what_is_told_step_by_step_is_read_from_the_record():
    told = [cell for cell in cells("one_match") if "Replay(" in cell or "walked = {" in cell or "way, slope =" in cell]
    assert len(told) == 4
    assert not any(".trajectory" in cell for cell in told)
    assert "we read it from a record" in prose("one_match")


# ---------------------------------------------------------------------------------------- said where a reader meets it


@pytest.mark.parametrize("path", sorted((ROOT / "notebooks").glob("*.md")), ids=lambda path: path.stem)
def test_a_page_asks_for_nothing_that_it_cannot_do(path):
    text = prose(path.stem)
    assert not re.search(r"run (?:the|this) cell again", text, re.IGNORECASE)
    assert "before you read on" not in text, "the answer would be the next thing on the page"


@pytest.mark.parametrize("chapter", ["ranking", "audit"])
def test_an_answer_is_folded(chapter):
    asked = re.search(r"[Dd]ecide[^\n]* open the answer\.\n(.*?)\n\n##? ", prose_and_code(chapter), re.DOTALL)
    assert asked
    assert "folded(\n" in asked[1]


def prose_and_code(chapter: str) -> str:
    return (ROOT / "notebooks" / f"{chapter}.md").read_text(encoding="utf-8")


def test_two_scales_and_two_meanings_are_named():
    glossary = (ROOT / "book" / "glossary.md").read_text(encoding="utf-8")
    entry = re.search(r"^P-loss\n(.*?)\n\n", glossary, re.MULTILINE | re.DOTALL)
    assert entry
    assert "two scales" in entry[1]
    rng = np.random.default_rng(0)
    a, b = rng.random((2, 1000, 2))
    ratio = 2 * np.linalg.norm(a - b, axis=1) / np.abs(a - b).mean(1)
    assert 2 * 2**0.5 - 1e-9 < ratio.min() < 2.84
    assert 3.99 < ratio.max() < 4 + 1e-9
    assert "the same name `amp` is one" in prose("sinesaw_am")
    assert "the same name is a rate" in prose("noise_am")
    assert "to the last bit" not in prose("experiment"), "beside a difference of 0.28"


def test_twelve_hertz_are_twenty_four_swells():
    assert "an `amp` of 12 Hz, which are 24 swells a second" in prose("one_match")
    sound = np.asarray(sinesaw_am(sinesaw_am.space.theta({"carrier": 314, "amp": 12})), float)
    spectrum = np.abs(np.fft.rfft(sound**2))
    assert 1 + spectrum[1:100].argmax() == 24


def test_the_repair_is_scored_as_what_it_repairs():
    """The numbers are the page's own; it stops where the repair is no better or leaves a parameter at an end."""
    (judged,) = (cell for cell in cells("your_own_sound") if "repaired = float(PAPER_MSS(target, surf_synth(" in cell)
    assert "assert repaired < min(before, drawn) - 0.25" in judged
    assert "assert ((end > 0.01) & (end < 0.99)).all()" in judged
    assert "(at the end of its range)" in "\n".join(cells("your_own_sound"))
