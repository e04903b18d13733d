"""Which loss is best, and do the listeners agree: bootstrap, rank tests, effect sizes, raters."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from math import copysign, inf, sqrt
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats
from scipy.special import ndtr, ndtri

# ---------------------------------------------------------------- bootstrap


def bootstrap_means(
    x: ArrayLike, resamples: int = 1000, seed: int = 0, reciprocal: bool = False, paired: bool = False
) -> np.ndarray:
    """Means of `resamples` samples drawn with replacement from `x [n]` or from each column of `x [n, k]`.

    Returns `[resamples]` or `[resamples, k]`. With `reciprocal` every mean enters as 1/mean, as the published
    study does with scores where lower is better. Columns are drawn independently; with `paired` all take the
    same rows, which is right when a row is one target matched under k losses. Assumes independent rows.

    Warning: these means spread by the standard error, which shrinks as 1/√n. Effect sizes between them, and so
    `scott_knott_esd` on them, nearly just sort the means: two losses with one and the same distribution get
    different ranks in over 80 % of draws. To ask how much losses differ, rank the raw scores.

    Raises ValueError for values that are not finite, `resamples < 1`, or a reciprocal of means not all positive.
    Source: B. Efron, "Bootstrap methods", 1979; Salimi et al. 2025. Shown in notebooks/ranking.md.
    """
    x = _finite("x", x, (1, 2))
    rng = np.random.default_rng(seed)
    rows, columns = _rows(rng, resamples, len(x)), []
    for column in x.reshape(len(x), -1).T:
        if columns and not paired:
            rows = _rows(rng, resamples, len(x))
        columns.append(column[rows].mean(1))
    means = np.stack(columns, 1).reshape(resamples, *x.shape[1:])
    if not reciprocal:
        return means
    if not (means > 0).all():
        raise ValueError(f"reciprocal needs positive means, not {means.min()}")
    return 1 / means


def interval(
    x: ArrayLike,
    statistic: Callable[[np.ndarray], Any] = np.mean,
    confidence: float = 0.95,
    method: Literal["BCa", "percentile"] = "BCa",
    resamples: int = 2000,
    seed: int = 0,
) -> tuple[float, float]:
    """Bootstrap confidence interval `(low, high)` of `statistic(x)`, a scalar, for the rows of `x [n]` or `x [n, k]`.

    `percentile`: the quantiles (1 ± confidence)/2 of the resampled statistic. `BCa` shifts both probabilities to
    `Φ(z₀ + (z₀ + z) / (1 - a (z₀ + z)))`: z₀ corrects the median bias, a (from the jackknife) the skewness.
    Equal rows give `low = high = statistic(x)`. Assumes independent rows, a statistic that varies smoothly, and
    some 20 rows or more; below that both intervals are too short.

    Raises ValueError for fewer than two rows, values or a resampled statistic that are not finite, a confidence
    outside (0, 1), `resamples < 1`, or an unknown method. Source: B. Efron, "Better bootstrap confidence intervals",
    1987. Shown in notebooks/ranking.md.
    """
    x = _finite("x", x, (1, 2), least=2)
    if method not in ("BCa", "percentile"):
        raise ValueError(f"method must be 'BCa' or 'percentile', not {method!r}")
    z = _quantile(confidence) * np.array([-1, 1])
    rows = _rows(np.random.default_rng(seed), resamples, len(x))
    draws = _finite("the statistic", [statistic(x[row]) for row in rows], (1,))
    if method == "BCa":
        value, left_out = statistic(x), [statistic(np.delete(x, i, 0)) for i in range(len(x))]
        below = ((draws < value).mean() + (draws <= value).mean()) / 2
        z0 = ndtri(np.clip(below, 0.5 / resamples, 1 - 0.5 / resamples))
        influence = np.mean(left_out) - _finite("the statistic", left_out, (1,))
        spread = 6 * (influence**2).sum() ** 1.5
        a = (influence**3).sum() / spread if spread > 0 else 0.0
        z = z0 + (z0 + z) / (1 - a * (z0 + z))
    low, high = np.quantile(draws, ndtr(z))
    return float(low), float(high)


# ---------------------------------------------------------------- differences between losses


class KruskalWallis(NamedTuple):
    H: float
    p: float


def kruskal_wallis(groups: Sequence[ArrayLike]) -> KruskalWallis:
    """Kruskal–Wallis test on raw values: `H`, corrected for ties, and its chi-square `p`; lengths may differ.

    `groups` is a sequence of samples: pass the columns of a matrix as `X.T`. Values that are all equal give
    H = 0 and p = 1. Assumes independent values, within and between groups; p is asymptotic, for some 5 values per
    group or more. A small p says that some group tends to be larger, not which, nor by how much.

    Warning: pooling two raters of the same sounds counts each sound twice: where they correlate by ρ, H is about
    1 + ρ times too large. Average the raters per sound first. Nor are bootstrapped means values: any H can be had
    from them.

    Raises ValueError for fewer than two groups, an empty one, or values that are not finite. Source:
    W. H. Kruskal and W. A. Wallis, "Use of ranks in one-criterion variance analysis", 1952. Shown in
    notebooks/ranking.md and notebooks/listening.md.
    """
    samples = [_finite("group", group, (1,)) for group in groups]
    if len(samples) < 2:
        raise ValueError(f"two groups or more are compared, not {len(samples)}")
    if np.ptp(np.concatenate(samples)) == 0:
        return KruskalWallis(0.0, 1.0)
    H, p = stats.kruskal(*samples)
    return KruskalWallis(float(H), float(p))


class Difference(NamedTuple):
    """The `mean` of a paired difference and its standard `error`."""

    mean: float
    error: float

    @property
    def clear(self) -> int:
        """The sign of the mean where it exceeds two standard errors, else 0."""
        return int(np.sign(self.mean)) if abs(self.mean) > 2 * self.error else 0


def paired_difference(a: ArrayLike, b: ArrayLike) -> Difference:
    """Mean of `d = a - b` over pairs `a [n]`, `b [n]`, such as scores of the same trials, and its error `s_d / √n`.

    Assumes independent pairs. Raises ValueError for fewer than two pairs, lengths that differ, or values that are not
    finite. Shown in notebooks/one_match.md and notebooks/ranking.md.
    """
    a, b = _pairs(a, b, least=2)
    return Difference(float((a - b).mean()), float((a - b).std(ddof=1) / sqrt(len(a))))


def cliffs_delta(a: ArrayLike, b: ArrayLike) -> float:
    """Cliff's delta `P(a > b) - P(a < b)` over all pairs of `a [n]` and `b [m]`, exact, in O((n + m) log m).

    1 when all of a exceed all of b; 0 when neither tends to be larger. Assumes ordinal values in independent
    samples. Usual words for |δ|: negligible below 0.147, small below 0.33, medium below 0.474.

    Raises ValueError for an empty sample or values that are not finite. Source: N. Cliff, "Dominance
    statistics", 1993; the words are from Romano et al. 2006. Shown in notebooks/ranking.md.
    """
    a, b = _finite("a", a, (1,)), np.sort(_finite("b", b, (1,)))
    smaller, at_most = (np.searchsorted(b, a, side).sum() for side in ("left", "right"))
    return int(smaller + at_most - a.size * b.size) / (a.size * b.size)


def cohens_d(a: ArrayLike, b: ArrayLike) -> float:
    """Cohen's d `(mean a - mean b) / √((s_a² + s_b²) / 2)` of `a [n]` and `b [m]`, variances with n - 1.

    Equal means give 0, different means without any spread ±inf. Assumes values on an interval scale for which
    mean and variance are telling, so neither heavy tails nor scores 1 to 5. |d| < 0.2 is called negligible.

    Raises ValueError for samples of fewer than two values or values that are not finite. Source: J. Cohen,
    "Statistical power analysis for the behavioral sciences", 1988. Shown in notebooks/ranking.md.
    """
    a, b = _finite("a", a, (1,), least=2), _finite("b", b, (1,), least=2)
    from_a, from_b = a - a[0], b - b[0]  # a constant has no spread, to the last bit
    difference = float(a[0] - b[0] + from_a.mean() - from_b.mean())
    spread = sqrt((from_a.var(ddof=1) + from_b.var(ddof=1)) / 2)
    if difference == 0:
        return 0.0
    return difference / spread if spread else copysign(inf, difference)


def scott_knott_esd(
    X: ArrayLike, test: Literal["np", "p"] = "np", negligible: Literal["all", "ends"] = "all"
) -> np.ndarray:
    """Scott–Knott effect size difference ranks `[k]` of the columns of `X [n, k]`; 1 has the highest values.

    Columns are put in order and cut in two, again and again, until the effects in each segment are negligible: of
    `all` its pairs, or only of the pair at its `ends`.

    - `np`: by median; Cliff's |δ| < 0.147 is negligible. A cut maximises `A²/|a| + B²/|b|`, the between-groups
      sum of squares of the midranks among all n·k values: A and B add them over the columns left and right.
    - `p`: by mean; Cohen's |d| < 0.2 is negligible. A cut maximises the same sum of squares of the means.

    Comparisons are exact, in integers; of equal cuts the first; equal medians: the later column first; equal means:
    the earlier one first. Assumes independent values; `p` also what `cohens_d` assumes. These are the ranks of the R
    package `ScottKnottESD` (`ends`: its release, `all`: its development branch), given to the columns they were
    computed for: the package's own `np` output hands them out in the order of the means.

    Warning: a rank is an ordering by effect size, not a test: it carries no error probability. On bootstrapped means
    it nearly just sorts them, see `bootstrap_means`.

    Raises ValueError for an unknown option, values that are not finite, or fewer than two rows. Source: A. J. Scott
    and M. Knott, "A cluster analysis method for grouping means", 1974; Tantithamthavorn et al., "An empirical
    comparison of model validation techniques", 2017. Shown in notebooks/ranking.md.
    """
    X = _finite("X", X, (2,), least=2)
    n, k = X.shape
    mantissa, exponent = np.frexp(X)  # Z is X times a power of two, in Python's integers: nothing is rounded
    Z = np.ldexp(mantissa, 53).astype(np.int64).astype(object) << (exponent - exponent.min()).astype(object)
    if test == "np":
        Z.sort(0)
        level, last_first = Z[(n - 1) // 2] + Z[n // 2], -1
        weight = (2 * stats.rankdata(X, axis=None)).astype(int).reshape(n, k).sum(0)
        columns = np.sort(X, 0).T
        close = np.array([[abs(cliffs_delta(a, b)) < 0.147 for b in columns] for a in columns])
    elif test == "p":
        level, last_first = Z.sum(0), 1
        weight, square = level, n * (Z * Z).sum(0) - level**2
        gap = level[:, None] - level  # d² < 0.2², multiplied out
        close = (gap == 0) | (50 * (n - 1) * gap**2 < n * (square[:, None] + square))
    else:
        raise ValueError(f"test must be 'np' or 'p', not {test!r}")
    if negligible not in ("all", "ends"):
        raise ValueError(f"negligible must be 'all' or 'ends', not {negligible!r}")
    order = sorted(range(k), key=lambda j: (-level[j], last_first * j))
    w = [int(weight[j]) for j in order]

    def segments(low: int, high: int) -> list[list[int]]:
        columns = order[low:high]
        if close[np.ix_(columns, columns)].all() if negligible == "all" else close[columns[0], columns[-1]]:
            return [columns]

        def between(c: int) -> Fraction:
            return Fraction(sum(w[low:c]) ** 2, c - low) + Fraction(sum(w[c:high]) ** 2, high - c)

        cut = max(range(low + 1, high), key=between)  # the first of equals
        return segments(low, cut) + segments(cut, high)

    ranks = np.empty(k, int)
    for rank, columns in enumerate(segments(0, k), 1):
        ranks[columns] = rank
    return ranks


def rank_losses(
    scores: Mapping[str, ArrayLike],
    resamples: int = 1000,
    seed: int = 0,
    test: Literal["np", "p"] = "np",
    negligible: Literal["all", "ends"] = "all",
) -> dict[str, int]:
    """Ranks of losses from the scores `[n]` of each, where lower is better; 1 is the best.

    As the published study does: `scott_knott_esd` of the reciprocal bootstrapped means of each loss, which mind its
    warning. The losses are drawn independently, and may have different numbers of scores. With `resamples=0` the
    scores themselves are ranked, whose numbers must be equal. Assumes what these functions assume, and raises their
    ValueErrors. Shown in notebooks/ranking.md.
    """
    if resamples:
        drawn = [bootstrap_means(x, resamples, seed + i, reciprocal=True) for i, x in enumerate(scores.values())]
    else:
        drawn = [-np.asarray(x, float) for x in scores.values()]
    return dict(zip(scores, scott_knott_esd(np.stack(drawn, 1), test, negligible).tolist(), strict=True))


# ---------------------------------------------------------------- agreement of raters and rankings


class Agreement(NamedTuple):
    """A coefficient of agreement, the p-value of its absence, and a confidence interval `(low, high)`."""

    value: float
    p: float
    interval: tuple[float, float]


def spearman(a: ArrayLike, b: ArrayLike, confidence: float = 0.95) -> Agreement:
    """Spearman's rank correlation of the pairs `a [n]`, `b [n]`; ties take midranks.

    The interval is `tanh(artanh ρ ± z √((1 + ρ²/2) / (n - 3)))`; at |ρ| = 1 it has no width. p, of ρ = 0, is from
    Student's t with n - 2 degrees of freedom. Assumes independent pairs; both are approximate, for n of 10 or
    more and few ties. Correlation is not agreement: a rater who is always one point lower has ρ = 1.

    Raises ValueError for fewer than four pairs, lengths that differ, values that are not finite, or a constant
    side. Source: D. G. Bonett and T. A. Wright, "Sample size requirements for estimating Pearson, Kendall and
    Spearman correlations", 2000. Shown in notebooks/listening.md.
    """
    a, b = _pairs(a, b, least=4)
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        raise ValueError(f"a constant has no rank correlation: {a[0] if np.ptp(a) == 0 else b[0]}")
    rho, p = map(float, stats.spearmanr(a, b))
    width = _quantile(confidence) * sqrt((1 + rho**2 / 2) / (len(a) - 3))
    with np.errstate(divide="ignore"):
        low, high = np.tanh(np.arctanh(rho) + width * np.array([-1, 1]))
    return Agreement(rho, p, (float(low), float(high)))


def kendall_w(scores: ArrayLike, confidence: float = 0.95, resamples: int = 2000, seed: int = 0) -> Agreement:
    """Kendall's coefficient of concordance W of `scores [n, m]`, n items ranked by each of m raters.

    `W = ∑ᵢ (Rᵢ - R̄)² / (m ∑ⱼ SSⱼ)`: Rᵢ adds the midranks of item i, SSⱼ is the sum of squares of rater j's
    midranks about their mean, (n³ - n)/12 less the correction for ties. 1 when all rank alike; about 1/m, not 0, when
    they have nothing in common. p is of `χ² = m (n - 1) W` with n - 1 degrees of freedom; asymptotic, for n above 7.
    The interval is the BCa bootstrap over items; resampled items tie, and one where nobody tells any items apart
    counts as W = 0. Assumes raters who judge by themselves and, for the interval, items that are a random sample.

    Raises ValueError for fewer than two items or raters, values that are not finite, or raters who are all
    constant. Source: M. G. Kendall and B. Babington Smith, "The problem of m rankings", 1939. Shown in
    notebooks/ranking.md and notebooks/listening.md.
    """

    def W(scores: np.ndarray) -> float:
        ranks = stats.rankdata(scores, axis=0) - (len(scores) + 1) / 2
        squares = scores.shape[1] * (ranks**2).sum()
        return float((ranks.sum(1) ** 2).sum() / squares) if squares else 0.0

    scores = _ratings(scores)
    n, m = scores.shape
    p = float(stats.chi2.sf(m * (n - 1) * W(scores), n - 1))
    return Agreement(W(scores), p, interval(scores, W, confidence, resamples=resamples, seed=seed))


def icc3(scores: ArrayLike, confidence: float = 0.95) -> Agreement:
    """Intraclass correlation ICC(3,1) of `scores [n, m]`, n items scored by each of m raters.

    `(MSB - MSE) / (MSB + (m - 1) MSE)` of the two-way analysis of variance: raters fixed, consistency (a rater who is
    always one point lower costs nothing), reliability of one rater, not of their mean. p, of ICC = 0, and the
    interval are from F = MSB/MSE with n - 1 and (n - 1)(m - 1) degrees of freedom. Assumes that items and errors
    are independent and normal with one variance; scores from 1 to 5 that pile up at an end are not. It speaks for
    these raters, not for others.

    Raises ValueError for fewer than two items or raters, values that are not finite, or raters who are all
    constant. Source: P. E. Shrout and J. L. Fleiss, "Intraclass correlations", 1979; K. O. McGraw and S. P. Wong,
    "Forming inferences about some intraclass correlation coefficients", 1996. Shown in notebooks/listening.md.
    """
    scores = _ratings(scores)
    n, m = scores.shape
    centred = scores - scores.mean(0)
    items = centred.mean(1)
    df, df_error, tail = n - 1, (n - 1) * (m - 1), ndtr(-_quantile(confidence))
    MSB, MSE = m * (items**2).sum() / df, ((centred.T - items) ** 2).sum() / df_error
    divisor = np.array([stats.f.isf(tail, df, df_error), 1, 1 / stats.f.isf(tail, df_error, df)])
    low, value, high = map(float, (MSB - divisor * MSE) / (MSB + (m - 1) * divisor * MSE))
    return Agreement(value, float(stats.f.sf(MSB / MSE, df, df_error)) if MSE else 0.0, (low, high))


class RankAgreement(NamedTuple):
    equal: int
    tau: float
    same_best: bool


def rank_agreement(a: ArrayLike, b: ArrayLike) -> RankAgreement:
    """Two rankings `a [k]`, `b [k]` of the same things, 1 = best: how many ranks are `equal`, Kendall's `tau`-b, and
    whether the best, all that share the lowest rank, are the `same_best`.

    tau is NaN when a ranking tells nothing apart. Describes, assumes and proves nothing: with four things tau is 2/3
    or more in 4 of 24 random orders, and equal tier numbers depend on how many tiers there are.

    Raises ValueError for fewer than two things, lengths that differ, or ranks that are not finite. Source:
    M. G. Kendall, "The treatment of ties in ranking problems", 1945. Shown in notebooks/ranking.md.
    """
    a, b = _pairs(a, b, least=2)
    tau, _ = map(float, stats.kendalltau(a, b))
    return RankAgreement(int((a == b).sum()), tau, np.array_equal(a == a.min(), b == b.min()))


# ---------------------------------------------------------------- what all of them ask of their input


def _finite(name: str, x: ArrayLike, ndim: tuple[int, ...], least: int = 1) -> np.ndarray:
    x = np.asarray(x, float)
    if x.ndim not in ndim or len(x) < least or not x.size:
        axes = " or ".join(map(str, ndim))
        raise ValueError(f"{name} must have {axes} axes and {least} or more values on each, not shape {x.shape}")
    if not np.isfinite(x).all():
        raise ValueError(f"{name} must be finite, not {x[~np.isfinite(x)][0]}")
    return x


def _pairs(a: ArrayLike, b: ArrayLike, least: int) -> tuple[np.ndarray, np.ndarray]:
    a, b = _finite("a", a, (1,), least), _finite("b", b, (1,), least)
    if len(a) != len(b):
        raise ValueError(f"a and b have {len(a)} and {len(b)} values; they must be pairs")
    return a, b


def _ratings(scores: ArrayLike) -> np.ndarray:
    scores = _finite("scores", scores, (2,), least=2)
    if scores.shape[1] < 2:
        raise ValueError(f"scores [items, raters] need two raters or more, not shape {scores.shape}")
    if not np.ptp(scores, axis=0).any():
        raise ValueError("every rater is constant; agreement is undefined")
    return scores


def _rows(rng: np.random.Generator, resamples: int, n: int) -> np.ndarray:
    if resamples < 1:
        raise ValueError(f"resamples must be 1 or more, not {resamples}")
    return rng.integers(n, size=(resamples, n))


def _quantile(confidence: float) -> float:
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1, not {confidence}")
    return float(ndtri((1 + confidence) / 2))
