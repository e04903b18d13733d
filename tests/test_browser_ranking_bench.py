"""The ranking bench in a browser: its statistics are those of the package, and it follows the hand."""

from itertools import product
from pathlib import Path

import numpy as np
import pytest
from scipy import stats as scipy_stats
from test_listening import SMALL, study_of

from sonimatch import stats, study

ELEMENT = "document.querySelector('div.sonimatch > div')"
RECORDS = Path(__file__).parent.parent / "results"


@pytest.fixture(scope="module")
def bench():
    from sonimatch.widgets.ranking_bench import RankingBench

    return RankingBench(study_of(SMALL), synth="hp_noise")


@pytest.fixture
def there(page, bench):
    return page(bench)


def compute(there, call, *values):
    """`sonimatch.statistics.<call>` with arrays as values."""
    return there.evaluate(f"(values) => sonimatch.statistics.{call}(...values)", [*values])


# ------------------------------------------------------------------------------------------------- statistics


def test_random_rows_are_numpys(there):
    for seed, n in product((0, 1, 7, 4294967295), (1, 2, 40, 300, 3 * 2**19)):
        code = "([seed, n]) => Array.from(sonimatch.statistics.integers(seed, n, 2000))"
        assert there.evaluate(code, [seed, n]) == np.random.default_rng(seed).integers(n, size=2000).tolist()


def test_bootstrapped_means_are_those_of_the_package(there, rng):
    for x in (rng.integers(1, 6, 80).astype(float), np.float32(rng.gamma(2, size=260))):
        got = there.evaluate("(x) => Array.from(sonimatch.statistics.bootstrapMeans(x, 300, 5, true))", x.tolist())
        np.testing.assert_allclose(got, stats.bootstrap_means(x, 300, 5, reciprocal=True), rtol=1e-14)


def test_the_tail_of_chi_square_is_scipys(there):
    for df in (1, 2, 3, 7, 39, 639):
        x = [0, 1e-6, 0.3, 1, df / 2, df, df + 3, 2 * df, 5 * df + 20, 400, 900]
        got = [compute(there, "chiSquareTail", y, df) for y in x]
        np.testing.assert_allclose(got, scipy_stats.chi2.sf(x, df), rtol=1e-9)


def test_kruskal_wallis_is_scipys(there, rng):
    for groups in (
        [rng.normal(size=n) + 0.3 * n for n in (5, 9, 30)],
        [rng.integers(1, 6, 40) for _ in range(4)],
        [rng.integers(1, 3, 12), rng.integers(1, 3, 7)],
        [np.arange(300) + 1000 * i for i in range(4)],
    ):
        got = compute(there, "kruskalWallis", [x.tolist() for x in groups])
        np.testing.assert_allclose([got["H"], got["p"]], scipy_stats.kruskal(*groups), rtol=1e-6)
    assert compute(there, "kruskalWallis", [[2, 2], [2]]) == {"H": 0, "p": 1}


def test_agreement_is_that_of_the_package(there, rng):
    for n, m in ((40, 2), (160, 3), (10, 5)):
        scores = np.clip(np.rint(rng.normal(3, 1, (n, 1)) + 0.6 * rng.normal(size=(n, m))), 1, 5)
        expected = stats.spearman(scores[:, 0], scores[:, 1])
        got = compute(there, "spearman", *scores[:, :2].T.tolist())
        np.testing.assert_allclose([*got.values()], [expected.value, *expected.interval], rtol=1e-10)
        expected = stats.kendall_w(scores, resamples=1)
        got = compute(there, "kendallW", scores.T.tolist())
        np.testing.assert_allclose([got["value"], got["p"]], [expected.value, expected.p], rtol=1e-9)
    assert compute(there, "spearman", [1, 2, 3, 4], [2, 4, 6, 9]) == {"value": 1, "low": 1, "high": 1}


@pytest.mark.parametrize("test", ["np", "p"])
@pytest.mark.parametrize("negligible", ["all", "ends"])
def test_scott_knott_is_that_of_the_package(there, rng, test, negligible):
    cases = [np.array([[0.0, 1e-300, -1e300], [5e-324, 0, -0.0], [1, 2, 3]])]
    for _ in range(40):
        n, k = rng.integers(2, 40), rng.integers(2, 7)
        cases.append(rng.integers(0, 6, (n, k)).astype(float))
        cases.append(rng.normal(size=(n, k)) + rng.integers(0, 3, k) * rng.uniform(0, 0.6))
    got = there.evaluate(
        "([cases, ...options]) => cases.map((columns) => sonimatch.statistics.scottKnott(columns, ...options))",
        [[X.T.tolist() for X in cases], test, negligible],
    )
    assert got == [stats.scott_knott_esd(X, test, negligible).tolist() for X in cases]


@pytest.mark.parametrize(
    ("call", "values", "message"),
    [
        ("scottKnott", [[[1, 2], [3]]], "columns must have one length, not 2, 1"),
        ("scottKnott", [[[1, 2], [3, 4]], "t"], "test must be 'np' or 'p', not 't'"),
        ("kruskalWallis", [[[1, 2]]], "two groups or more are compared, not 1"),
        ("spearman", [[1, 2, 3], [1, 2, 3]], "a must have 4 or more values, not 3"),
        ("spearman", [[1, 2, 3, 4], [2, 2, 2, 2]], "a constant has no rank correlation: 2"),
        ("kendallW", [[[1, 2, 3]]], "two items and two raters or more, not 3 and 1"),
        ("bootstrapMeans", [[0, 0], 5, 0, True], "reciprocal needs positive means, not 0"),
        ("integers", [-1, 2, 3], "seed must be a whole number"),
    ],
)
def test_the_statistics_refuse(there, call, values, message):
    said = there.evaluate(
        "([call, values]) => { try { sonimatch.statistics[call](...values); } catch (e) { return e.message; } }",
        [call, values],
    )
    assert message in said


# ------------------------------------------------------------------------------------------------- the bench


def test_every_choice_has_the_ranks_of_the_package(page, record_property):
    from sonimatch.widgets.ranking_bench import RankingBench

    stored = study.load(RECORDS / "released.npz")
    there = page(RankingBench(stored))
    times = []
    for synth, metric, test in product(stored.synths, ("P_loss", "MSS"), ("np", "p")):
        for trials in (25, stored.settings["trials"]):
            scores = {loss: stored.scores(synth, loss, metric)[:trials] for loss in stored.losses}
            for shown, resamples in (("means", 1000), ("trials", 0)):
                choice = {"synth": synth, "metric": metric, "test": test, "shown": shown, "trials": trials}
                got, time = there.evaluate(
                    f"""async (choice) => {{
                        const begun = performance.now();
                        {ELEMENT}.sonimatch.choose(choice);
                        await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
                        return [{ELEMENT}.sonimatch.found(), performance.now() - begun];
                    }}""",
                    choice,
                )
                times.append(time)
                assert got["ranks"] == [*stats.rank_losses(scores, resamples, test=test).values()], choice
                expected = stats.kruskal_wallis([*scores.values()])
                np.testing.assert_allclose([*got["kruskalWallis"].values()], expected, rtol=1e-6)
    record_property("update_ms", times)
    print(f"\na choice is drawn in {np.median(times):.1f} ms, at most {max(times):.1f} ms")


def test_it_follows_menus_and_keys(there, bench):
    there.get_by_label("score", exact=True).select_option("MSS")
    there.get_by_label("ranks of", exact=True).select_option("trials")
    there.get_by_label("effect size", exact=True).select_option("p")
    slider = there.get_by_role("slider", name="trials")
    slider.press("ArrowLeft")
    slider.press("ArrowLeft")
    there.wait_for_function(f"{ELEMENT}.sonimatch.choice().trials === 10 && location.hash.includes('ranking=')")
    scores = {loss: bench.studies["small"].scores("hp_noise", loss, "MSS")[:10] for loss in ("L1_Spec", "SIMSE_Spec")}
    ranks = stats.rank_losses(scores, 0, test="p")
    there.wait_for_function(f"{ELEMENT}.dataset.ranks === '{','.join(map(str, ranks.values()))}'")
    seen = there.locator(".sonimatch-numbers").inner_text()
    assert seen.startswith("hp_noise, MSS, 10 trials; ranks of the trials themselves by Cohen's d (p): L1_Spec ")
    assert there.get_by_role("row").filter(has_text="L1_Spec").inner_text().split("\t")[0] == "L1_Spec"
    there.wait_for_function("document.querySelector('.sonimatch-said').textContent.includes('Kruskal')")


def test_the_address_remembers_the_choice(page, bench):
    there = page(bench, fragment="ranking=0,1,1,1,1,7")
    assert there.evaluate(f"{ELEMENT}.sonimatch.choice()") == {
        "record": "small", "synth": "noise_am", "metric": "MSS", "shown": "trials", "test": "p", "trials": 7
    }  # fmt: skip
    assert there.get_by_label("synth", exact=True).input_value() == "noise_am"
    there = page(bench, fragment="ranking=9,9,9,9,9,999")
    assert there.evaluate(f"{ELEMENT}.sonimatch.choice().trials") == 12


def test_several_records_can_be_chosen(page):
    from sonimatch.widgets.ranking_bench import RankingBench

    other = study_of(SMALL, 1)
    there = page(RankingBench({"one": study_of(SMALL), "two": other}))
    there.get_by_label("record", exact=True).select_option("two")
    ranks = stats.rank_losses({loss: other.scores("hp_noise", loss) for loss in other.losses})
    there.wait_for_function(f"{ELEMENT}.dataset.ranks === '{','.join(map(str, ranks.values()))}'")


@pytest.mark.parametrize("width", [390, 1000])
def test_it_fits(page, bench, width):
    there = page(bench, width=width)
    assert there.evaluate("document.documentElement.scrollWidth") <= width
