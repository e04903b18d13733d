"""The ranking bench and the listening test with a kernel: what they hold, and what they refuse."""

import json

import numpy as np
import pytest
from test_listening import SMALL, study_of

from sonimatch import listening, stats

pytest.importorskip("anywidget")

from sonimatch.widgets.listening_test import ListeningTest, rater_page
from sonimatch.widgets.ranking_bench import RankingBench


@pytest.fixture(scope="module")
def small():
    return study_of(SMALL)


def test_the_bench_has_the_scores(small):
    bench = RankingBench({"one": small, "two": study_of(SMALL, 1)}, trials=10)
    record = bench.data["records"]["two"]
    assert (record["trials"], [*record["losses"]]) == (10, ["L1_Spec", "SIMSE_Spec"])
    for synth in small.synths:
        expected = {loss: small.scores(synth, loss)[:10] for loss in small.losses}
        bench.choice = {**bench.choice, "synth": synth}
        for loss in small.losses:
            np.testing.assert_array_equal(bench.scores[loss], expected[loss])
        assert bench.ranks == stats.rank_losses(expected)
        bench.choice = {**bench.choice, "shown": "trials", "test": "p"}
        assert bench.ranks == stats.rank_losses(expected, 0, test="p")
    assert bench.figure()._repr_png_().startswith(b"\x89PNG")
    assert "Ranks of the losses on noise_am by P-loss: L1_Spec " in bench.sentence()
    assert len(json.dumps(bench.data)) < 250_000


def test_the_bench_begins_where_it_is_told(small):
    bench = RankingBench(small, synth="noise_am", metric="MSS", shown="trials", test="p")
    assert bench.choice == {
        "record": "small", "synth": "noise_am", "metric": "MSS", "shown": "trials", "test": "p", "trials": 12
    }  # fmt: skip
    assert bench.figure().axes[0].get_ylabel() == "MSS"


def test_the_bench_refuses(small):
    for wrong, message in (
        ({"studies": {}}, "0 studies"),
        ({"studies": small, "trials": 1}, "1 trials"),
        ({"studies": small, "synth": "bp_noise"}, r"'bp_noise' is no choice \(there are: hp_noise, noise_am\)"),
        ({"studies": small, "record": "x"}, "record = 'x'"),
        ({"studies": small, "colour": "x"}, "colour = 'x'"),
    ):
        with pytest.raises(ValueError, match=message):
            RankingBench(**wrong)
    bench = RankingBench(small)
    for choice, message in (
        ({"synth": "bp_noise"}, "synth = 'bp_noise'"),
        ({"trials": 13}, r"trials = 13 is no choice \(there are: 2 to 12\)"),
        ({"record": "x"}, r"record = 'x' is no choice \(there are: small\)"),
        ({"colour": "x"}, r"colour = 'x' is no choice \(there are: record, synth, metric, shown, test, trials\)"),
    ):
        with pytest.raises(ValueError, match=message):
            bench.choice = choice
    bench.choice = {"metric": "MSS"}
    assert bench.choice["metric"] == "MSS"
    assert bench.choice["synth"] == "hp_noise", "what is not named stays"


def test_the_listening_test_has_pairs_of_every_kind(small):
    test = ListeningTest(small, per_pair=2)
    assert test.key == listening.draw(small, 2)
    assert sorted(test.data["sounds"]) == test.data["ids"] == [*test.key.items]
    name = test.data["ids"][0]
    place, target, match = test.data["sounds"][name]
    item = test.key.items[name]
    assert SMALL.synths[place].name == item.synth
    np.testing.assert_array_equal(np.float32(target), small.trials[item.synth, item.loss].theta_true[item.trial])
    np.testing.assert_array_equal(np.float32(match), small.trials[item.synth, item.loss].end[item.trial])
    assert all(np.sqrt(np.mean(sound**2)) <= listening.RMS * 1.001 for sound in test.sounds(name))
    assert test.figure()._repr_png_().startswith(b"\x89PNG")
    assert "8 pairs" in test.sentence()
    assert repr(test) == "ListeningTest(0 of 8 pairs scored)"
    assert len(json.dumps(test.data)) < 250_000


def test_a_match_that_is_not_finite_is_silent(small):
    name, item = next(iter(listening.draw(small, 1).items.items()))
    pair = item.synth, item.loss
    theta = small.trials[pair].theta.copy()
    theta[item.trial, 1] = np.nan
    broken = type(small)(small.settings, {}, {**small.trials, pair: small.trials[pair]._replace(theta=theta)})
    test = ListeningTest(broken)
    assert test.data["sounds"][name][2] is None
    assert not test.sounds(name)[1].any()


def test_targets_with_noise_of_their_own_are_refused(small):
    settings = small.settings | {"shared_noise": False}
    with pytest.raises(ValueError, match="small has shared_noise = False"):
        ListeningTest(type(small)(settings, {}, small.trials))


def test_the_raters_page_says_nothing_of_the_key(small):
    key = listening.draw(small, 2)
    page = rater_page(key)
    state = page.split('<script type="application/json">')[1].split("</script>")[0]
    assert json.loads(state)["data"].keys() == {"id", "ids", "folder", "kind", "rms", "peak", "silence"}
    assert page.count("<html") == 1
    assert "{{" not in page.split("<script>")[0]
