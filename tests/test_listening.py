"""The listening test: what is drawn, what raters get, what their files say; and `sonimatch listen`."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
import soundfile

from sonimatch import L1_Spec, SIMSE_Spec, hp_noise, listening, noise_am, stats
from sonimatch.__main__ import main
from sonimatch.listening import ListeningError, Ratings, analyse, build, draw, level, read
from sonimatch.study import Experiment, Study, Trials, save

SMALL = Experiment("small", (hp_noise, noise_am), (L1_Spec(), SIMSE_Spec()), trials=12)


def study_of(experiment: Experiment, seed: int = 0) -> Study:
    """A study that nobody ran: targets and ends at random, the later losses the worse."""
    rng, n, trials = np.random.default_rng(seed), experiment.trials, {}
    for i, (synth, loss) in enumerate(experiment.pairs):
        truth = rng.uniform(size=(n, len(synth.space))).astype(np.float32)
        end = np.clip(truth + rng.normal(0, 0.05 * (1 + i % 4), truth.shape), 0, 1).astype(np.float32)
        theta, values = np.stack([truth[::-1], end], 1), np.ones((n, 2), np.float32)
        MSS = rng.gamma(2 + i % 4, size=n).astype(np.float32)
        trials[synth.name, loss.name] = Trials(truth, theta, values, values, np.ones(n, bool), np.ones(n, int), MSS)
    provenance = {"finished": "never", "seconds": 0.0, "core_seconds": 0.0, "commit": None}
    return Study(experiment.settings, provenance, trials)


def scores_of(key: listening.Key, raters: int = 2, seed: int = 0) -> list[Ratings]:
    """Raters who agree more or less: a common impression by loss, and an opinion."""
    rng, found = np.random.default_rng(seed), []
    liking = {name: 4 - key.losses.index(item.loss) + rng.normal() for name, item in key.items.items()}
    for rater in range(raters):
        given = {name: int(np.clip(np.rint(x + 0.7 * rng.normal()), 1, 5)) for name, x in liking.items()}
        found.append(Ratings(key.test, "ABCDEF"[rater], given))
    return found


def write_ratings(path, ratings: Ratings) -> None:
    rows = [{"item": name, "score": score, "position": i} for i, (name, score) in enumerate(ratings.scores.items(), 1)]
    record = {"kind": "sonimatch listening ratings", "test": ratings.test, "rater": ratings.rater, "ratings": rows}
    path.write_text(json.dumps(record))


@pytest.fixture(scope="module")
def small() -> Study:
    return study_of(SMALL)


@pytest.fixture(scope="module")
def built(small, tmp_path_factory):
    folder = tmp_path_factory.mktemp("built")
    return folder, build(small, folder, lambda key, kind: f"{key.test}, {kind}", 2, seed=3, progress=False)


# ------------------------------------------------------------------------------------------------- the test


def test_the_sample_is_of_every_pair_and_in_no_order(small):
    key = draw(small, 5, seed=1)
    assert key == draw(small, 5, seed=1)
    assert draw(small, 5, seed=2).test != key.test
    items = [*key.items.values()]
    assert len(set(items)) == len(items) == 20
    for pair in small.trials:
        assert sum(item[:2] == pair for item in items) == 5
    assert [*key.items] == sorted(key.items), "by the random ids"
    assert all(re.fullmatch(r"[0-9a-f]{8}", name) for name in (key.test, *key.items))
    assert [item.synth for item in items] != sorted(item.synth for item in items)
    samples = [{item.trial for item in items if item[:2] == pair} for pair in small.trials]
    assert len({frozenset(sample) for sample in samples}) > 1, "each pair by itself"
    assert len(draw(small, 12).items) == 48
    for wrong in (0, 13):
        with pytest.raises(ListeningError, match=f"{wrong} trials of each pair are asked for; the study has 12"):
            draw(small, wrong)


def test_both_sounds_have_one_level_and_a_limited_peak(rng):
    tone = np.sin(np.arange(1000))
    a, b = level(0.01 * tone, 3 * rng.normal(size=1000))
    np.testing.assert_allclose([np.sqrt(np.mean(x**2)) for x in (a, b)], listening.RMS, rtol=1e-5)
    click = np.zeros(1000)
    click[5] = 0.2
    a, b = level(tone, click)
    assert np.abs(b).max() == pytest.approx(listening.PEAK)
    assert np.sqrt(np.mean(a**2)) == pytest.approx(np.sqrt(np.mean(b**2)), rel=1e-5)
    assert a.dtype == b.dtype == np.float32
    silent, broken = level(np.zeros(9), np.array([np.nan, np.inf, 1.0]))
    assert not silent.any()
    assert (broken[:2] == 0).all()
    assert broken[2] > 0


def test_the_folder_has_the_sounds_and_not_the_key(built, small):
    folder, key = built
    raters = folder / "listening_test"
    assert sorted(path.name for path in folder.iterdir()) == ["key.json", "listening_test"]
    assert {path.name for path in raters.iterdir()} == {"index.html", "sounds"}
    assert (raters / "index.html").read_text() == f"{key.test}, flac"
    assert {path.name for path in (raters / "sounds").iterdir()} == {
        f"{name}-{which}.flac" for name in key.items for which in ("target", "match")
    }
    assert read(folder / "key.json") == key
    synths = {synth.name: synth for synth in SMALL.synths}
    name = next(name for name, item in key.items.items() if item.synth == "noise_am")
    item = key.items[name]
    trials = small.trials[item.synth, item.loss]
    native = synths[item.synth].render_native
    expected = level(native(trials.theta_true[item.trial]), native(trials.end[item.trial]))
    for which, sound in zip(("target", "match"), expected, strict=True):
        stored, rate = soundfile.read(raters / "sounds" / f"{name}-{which}.flac")
        assert rate == 44_100
        np.testing.assert_allclose(stored, sound, atol=1e-3)


def test_a_test_is_not_overwritten_by_another(built, small):
    folder, _ = built
    before = (folder / "key.json").read_bytes()
    with pytest.raises(ListeningError, match="is the key of another test; choose another folder"):
        build(small, folder, str, per_pair=2, seed=4, progress=False)
    assert (folder / "key.json").read_bytes() == before


def test_pairs_that_did_not_play_are_no_scores_and_are_told(built, tmp_path, capsys):
    folder, key = built
    first, second, *_ = key.items
    rows = [{"item": first, "score": 5, "position": 1}, {"item": second, "position": 2, "failed": "x.flac is missing"}]
    record = {"kind": "sonimatch listening ratings", "test": key.test, "rater": "A", "ratings": rows}
    (tmp_path / "A.json").write_text(json.dumps(record))
    assert read(tmp_path / "A.json") == Ratings(key.test, "A", {first: 5}, {second: "x.flac is missing"})
    assert main(["listen", "score", str(tmp_path / "A.json"), "--key", str(folder / "key.json")]) == 0
    assert f"A: 1 of {len(key.items)} pairs of sounds scored; 1 did not play" in capsys.readouterr().out
    (tmp_path / "A.json").write_text(json.dumps(record | {"ratings": rows[1:]}))
    with pytest.raises(ListeningError, match="has no ratings: 1 pairs did not play"):
        read(tmp_path / "A.json")


def test_files_that_are_no_ratings(tmp_path):
    path = tmp_path / "x.json"
    good = {"kind": "sonimatch listening ratings", "test": "t", "rater": "A", "ratings": [{"item": "i", "score": 5}]}
    path.write_text(json.dumps(good))
    assert read(path) == Ratings("t", "A", {"i": 5})
    for change, message in (
        ({"ratings": [{"item": "i", "score": 6}]}, r"gives i the score 6; it must be one of \(1, 2, 3, 4, 5\)"),
        ({"ratings": [{"item": "i", "score": 4.5}]}, "the score 4.5"),
        ({"ratings": [{"item": "i", "score": True}]}, "the score True"),
        ({"ratings": [{"item": "i", "score": 4}] * 2}, "scores a pair twice"),
        ({"ratings": []}, "has no ratings"),
        ({"ratings": None}, "neither a key nor ratings"),
        ({"kind": "a letter"}, "its kind is 'a letter'"),
        ({"kind": "sonimatch listening key"}, "neither a key nor ratings"),
    ):
        path.write_text(json.dumps(good | change))
        with pytest.raises(ListeningError, match=message):
            read(path)
    for content in (b"", b"[]", b"\xff\xfe", b"null"):
        path.write_bytes(content)
        with pytest.raises(ListeningError, match="neither a key nor ratings"):
            read(path)
    with pytest.raises(ListeningError, match="cannot be read: No such file"):
        read(tmp_path / "absent.json")


# ------------------------------------------------------------------------------------------------- the analysis


def table(key, ratings, synth=None, loss=None):
    names = [n for n, item in sorted(key.items.items()) if synth in (None, item.synth) and loss in (None, item.loss)]
    return np.array([[one.scores[name] for one in ratings] for name in names], float)


@pytest.mark.parametrize("raters", [2, 3])
def test_the_analysis_is_that_of_stats(small, raters):
    key = draw(small, 12)
    ratings = scores_of(key, raters)
    found = analyse(ratings, key)
    assert found.left_out == 0
    for synth in (None, *key.synths):
        rows = {(row["measure"], row["raters"]): row for row in found.agreement if row["synth"] == (synth or "all")}
        scores = table(key, ratings, synth)
        assert len(rows) == raters * (raters - 1) // 2 + 2
        for name, who, expected in (
            ("Spearman", "A, B", stats.spearman(scores[:, 0], scores[:, 1])),
            ("Kendall's W", "all", stats.kendall_w(scores)),
            ("ICC(3,1)", "all", stats.icc3(scores)),
        ):
            row = rows[name, who]
            assert (row["value"], row["p"], (row["low"], row["high"])) == expected
            assert row["sounds"] == len(scores)
    for synth, row in zip(key.synths, found.tests, strict=True):
        by_loss = [table(key, ratings, synth, loss) for loss in key.losses]
        assert (row["H, pooled"], row["p, pooled"]) == stats.kruskal_wallis([x.ravel() for x in by_loss])
        H, p = stats.kruskal_wallis([x.mean(1) for x in by_loss])
        np.testing.assert_allclose([row["H, per sound"], row["p, per sound"]], [H, p])
        ranks = [row for row in found.ranks if row["synth"] == synth]
        means = np.stack([stats.bootstrap_means(x.ravel(), seed=i) for i, x in enumerate(by_loss)], 1)
        assert [row["rank, pooled"] for row in ranks] == stats.scott_knott_esd(means).tolist()
        own = stats.scott_knott_esd(np.stack([x.sum(1) for x in by_loss], 1))
        assert [row["rank, per sound"] for row in ranks] == own.tolist()
        assert [row["mean"] for row in ranks] == pytest.approx([x.mean() for x in by_loss])


def test_only_what_everybody_scored_counts(small):
    key = draw(small, 6)
    full = scores_of(key)
    some = dict([*full[1].scores.items()][:15])
    found = analyse([full[0], replace(full[1], scores=some)], key)
    assert found.left_out == len(key.items) - 15
    assert found.agreement[0]["sounds"] == 15
    assert sum(row["sounds"] for row in found.ranks) == 15
    assert any(row["rank, per sound"] is None for row in found.ranks), "losses with different numbers of sounds"


def test_what_cannot_be_computed_is_nan(small):
    key = draw(small, 2)
    same = [Ratings(key.test, rater, dict.fromkeys(key.items, 3)) for rater in "AB"]
    found = analyse(same, key)
    assert all(np.isnan(row["value"]) for row in found.agreement)
    assert [row["H, pooled"] for row in found.tests] == [0, 0]
    assert not analyse(same[:1], key).agreement
    assert len(analyse(same[:1], key).ranks) == 4


def test_ratings_that_do_not_belong(small):
    key = draw(small, 2)
    one, other = scores_of(key)
    for ratings, message in (
        ([], "no ratings"),
        ([one, replace(other, test="x")], "B rated the test x; the key is of"),
        ([one, replace(other, rater="A")], "two files of the rater 'A'"),
        ([one, one], "two files of the rater 'A'"),
        ([one, replace(other, rater="a")], "'a' and 'A' differ by case alone: one rater or two"),
        ([replace(one, scores={"zz": 3})], "A scored zz, which the key does not know"),
    ):
        with pytest.raises(ListeningError, match=message):
            analyse(ratings, key)


def test_files_that_an_editor_has_saved(tmp_path, small):
    """With a byte-order mark, and a name with spaces around it that nobody sees."""
    key = draw(small, 2)
    one, _ = scores_of(key)
    write_ratings(tmp_path / "A.json", replace(one, rater=" Ann  Example "))
    text = (tmp_path / "A.json").read_text()
    (tmp_path / "A.json").write_text(text, encoding="utf-8-sig")
    assert read(tmp_path / "A.json") == replace(one, rater="Ann Example")
    (tmp_path / "key.json").write_text(json.dumps(key.record), encoding="utf-8-sig")
    assert read(tmp_path / "key.json") == key
    for nobody in (None, 7, "  "):
        (tmp_path / "A.json").write_text(json.dumps(json.loads(text) | {"rater": nobody}))
        with pytest.raises(ListeningError, match=r"A\.json is neither a key nor ratings|A\.json names no rater"):
            read(tmp_path / "A.json")


# ------------------------------------------------------------------------------------------------- the command


def test_a_bar_in_a_name_does_not_break_the_table(tmp_path, capsys, small):
    key = draw(small, 2)
    (tmp_path / "key.json").write_text(json.dumps(key.record))
    for one in scores_of(key):
        write_ratings(tmp_path / f"{one.rater}.json", replace(one, rater=f"{one.rater}|x"))
    assert main(["listen", "score", str(tmp_path)]) == 0
    rows = [line for line in capsys.readouterr().out.splitlines() if "Spearman" in line]
    assert rows
    for row in rows:
        assert len(re.split(r"(?<!\\)\|", row)) == len(re.split(r"(?<!\\)\|", rows[0])) == 10
        assert r"A\|x, B\|x" in row


def test_the_command_builds_and_scores(tmp_path, capsys, small):
    pytest.importorskip("anywidget")
    save(small, tmp_path / "small.npz")
    out = tmp_path / "out"
    words = ["listen", "build", "--study", str(tmp_path / "small.npz"), "--per-pair", "1", "--opus", "-o", str(out)]
    assert main(words) == 0
    said = capsys.readouterr().out
    assert "4 pairs of sounds" in said
    assert "show it to no rater" in said
    key = read(out / "key.json")
    page = (out / "listening_test" / "index.html").read_text()
    files = [*(out / "listening_test" / "sounds").glob("*.opus")]
    assert len(files) == 8
    assert all(path.stat().st_size < 20_000 and soundfile.info(path).duration == 1 for path in files)
    assert "http" not in re.sub(r"https?://www\.w3\.org\S*", "", page)
    for word in (*key.synths, *key.losses, key.checksum, "trial"):
        state = re.search(r'<script type="application/json">(.*?)</script>', page, re.DOTALL).group(1)
        assert word not in state
    for one in scores_of(key):
        write_ratings(out / f"{one.rater}.json", one)
    assert main(["listen", "score", str(out), "--csv", str(tmp_path / "scores.csv")]) == 0
    said = capsys.readouterr().out
    assert "A: 4 of 4 pairs of sounds scored" in said
    assert "Kendall's W" in said
    assert "| hp_noise | L1_Spec | 1 |" in said
    assert (tmp_path / "scores.csv").read_text().startswith("rater,item,synth,loss,trial,score\nA,")
    (out / "key.json").rename(tmp_path / "elsewhere.json")
    words = ["listen", "score", str(out / "A.json"), str(out / "B.json")]
    assert main([*words, "--key", str(tmp_path / "elsewhere.json")]) == 0
    assert capsys.readouterr().out == said
    assert main(words) == 2
    assert "there are 0 keys; name the one that `listen build` wrote with --key" in capsys.readouterr().err


def test_the_command_tells_what_is_wrong(tmp_path, capsys, small):
    pytest.importorskip("anywidget")

    def fails(*words):
        assert main(["listen", *map(str, words)]) == 2
        return capsys.readouterr().err

    save(small, tmp_path / "small.npz")
    assert "there is no such file" in fails("build", "--study", tmp_path / "absent.npz", "-o", tmp_path / "out")
    assert "40 trials of each pair are asked for; the study has 12" in fails(
        "build", "--study", tmp_path / "small.npz", "-o", tmp_path / "out"
    )
    (tmp_path / "x.json").write_text("{}")
    assert "x.json is neither a key nor ratings" in fails("score", tmp_path / "x.json")
    assert "absent.json cannot be read" in fails("score", tmp_path / "absent.json")
    for words in ([], ["build"], ["score"]):
        with pytest.raises(SystemExit) as stop:
            main(["listen", *words, "--help"])
        assert stop.value.code == 0
        assert "examples:" in capsys.readouterr().out
