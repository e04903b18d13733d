"""Oracles: closed forms, slow loops, SciPy, published tables, and stored results of other people's programs.

`data/npsk_public`: Scott–Knott ESD ranks, effect sizes and Kruskal–Wallis statistics of seeded matrices, computed with
the R package ScottKnottESD (https://github.com/klainfo/ScottKnottESD); only its numbers are here.
`data/listening_counts.json`: how often each score was given in the published listening test, and the printed H.
"""

import json
import math
from fractions import Fraction
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from sonimatch.stats import (
    bootstrap_means,
    cliffs_delta,
    cohens_d,
    icc3,
    interval,
    kendall_w,
    kruskal_wallis,
    rank_agreement,
    rank_losses,
    scott_knott_esd,
    spearman,
)

DATA = Path(__file__).parent / "data"
MATRICES = np.load(DATA / "npsk_public.npz")
CASES = json.loads((DATA / "npsk_public.json").read_text(encoding="utf-8"))["cases"]
LISTENING = json.loads((DATA / "listening_counts.json").read_text(encoding="utf-8"))
MODES = {"p": ("p", "ends"), "np": ("np", "ends"), "p_all": ("p", "all"), "np_all": ("np", "all")}
SHROUT_FLEISS = np.array([[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]])

# ---------------------------------------------------------------- bootstrap


def test_bootstrap_means_are_a_slow_loop():
    x = np.array([3.0, 1, 4, 1, 5])
    rows = np.random.default_rng(7).integers(5, size=(20, 5))
    np.testing.assert_allclose(bootstrap_means(x, 20, seed=7), [sum(x[i] for i in row) / 5 for row in rows])


def test_bootstrap_means_have_the_exact_distribution():
    """All 27 resamples of three values are equally likely."""
    x = np.array([0.0, 1, 5])
    exact = {s: sum(sum(r) == s for r in product(x, repeat=3)) / 27 for s in {sum(r) for r in product(x, repeat=3)}}
    sums = np.round(3 * bootstrap_means(x, 20000))
    assert set(sums) == set(exact)
    for s, p in exact.items():
        assert abs((sums == s).mean() - p) < 4 * math.sqrt(p * (1 - p) / 20000)


def test_bootstrap_means_of_columns(rng):
    X = rng.normal(size=(30, 1)) @ np.ones((1, 3))
    paired, own = bootstrap_means(X, 500, paired=True), bootstrap_means(X, 500)
    assert paired.shape == own.shape == (500, 3)
    np.testing.assert_array_equal(paired[:, 0], bootstrap_means(X[:, 0], 500))
    np.testing.assert_array_equal(own[:, 0], paired[:, 0])
    np.testing.assert_array_equal(paired[:, 1], paired[:, 0])
    assert abs(np.corrcoef(own.T)[np.triu_indices(3, 1)]).max() < 0.2  # one column three times, drawn independently
    assert not np.array_equal(own, bootstrap_means(X, 500, seed=1))


def test_bootstrap_of_reciprocals_turns_the_order(rng):
    x = rng.uniform(1, 2, 40)
    np.testing.assert_array_equal(bootstrap_means(x, reciprocal=True), 1 / bootstrap_means(x))
    with pytest.raises(ValueError, match="positive means"):
        bootstrap_means(np.zeros(5), reciprocal=True)
    with pytest.raises(ValueError, match="resamples must be 1 or more, not 0"):
        bootstrap_means(x, resamples=0)
    with pytest.raises(ValueError, match="finite"):
        bootstrap_means([1, np.nan])
    with pytest.raises(ValueError, match="1 or 2 axes"):
        bootstrap_means(np.zeros((2, 2, 2)))


@pytest.mark.parametrize("method", ["BCa", "percentile"])
@pytest.mark.parametrize("statistic", [np.mean, np.median, np.std])
@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_interval_is_scipys(rng, method, statistic, confidence):
    x = rng.exponential(size=35)
    oracle = stats.bootstrap((x,), statistic, confidence_level=confidence, method=method, n_resamples=800, rng=3)
    got = interval(x, statistic, confidence, method, resamples=800, seed=3)
    np.testing.assert_allclose(got, oracle.confidence_interval, rtol=1e-9)


def test_interval_of_a_mean_is_the_normal_one(rng):
    x = rng.normal(size=400)
    for method in ("BCa", "percentile"):
        low, high = interval(x, method=method, resamples=2000)
        np.testing.assert_allclose([low, high], x.mean() + np.array([-1.96, 1.96]) * x.std() / 20, atol=0.01)


@pytest.mark.parametrize("method", ["BCa", "percentile"])
@pytest.mark.parametrize("value", [0.0, 0.1, -1e9])
def test_interval_of_equal_values(method, value):
    options = {"method": method, "resamples": 200}
    assert interval([value] * 30, **options) == (np.mean([value] * 30),) * 2
    assert interval([value] * 20 + [value + 1], np.median, **options) == (value, value)  # no influence at all


def test_interval_resamples_rows(rng):
    X = rng.normal(size=(60, 1)) + 0.5 * rng.normal(size=(60, 2))
    got = interval(X, lambda X: np.corrcoef(X.T)[0, 1], resamples=900)
    oracle = stats.bootstrap(X.T, lambda a, b: np.corrcoef(a, b)[0, 1], paired=True, n_resamples=900, rng=0)
    np.testing.assert_allclose(got, oracle.confidence_interval, rtol=1e-9)


def test_interval_says_what_is_wrong():
    for wrong, message in [
        ({"method": "basic"}, "'BCa' or 'percentile', not 'basic'"),
        ({"confidence": 95}, "between 0 and 1, not 95"),
        ({"resamples": 0}, "resamples must be 1"),
        ({"statistic": lambda x: math.nan}, "the statistic must be finite"),
        ({"x": [1.0]}, "2 or more"),
        ({"x": [1.0, math.inf]}, "x must be finite, not inf"),
    ]:
        with pytest.raises(ValueError, match=message):
            interval(**{"x": [1.0, 2.0], **wrong})


# ---------------------------------------------------------------- differences between losses


@pytest.mark.parametrize("synth", LISTENING["counts"])
def test_kruskal_wallis_of_the_listening_test(synth):
    groups = [np.repeat(LISTENING["score"], counts) for counts in LISTENING["counts"][synth].values()]
    assert round(kruskal_wallis(groups).H, 2) == LISTENING["paper"]["kw_h"][synth]


def test_kruskal_wallis_counts_repeated_raters_again(rng):
    """If two raters always agree, pooling them multiplies H by (2N - 1)/(N - 1): the sample has not grown."""
    scores = rng.integers(1, 6, (4, 40))
    once, twice = kruskal_wallis(scores), kruskal_wallis(np.repeat(scores, 2, axis=1))
    np.testing.assert_allclose(twice.H, once.H * 319 / 159)
    assert twice.p < once.p


def test_kruskal_wallis_edges():
    assert kruskal_wallis([[0.1, 0.1], [0.1]]) == (0, 1)
    H, p = kruskal_wallis([[1, 2], [3, 4, 5]])  # 12 / (5 · 6) · (3²/2 + 12²/3) - 3 · 6
    assert (H, p) == pytest.approx((3, math.erfc(math.sqrt(3 / 2))))
    for wrong, message in [([[1, 2]], "two groups or more"), ([[1], []], "1 or more"), ([[1], [math.nan]], "finite")]:
        with pytest.raises(ValueError, match=message):
            kruskal_wallis(wrong)


def test_cliffs_delta_is_a_slow_loop(rng):
    for a, b in [(rng.integers(0, 5, 12), rng.integers(0, 5, 17)), (rng.normal(size=9), rng.normal(size=4))]:
        exact = Fraction(sum(int(x > y) - int(x < y) for x in a for y in b), len(a) * len(b))
        assert cliffs_delta(a, b) == float(exact) == -cliffs_delta(b, a)
    assert cliffs_delta([2, 3], [1]) == 1
    assert cliffs_delta([0.0, -0.0], [0.0]) == 0
    with pytest.raises(ValueError, match="b must be finite"):
        cliffs_delta([1], [math.nan])


def test_cohens_d():
    assert cohens_d([1, 3], [0, 0]) == 2  # means 2 and 0, variances 2 and 0
    assert cohens_d([0.1] * 7, [0.1] * 30) == 0
    assert cohens_d([0.1] * 7, [0.3] * 30) == -math.inf
    assert cohens_d(np.array([1, 3]) + 2**40, [2**40] * 9) == 2
    with pytest.raises(ValueError, match="2 or more"):
        cohens_d([1], [1, 2])


# ---------------------------------------------------------------- Scott–Knott


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_scott_knott_is_the_r_package(case):
    X = MATRICES[case["array"]]
    for key, mode in MODES.items():
        assert scott_knott_esd(X, *mode).tolist() == case["ranks"][key], key
    assert scott_knott_esd(X).tolist() == case["ranks"]["np_all"]
    H, p = kruskal_wallis(X.T)
    assert cliffs_delta(X[:, 0], X[:, 1]) == pytest.approx(case["delta01"], rel=1e-11)
    assert cohens_d(X[:, 0], X[:, 1]) == pytest.approx(case["d01"] or 0, rel=1e-10)
    assert pytest.approx(case["kw_h"] or 0, rel=1e-10) == H
    assert p == pytest.approx(1 if case["kw_p"] is None else case["kw_p"], rel=1e-8)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
@pytest.mark.parametrize("key", ["np", "np_all"])
def test_the_r_package_hands_np_ranks_to_columns_in_the_order_of_means(case, key):
    X = MATRICES[case["array"]].astype(float)
    ranks, printed = scott_knott_esd(X, *MODES[key]), np.empty(case["k"], int)
    by_median = sorted(range(case["k"]), key=lambda j: (-np.median(X[:, j]), -j))
    printed[np.argsort(-X.mean(0), kind="stable")] = ranks[by_median]
    assert printed.tolist() == case["ranks"].get(f"{key}_r_labels", case["ranks"][key])


def definition(X, test, mode):
    """The ranks by the letter, in exact fractions, without care for speed."""
    columns = [[Fraction(float(v)) for v in column] for column in X.T]
    n, k = len(X), len(columns)
    every = sorted(v for column in columns for v in column)
    midrank = {v: Fraction(2 * every.index(v) + every.count(v) + 1, 2) for v in every}
    mean = [sum(c) / n for c in columns]
    median = [(sorted(c)[(n - 1) // 2] + sorted(c)[n // 2]) / 2 for c in columns]
    variance = [sum((v - m) ** 2 for v in c) / (n - 1) for c, m in zip(columns, mean, strict=True)]

    def close(i, j):
        if test == "p":
            pooled = (variance[i] + variance[j]) / 2
            return mean[i] == mean[j] or (mean[i] - mean[j]) ** 2 < Fraction(1, 25) * pooled
        delta = Fraction(sum(int(a > b) - int(a < b) for a in columns[i] for b in columns[j]), n * n)
        return abs(delta) < Fraction(147, 1000)

    if test == "p":
        order, r = sorted(range(k), key=lambda j: (-mean[j], j)), mean
    else:
        order, r = sorted(range(k), key=lambda j: (-median[j], -j)), [sum(midrank[v] for v in c) for c in columns]
    groups = []

    def split(segment):
        pairs = [(i, j) for i in segment for j in segment] if mode == "all" else [(segment[0], segment[-1])]
        if all(close(i, j) for i, j in pairs):
            groups.append(segment)
            return
        centre, best = sum(r[j] for j in segment) / len(segment), (-1, ())
        for c in range(1, len(segment)):
            parts = segment[:c], segment[c:]
            between = sum(len(part) * (sum(r[j] for j in part) / len(part) - centre) ** 2 for part in parts)
            best = (between, parts) if between > best[0] else best
        for part in best[1]:
            split(part)

    split(order)
    return [next(rank for rank, group in enumerate(groups, 1) if j in group) for j in range(k)]


@pytest.mark.parametrize("test", ["np", "p"])
@pytest.mark.parametrize("mode", ["all", "ends"])
def test_scott_knott_is_the_definition(rng, test, mode):
    """Few rows and few values: ties of medians, means, effects and cuts abound."""
    for trial in range(60):
        n, k = rng.integers(2, 12), rng.integers(1, 7)
        X = [
            rng.integers(1, rng.integers(3, 7), (n, k)) + rng.integers(0, 3, k),
            rng.normal(size=(n, k)).astype(np.float32),
            0.1 * rng.integers(-3, 4, (n, 1)) + 0.1 * rng.permutation(k),
        ][trial % 3]
        assert scott_knott_esd(X, test, mode).tolist() == definition(X, test, mode), X


@pytest.mark.parametrize("test", ["np", "p"])
@pytest.mark.parametrize("mode", ["all", "ends"])
def test_scott_knott_edges(test, mode, rng):
    rank = lambda X: scott_knott_esd(X, test, mode).tolist()  # noqa: E731
    x = rng.normal(size=25)
    assert rank(x[:, None]) == [1]
    assert rank(np.column_stack([x, rng.permutation(x), x])) == [1, 1, 1]
    assert rank(np.full((9, 3), 0.1)) == [1, 1, 1]
    assert rank(np.full((9, 3), [0.1, 0.3, 0.2])) == [3, 1, 2]
    assert rank(np.column_stack([x, x + 9, x, x + 9])) == [2, 1, 2, 1]
    X = rng.integers(0, 99, (40, 5)) / 64 + np.arange(5) / 8
    for scaled in (X + 2**40, X * 2.0**900, X * 2.0**-1000, -X[::-1] * -1):
        assert rank(scaled) == rank(X)
    assert rank(X.astype(np.float32)) == rank(X)


def test_scott_knott_thresholds_are_exact():
    five = np.array([-5, 0, 5])
    assert scott_knott_esd(np.column_stack([five, five + 1]), "p").tolist() == [2, 1]  # d = 1/5
    assert scott_knott_esd(np.column_stack([five * 1.001, five + 1]), "p").tolist() == [1, 1]
    a, b = np.zeros(1000), np.repeat([-1.0, 0], [147, 853])  # δ = 147000/1000²
    assert scott_knott_esd(np.column_stack([a, b])).max() == 2
    a[0], b[147:149] = -1, [-1, -0.5]
    b[0] = 0
    assert cliffs_delta(a, b) == 0.146999
    assert scott_knott_esd(np.column_stack([a, b])).max() == 1


def test_scott_knott_takes_the_first_of_equal_cuts():
    """Neighbours are close, the ends are not, and the middle one lies midway."""
    x = np.array([-50, 0, 50])
    assert scott_knott_esd(np.column_stack([x + 16, x + 8, x]), "p").tolist() == [1, 2, 2]
    one = np.eye(10)[0]
    assert scott_knott_esd(np.column_stack([-one, 0 * one, one])).tolist() == [2, 2, 1]  # equal medians: last first
    assert scott_knott_esd(np.column_stack([one, 0 * one, -one])).tolist() == [2, 2, 1]


def test_scott_knott_says_what_is_wrong():
    X = np.zeros((3, 2))
    for args, message in [
        ((X, "anova"), "test must be 'np' or 'p', not 'anova'"),
        ((X, "np", "some"), "negligible must be 'all' or 'ends', not 'some'"),
        ((X[0],), "X must have 2 axes"),
        ((X[:1],), "2 or more"),
        ((X[:, :0],), "shape"),
        ((X + math.inf,), "finite, not inf"),
    ]:
        with pytest.raises(ValueError, match=message):
            scott_knott_esd(*args)


@pytest.mark.parametrize("test", ["np", "p"])
def test_ranks_of_bootstrapped_means_are_no_evidence(rng, test):
    """Two, and four, losses with one and the same distribution: ranked on raw scores and on bootstrapped means."""
    different = np.empty((60, 3), bool)
    for draw in different:
        X = rng.exponential(size=(80, 4))
        means = bootstrap_means(X, resamples=200)
        draw[:] = [scott_knott_esd(Y, test).max() > 1 for Y in (X[:, :2], means[:, :2], means)]
    raw, two, four = different.mean(0)
    assert two > 0.8
    assert four == 1
    assert raw < two / 2


def test_rank_losses_ranks_lower_scores_first(rng):
    scores = {name: rng.gamma(4, scale, size=n) for name, scale, n in (("c", 9, 60), ("a", 1, 40), ("b", 3, 50))}
    for test in ("np", "p"):
        assert rank_losses(scores, test=test) == {"a": 1, "b": 2, "c": 3}
    even = {name: x[:40] for name, x in scores.items()}
    raw = scott_knott_esd(-np.stack([*even.values()], 1), "p", "ends")
    assert rank_losses(even, resamples=0, test="p", negligible="ends") == dict(zip(even, raw.tolist(), strict=True))
    drawn = [bootstrap_means(x, 200, 7 + i, reciprocal=True) for i, x in enumerate(scores.values())]
    published = scott_knott_esd(np.stack(drawn, 1))
    assert rank_losses(scores, 200, seed=7) == dict(zip(scores, published.tolist(), strict=True))
    same = dict.fromkeys("ab", even["a"])
    assert rank_losses(same, resamples=0) == {"a": 1, "b": 1}
    with pytest.raises(ValueError, match="reciprocal needs positive means"):
        rank_losses({"a": np.zeros(3)})


# ---------------------------------------------------------------- agreement of raters and rankings


def test_spearman_is_scipys(rng):
    a = rng.integers(1, 6, 40)
    b = a + rng.integers(-2, 3, 40)
    rho, p, (low, high) = spearman(a, b)
    ranks = stats.rankdata(a), stats.rankdata(b)
    assert rho == pytest.approx(stats.spearmanr(a, b)[0]) == pytest.approx(np.corrcoef(*ranks)[0, 1])
    assert p == pytest.approx(2 * stats.t.sf(rho * math.sqrt(38 / (1 - rho**2)), 38))
    width = 1.95996398 * math.sqrt((1 + rho**2 / 2) / 37)
    assert np.arctanh([low, high]) - math.atanh(rho) == pytest.approx(np.array([-width, width]))


def test_spearman_edges():
    a = np.arange(6)
    assert spearman(a, a**3) == (pytest.approx(1), pytest.approx(0), pytest.approx((1, 1)))
    assert spearman(a, -a) == (pytest.approx(-1), pytest.approx(0), pytest.approx((-1, -1)))
    for args, message in [
        ((a, np.full(6, 2)), "a constant has no rank correlation: 2"),
        ((a, a[1:]), "6 and 5 values"),
        ((a[:3], a[:3]), "4 or more"),
        ((a, a, 1), "between 0 and 1, not 1"),
    ]:
        with pytest.raises(ValueError, match=message):
            spearman(*args)


def test_kendall_w_has_the_tie_correction(rng):
    """Against the textbook formula and Friedman's chi-square, which is m (n - 1) W."""
    scores = rng.integers(1, 5, (9, 1)) + rng.integers(0, 3, (9, 4))
    n, m = scores.shape
    W, p, (low, high) = kendall_w(scores, resamples=500)
    sums, ties = np.zeros(n), 0
    for column in scores.T:
        sums += stats.rankdata(column)
        ties += sum(t**3 - t for t in np.unique(column, return_counts=True)[1])
    S = sum((s - sums.mean()) ** 2 for s in sums)
    assert pytest.approx(12 * S / (m**2 * (n**3 - n) - m * ties)) == W
    assert (m * (n - 1) * W, p) == pytest.approx(tuple(stats.friedmanchisquare(*scores)))
    assert 0 <= low < W < high <= 1


def test_kendall_w_edges(rng):
    x = rng.permutation(12)
    assert kendall_w(np.column_stack([x, 3 * x, x**3]), resamples=200) == (1, pytest.approx(0, abs=1e-3), (1, 1))
    assert kendall_w(np.column_stack([x, -x]), resamples=9).value == pytest.approx(0)
    y = rng.permutation(12)
    assert kendall_w(np.column_stack([x, y]), resamples=9).value == pytest.approx((1 + spearman(x, y).value) / 2)
    assert kendall_w([[1, 1], [2, 1], [2, 3]], resamples=200).value > 0  # some resamples tell no items apart
    for scores, message in [
        ([[1, 2], [1, 2]], "every rater is constant"),
        ([[1], [2]], "two raters or more"),
        ([[1, 2]], "2 or more"),
        ([1, 2], "2 axes"),
    ]:
        with pytest.raises(ValueError, match=message):
            kendall_w(scores)
        with pytest.raises(ValueError, match=message):
            icc3(scores)


def test_icc3_of_shrout_and_fleiss():
    icc, p, (low, high) = icc3(SHROUT_FLEISS)
    assert icc == pytest.approx(0.7148, abs=5e-5)  # printed: .71, from MSB = 11.24 and MSE = 1.02
    assert (low, high) == pytest.approx((0.342, 0.946), abs=1e-3)
    assert p == pytest.approx(stats.f.sf(11.0272, 5, 15), rel=1e-3)


def test_icc3_is_a_slow_analysis_of_variance(rng):
    scores = rng.normal(size=(15, 1)) + rng.normal(size=(15, 3))
    n, m = scores.shape
    grand, MSB, MSE = scores.mean(), 0.0, 0.0
    for i in range(n):
        MSB += m * (scores[i].mean() - grand) ** 2 / (n - 1)
        for j in range(m):
            MSE += (scores[i, j] - scores[i].mean() - scores[:, j].mean() + grand) ** 2 / ((n - 1) * (m - 1))
    icc, p, (low, high) = icc3(scores, 0.9)
    assert icc == pytest.approx((MSB - MSE) / (MSB + (m - 1) * MSE))
    assert p == pytest.approx(stats.f.sf(MSB / MSE, 14, 28))
    FL, FU = MSB / MSE / stats.f.ppf(0.95, 14, 28), MSB / MSE * stats.f.ppf(0.95, 28, 14)
    assert (low, high) == pytest.approx(((FL - 1) / (FL + m - 1), (FU - 1) / (FU + m - 1)))
    np.testing.assert_allclose(icc3(scores + np.array([0, 5, -7]), 0.9)[0], icc)  # consistency: shifts cost nothing


def test_icc3_edges():
    x = np.arange(6)
    assert icc3(np.column_stack([x, x + 4, x - 1])) == (1, 0, (1, 1))
    icc, p, (low, high) = icc3(np.column_stack([x, -x]))
    assert (icc, p, low, high) == pytest.approx((-1, 1, -1, -1))


def test_rank_agreement(rng):
    assert rank_agreement([1, 2, 3, 4], [1, 2, 3, 4]) == (4, pytest.approx(1), True)
    assert rank_agreement([1, 2, 3, 3], [2, 1, 3, 4])[::2] == (1, False)
    assert rank_agreement([1, 1, 2], [1, 2, 3]).same_best is False  # a tied best is not the best alone
    assert math.isnan(rank_agreement([1, 1, 1], [1, 2, 3]).tau)
    a, b = rng.integers(1, 4, (2, 8))
    pairs = [(np.sign(a[i] - a[j]), np.sign(b[i] - b[j])) for i in range(8) for j in range(i)]
    tau = sum(u * v for u, v in pairs) / math.sqrt(sum(u * u for u, _ in pairs) * sum(v * v for _, v in pairs))
    assert rank_agreement(a, b) == (sum(x == y for x, y in zip(a, b, strict=True)), pytest.approx(tau), (a == b).all())
    with pytest.raises(ValueError, match="they must be pairs"):
        rank_agreement([1, 2], [1, 2, 3])
