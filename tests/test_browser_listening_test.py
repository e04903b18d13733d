"""The listening test in a browser: scores by key, resumes, saves, and says what `sonimatch.listening` says."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from test_listening import SMALL, scores_of, study_of, write_ratings

from sonimatch import listening

ELEMENT = "document.querySelector('div.sonimatch > div')"


@pytest.fixture(scope="module")
def small():
    return study_of(SMALL)


@pytest.fixture(scope="module")
def element(small):
    from sonimatch.widgets.listening_test import ListeningTest

    return ListeningTest(small, per_pair=1)


@pytest.fixture(scope="module")
def built(small, tmp_path_factory):
    from sonimatch.widgets.listening_test import rater_page

    folder = tmp_path_factory.mktemp("built")
    return folder, listening.build(small, folder, rater_page, per_pair=1, progress=False)


PLAYS = f"{ELEMENT}.sonimatch.state().plays[{ELEMENT}.dataset.item]"


def hear(there, key, which):
    """To the end."""
    there.keyboard.press(key)
    before = there.evaluate(f"{PLAYS}.{which}")
    there.wait_for_function(f"{PLAYS}.{which} > {before}", timeout=20_000)


def hear_both(there):
    hear(there, " ", "match")


def begin(there):
    there.get_by_role("group", name="listening test").focus()


def test_the_sounds_are_those_of_the_package(page, element):
    there = page(element)
    for name in element.data["ids"]:
        got = there.evaluate(
            f"""(id) => {{
                const pair = {ELEMENT}.sonimatch.rendered(id);
                return [pair.target, pair.match].map((sound) => [...sound.filter((_, n) => n % 10 === 0)]);
            }}""",
            name,
        )
        for sound, expected in zip(got, element.sounds(name), strict=True):
            np.testing.assert_allclose(sound, expected[::10], atol=1e-3)


def test_scores_by_keyboard(page, element):
    there = page(element)
    assert there.evaluate("sonimatch.sound.playing") is None
    begin(there)
    order = there.evaluate(f"{ELEMENT}.sonimatch.order()")
    assert sorted(order) == element.data["ids"]
    there.keyboard.press("4")
    assert there.locator(".sonimatch-numbers", has_text="Listen to both sounds first").count() == 1
    for key in "tm":
        there.keyboard.press(key)
        there.wait_for_timeout(150)
    there.keyboard.press("4")
    assert there.evaluate(f"[{ELEMENT}.dataset.at, {ELEMENT}.dataset.rated]") == ["0", "0"], "a glance is no hearing"
    hear(there, "t", "target")
    there.keyboard.press("4")
    assert there.evaluate(f"{ELEMENT}.dataset.rated") == "0", "nor is one sound"
    hear(there, "m", "match")
    hear(there, "t", "target")
    there.keyboard.press("4")
    there.wait_for_function(f"{ELEMENT}.dataset.at === '1'")
    there.keyboard.press("ArrowRight")
    there.keyboard.press("ArrowLeft")
    there.keyboard.press(" ")
    there.wait_for_function("sonimatch.sound.playing !== null")
    there.wait_for_function(f"{PLAYS}.match === 1", timeout=20_000)
    there.keyboard.press("1")
    given = there.evaluate(f"{ELEMENT}.sonimatch.state().ratings")
    assert [*given] == order[:2]
    assert {name: given[order[0]][name] for name in ("score", "position", "target_plays", "match_plays")} == {
        "score": 4, "position": 1, "target_plays": 2, "match_plays": 1
    }  # fmt: skip
    assert given[order[1]]["score"] == 1
    assert "Pair 3 of 4; 2 scored" in there.locator(".sonimatch-panel").inner_text()
    there.get_by_role("button", name="← back").click()
    there.wait_for_function("document.querySelector('.sonimatch-said').textContent === 'Pair 2, 1 given.'")
    there.wait_for_function(f"location.hash === '#{element.key.test}=2'")


def test_an_address_leads_to_a_pair(page, element):
    for pair, at in (("3", "2"), ("99", "3"), ("x", "0"), ("", "0")):
        there = page(element, fragment=f"{element.key.test}={pair}")
        assert there.evaluate(f"{ELEMENT}.dataset.at") == at


def test_it_resumes_and_starts_over(page, element):
    there = page(element)
    begin(there)
    order = there.evaluate(f"{ELEMENT}.sonimatch.order()")
    hear_both(there)
    there.keyboard.press("5")
    there.get_by_label("your name").fill("Zoë")
    there.reload()
    there.wait_for_function(f"{ELEMENT} && {ELEMENT}.dataset.rated === '1'")
    assert there.evaluate(f"{ELEMENT}.sonimatch.order()") == order
    assert there.evaluate(f"{ELEMENT}.dataset.at") == "1"
    assert there.get_by_label("your name").input_value() == "Zoë"
    assert there.locator(".sonimatch-numbers", has_text="Welcome back: 1 of 4").count() == 1
    there.once("dialog", lambda dialog: dialog.accept())
    there.get_by_role("button", name="start over").click()
    there.wait_for_function(f"{ELEMENT}.dataset.rated === '0'")


def test_it_saves_what_python_reads(page, element, tmp_path):
    there = page(element)
    begin(there)
    for score in "123":
        hear_both(there)
        there.keyboard.press(score)
    there.get_by_role("button", name="save JSON").click()
    assert there.locator(".sonimatch-numbers", has_text="Your name or initials first").count() == 1
    there.get_by_label("your name").fill('A "b"')
    with there.expect_download() as caught:
        there.get_by_role("button", name="save JSON").click()
    assert caught.value.suggested_filename == f"ratings-A_b_-{element.data['id']}.json"
    caught.value.save_as(tmp_path / "a.json")
    ratings = listening.read(tmp_path / "a.json")
    order = there.evaluate(f"{ELEMENT}.sonimatch.order()")
    assert ratings == listening.Ratings(element.key.test, 'A "b"', dict(zip(order, (1, 2, 3), strict=False)))
    with there.expect_download() as caught:
        there.get_by_role("button", name="save CSV").click()
    caught.value.save_as(tmp_path / "a.csv")
    rows = [*csv.DictReader((tmp_path / "a.csv").read_text(encoding="utf-8").splitlines())]
    assert [(row["rater"], row["item"], row["score"], row["target_plays"]) for row in rows] == [
        ('A "b"', name, str(score), "1") for score, name in enumerate(order[:3], 1)
    ]


@pytest.mark.parametrize("raters", [2, 3])
def test_several_raters_are_compared_as_in_python(page, element, small, tmp_path, raters):
    key = listening.draw(small, 12)
    (tmp_path / "key.json").write_text(json.dumps(key.record))
    ratings = scores_of(key, raters)
    ratings[1] = listening.Ratings(key.test, "B", dict([*ratings[1].scores.items()][1:]))
    for one in ratings:
        write_ratings(tmp_path / f"{one.rater}.json", one)
    there = page(element)
    there.get_by_text("Compare raters").click()
    there.locator("input[type=file]").set_input_files(sorted(tmp_path.glob("*.json")))
    there.get_by_role("table", name="Mean score and rank").wait_for()
    got, expected = there.evaluate(f"{ELEMENT}.sonimatch.results"), listening.analyse(ratings, key)
    assert got["left_out"] == expected.left_out == 1
    rows = [row for row in expected.agreement if row["measure"] != "ICC(3,1)"]
    assert len(got["agreement"]) == len(rows)
    for row, other in zip(got["agreement"], rows, strict=True):
        assert [row[name] for name in ("synth", "sounds", "raters", "measure")] == [
            other[name] for name in ("synth", "sounds", "raters", "measure")
        ]
        names = ("value", "low", "high") if row["measure"] == "Spearman" else ("value", "p")
        np.testing.assert_allclose([row[name] for name in names], [other[name] for name in names], rtol=1e-9)
    for row, other in zip(got["tests"], expected.tests, strict=True):
        for name, kind in (("pooled", "pooled"), ("sums", "per sound")):
            np.testing.assert_allclose([*row[name].values()], [other[f"H, {kind}"], other[f"p, {kind}"]], rtol=1e-6)
    for row, other in zip(got["ranks"], expected.ranks, strict=True):
        assert (row["synth"], row["loss"], row["pooled"]) == (other["synth"], other["loss"], other["rank, pooled"])
        assert row["mean"] == pytest.approx(other["mean"])
        assert (None if np.isnan(row["sums"]) else row["sums"]) == other["rank, per sound"]


def test_files_that_do_not_belong_are_told(page, element, small, tmp_path):
    there = page(element)
    there.get_by_text("Compare raters").click()
    file = {"kind": "sonimatch listening ratings", "test": element.key.test, "rater": "A"}
    file["ratings"] = [{"item": next(iter(element.key.items)), "score": 3}]
    wrong = (
        ("no JSON", "is neither a key nor ratings"),
        (file | {"ratings": [{"item": "x", "score": 9}]}, "gives x the score 9; it must be one of 1, 2, 3, 4, 5"),
        (file | {"ratings": []}, "has no ratings"),
        (file | {"test": "t"}, "A rated the test t, not"),
    )
    for i, (content, message) in enumerate(wrong):
        (tmp_path / f"{i}.json").write_text(content if isinstance(content, str) else json.dumps(content))
        there.locator("input[type=file]").set_input_files(tmp_path / f"{i}.json")
        there.get_by_role("alert").get_by_text(message).wait_for()


def test_at_the_end_the_key_can_be_opened(page, element):
    there = page(element)
    begin(there)
    assert not there.get_by_role("button", name="Which was which?").is_visible()
    for _ in range(4):
        hear_both(there)
        there.keyboard.press("3")
    there.get_by_role("button", name="Which was which?").click()
    there.get_by_role("table", name="Mean score and rank").wait_for()
    assert there.get_by_role("row").filter(has_text="SIMSE_Spec").count() == 4
    rows = there.get_by_role("table", name="What each pair was").get_by_role("row").all_inner_texts()
    items = [element.key.items[name] for name in there.evaluate(f"{ELEMENT}.sonimatch.order()")]
    assert [row.split("\t") for row in rows[1:]] == [
        [str(pair), item.synth, item.loss, str(item.trial), "3"] for pair, item in enumerate(items, 1)
    ]


def test_the_raters_folder_works_from_the_disk(visit, built):
    folder, key = built
    there = visit((folder / "listening_test" / "index.html").as_uri())
    there.wait_for_function(f"{ELEMENT} && {ELEMENT}.dataset.at === '0'")
    for score in "5432":
        hear_both(there)
        there.keyboard.press(score)
    there.wait_for_function(f"{ELEMENT}.dataset.rated === '4'")
    assert not there.locator(".sonimatch-numbers", has_text="does not play").count()
    hear_both(there)
    there.reload()
    there.wait_for_function(f"{ELEMENT} && {ELEMENT}.dataset.rated === '4'")
    there.get_by_label("your name").fill("A")
    with there.expect_download() as caught:
        there.get_by_role("button", name="save JSON").click()
    caught.value.save_as(folder / "A.json")
    assert listening.read(folder / "A.json").scores.keys() == key.items.keys()


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


PLACE = "sonimatch:"  # of what a browser keeps of a test
DAMAGES = {"missing": Path.unlink, "no sound": lambda path: path.write_bytes(b"no sound"), "cut off": cut}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("which", ["target", "match"])
def test_a_pair_that_does_not_play_takes_no_score_and_is_marked(browser, built, tmp_path, damage, which):
    folder, key = built
    shutil.copytree(folder / "listening_test", tmp_path / "test")
    context = browser.new_context(accept_downloads=True)
    context.add_init_script(f"localStorage.getItem('{PLACE}{key.test}') || "
                            f"localStorage.setItem('{PLACE}{key.test}', JSON.stringify({{ seed: 1 }}))")  # fmt: skip
    there = context.new_page()
    address = (tmp_path / "test" / "index.html").as_uri()
    there.goto(address)
    order = there.evaluate(f"{ELEMENT}.sonimatch.order()")
    DAMAGES[damage](tmp_path / "test" / "sounds" / f"{order[0]}-{which}.flac")
    there.reload()
    there.wait_for_function(f"{ELEMENT} && {ELEMENT}.dataset.at === '0' && {ELEMENT}.contains(document.activeElement)")
    assert there.evaluate(f"{ELEMENT}.sonimatch.order()") == order
    there.keyboard.press(" ")
    message = there.locator(".sonimatch-numbers", has_text="This pair cannot be scored")
    message.wait_for(timeout=60_000)
    assert f"{order[0]}-{which}.flac" in message.inner_text()
    there.wait_for_function("sonimatch.sound.playing === null", timeout=20_000)
    for _ in range(2):
        there.keyboard.press("5")
        assert there.evaluate(f"[{ELEMENT}.dataset.at, {ELEMENT}.dataset.rated]") == ["0", "0"]
        there.keyboard.press("t")
        there.keyboard.press("m")
        there.wait_for_timeout(300)
    there.keyboard.press("ArrowRight")
    hear_both(there)
    there.keyboard.press("5")
    there.get_by_label("your name").fill("A")
    with there.expect_download() as caught:
        there.get_by_role("button", name="save JSON").click()
    caught.value.save_as(tmp_path / "A.json")
    ratings = listening.read(tmp_path / "A.json")
    assert ratings.scores == {order[1]: 5}
    assert [*ratings.failed] == [order[0]]
    assert f"sounds/{order[0]}-{which}.flac" in ratings.failed[order[0]]
    assert listening.analyse([ratings], key).left_out == 0
    there.reload()
    there.wait_for_function(f"{ELEMENT} && {ELEMENT}.dataset.rated === '1'")
    for _ in range(2):
        there.keyboard.press("ArrowLeft")
    there.wait_for_function("location.hash.endsWith('=1')")
    for suffix in ("target", "match"):
        name = f"{order[0]}-{suffix}.flac"
        shutil.copy(folder / "listening_test" / "sounds" / name, tmp_path / "test" / "sounds" / name)
    there.reload()
    there.wait_for_function(f"{ELEMENT} && {ELEMENT}.dataset.at === '0'")
    hear_both(there)
    there.keyboard.press("4")
    there.wait_for_function(f"{ELEMENT}.dataset.rated === '2'")
    context.close()


@pytest.mark.parametrize("width", [390, 1000])
def test_it_fits(page, element, tmp_path, width):
    there = page(element, width=width)
    for one in scores_of(element.key):
        write_ratings(tmp_path / f"{one.rater}.json", one)
    there.get_by_text("Compare raters").click()
    there.locator("input[type=file]").set_input_files(sorted(tmp_path.glob("*.json")))
    there.get_by_role("table", name="Mean score and rank").wait_for()
    assert there.evaluate("document.documentElement.scrollWidth") <= width
