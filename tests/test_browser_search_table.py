"""The table in a browser: words find rows, heads sort them, and the address remembers both."""

import pytest

from sonimatch.plots import Figure
from sonimatch.widgets import SearchTable

PLACE = "document.querySelector('div.sonimatch > div')"
ROWS = [["filters", f"peak_{i}", (i * 7) % 40 / 8, "right" if i % 3 else "zero"] for i in range(40)]
ROWS += [["oscillators", "osc", None, "right"], ["oscillators", "saw", 1e-9, "jumps"]]


def table(**traits):
    return SearchTable(["library", "function", "cost", "derivative"], ROWS, Figure, "Forty-two rows.", **traits)


def shown(there, column):
    cells = there.locator(f".sonimatch-search tbody td:nth-child({column})")
    return cells.all_inner_texts()


def test_words_find_rows(page):
    there = page(table())
    assert there.locator(".sonimatch-search tbody tr").count() == 20
    there.get_by_label("search", exact=True).fill("OSC right")
    assert shown(there, 2) == ["osc"]
    assert "1 of 1 rows shown; 42 in all" in there.locator(".sonimatch-numbers").inner_text()
    there.get_by_label("search", exact=True).fill("nowhere")
    assert shown(there, 2) == []
    there.get_by_label("search", exact=True).fill("")
    there.get_by_role("button", name="more").click()
    assert len(shown(there, 2)) == 42
    assert there.get_by_role("button", name="more").is_hidden()


def test_heads_sort_rows_and_what_is_missing_stands_last(page):
    there = page(table())
    there.get_by_role("button", name="cost").click()
    costs = sorted(row[2] for row in ROWS if row[2] is not None)
    assert [ROWS[i][2] for i in there.evaluate(f"{PLACE}.sonimatch.found()")] == [*costs, None]
    there.get_by_role("button", name="cost").press("Enter")
    assert [ROWS[i][2] for i in there.evaluate(f"{PLACE}.sonimatch.found()")] == [*costs[::-1], None]
    assert there.locator("th[aria-sort=descending]").inner_text().startswith("cost")
    there.get_by_role("button", name="function").click()
    assert shown(there, 2)[:2] == ["osc", "peak_0"]


def test_the_address_remembers_words_and_order(page):
    there = page(table(), fragment="table=-3,filters zero")
    assert there.get_by_label("search", exact=True).input_value() == "filters zero"
    assert set(shown(there, 4)) == {"zero"}
    costs = [ROWS[i][2] for i in there.evaluate(f"{PLACE}.sonimatch.found()")]
    assert costs == sorted(costs, reverse=True)
    there.get_by_label("search", exact=True).fill("peak_1")
    there.wait_for_function("location.hash.includes('peak_1')")


@pytest.mark.parametrize("fragment", ["table=9,x", "table=x", "table=", "table=1e9,"])
def test_an_address_that_says_nothing_changes_nothing(page, fragment):
    there = page(table(), fragment=fragment)
    assert there.locator("th[aria-sort=none]").count() == 4


@pytest.mark.parametrize("width", [390, 1000])
def test_it_fits(page, width):
    there = page(table(words="right", order=1), width=width)
    assert there.evaluate("document.documentElement.scrollWidth") <= width
    assert there.evaluate(f"{PLACE}.dataset.found") == "27"


def test_what_cannot_be_is_told():
    with pytest.raises(ValueError, match="row 2 has 1 cells and there are 2 columns"):
        SearchTable(["a", "b"], [["x", 1], ["y"]], Figure, "")
    with pytest.raises(ValueError, match=r"order = 5 is no column \(there are 4\)"):
        table(order=5)
    assert repr(table()) == "SearchTable(42 rows of library, function, cost, derivative)"
