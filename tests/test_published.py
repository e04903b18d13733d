"""What the book cites of the published study is whole and agrees with itself."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import chi2

from sonimatch import stats
from sonimatch.study import RELEASED

PUBLISHED = json.loads((Path(__file__).parents[1] / "results" / "published.json").read_text(encoding="utf-8"))
SYNTHS = [synth.name for synth in RELEASED.synths]
LOSSES = {loss.name for loss in RELEASED.losses}
MEASURES = ("MSS", "P_loss", "listening")


def test_every_cell_of_the_tables_is_there():
    ranks, tests = PUBLISHED["ranks"]["values"], PUBLISHED["kruskal_wallis"]["values"]
    assert list(ranks) == list(MEASURES) == list(PUBLISHED["names"]["measures"])
    for measure, synth in product(MEASURES, SYNTHS):
        assert ranks[measure][synth].keys() == LOSSES
        assert {1} <= {*ranks[measure][synth].values()} <= {1, 2, 3, 4}
        assert tests[synth][measure]["reject"] == (tests[synth][measure]["p"] < 0.05)
    for measure, synth in product(("MSS", "P_loss"), SYNTHS):
        assert PUBLISHED["means"]["values"][measure][synth].keys() == LOSSES
        tiers = PUBLISHED["tiers"]["values"][measure][synth]
        assert sorted(loss for tier in tiers for loss in tier) == sorted(LOSSES)


@pytest.mark.parametrize(("synth", "measure"), list(product(SYNTHS, MEASURES)))
def test_printed_p_is_that_of_the_printed_h(synth, measure):
    test = PUBLISHED["kruskal_wallis"]["values"][synth][measure]
    assert chi2.sf(test["H"], 3) == pytest.approx(test["p"], rel=5e-3)


@pytest.mark.parametrize("synth", SYNTHS)
def test_the_counts_of_listening_scores_give_the_printed_h(synth):
    counts = PUBLISHED["listening"]["counts"][synth]
    assert counts.keys() == LOSSES
    heard = [np.repeat(PUBLISHED["listening"]["scores"], counts[loss]) for loss in counts]
    assert {len(scores) for scores in heard} == {80}
    printed = PUBLISHED["kruskal_wallis"]["values"][synth]["listening"]["H"]
    statistic, _ = stats.kruskal_wallis(heard)
    assert statistic == pytest.approx(printed, abs=5.1e-3)
