"""Searches side by side in a browser: the page walks where Python's searches walk, and counts as strictly."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_browser_own_descent import ELEMENT, LIVE, TARGET, bowl, waves

from sonimatch import Adam, L1_Spec, Race, RandomSearch, RMSProp, noise_am
from sonimatch.widgets.side_by_side import COSTS, SideBySide


@pytest.fixture(params=[bowl, waves], ids=["bowl", "waves"])
def some(request):
    return SideBySide(noise_am, L1_Spec(), TARGET, request.param(41), begin={"amp": 4.5, "modulator": 0.8})


def test_the_page_walks_where_the_searches_walk(page, some):
    there = page(some)
    there.evaluate(LIVE.replace("OwnDescent", "SideBySide"), [some.data, {"theta": some.theta, "evaluations": 200}])
    for theta in (some.theta, [0.05, 0.95], [0.31, 0.57]):
        some.theta = theta
        there.evaluate("traits => window.change(traits)", {"theta": theta})
        paths = there.evaluate("window.live.sonimatch.paths()")
        for name, path in some.paths().items():
            assert len(paths[name]) == 200 // COSTS[name], name
            np.testing.assert_allclose(paths[name], path, atol=1e-4, err_msg=f"{name}, {theta}")
        for count in (7, 60, 200):
            some.evaluations = count
            there.evaluate("traits => window.change(traits)", {"evaluations": count})
            found = there.evaluate("window.live.sonimatch.found()")
            for name, point in some.found().items():
                np.testing.assert_allclose(found[name], point, atol=1e-4, err_msg=f"{name}, {theta}, {count}")


def test_a_click_is_the_start_and_the_counter_pays(page):
    there = page(SideBySide(noise_am, L1_Spec(), TARGET, bowl(41), begin={"amp": 4.5, "modulator": 0.8}))
    box = there.get_by_label("L1_Spec: where").bounding_box()
    there.mouse.click(box["x"] + box["width"] * 0.7, box["y"] + box["height"] * 0.3)
    there.wait_for_function(f"{ELEMENT}.theta()[1] > 0.6")
    there.get_by_label("evaluations", exact=True).press("Home")
    there.wait_for_function(f"{ELEMENT}.paid() === 1")
    start = there.evaluate(f"{ELEMENT}.theta()")
    for name, point in there.evaluate(f"{ELEMENT}.found()").items():
        np.testing.assert_allclose(point, start, err_msg=name)
    there.get_by_role("button", name="count up").click()
    there.wait_for_function(f"{ELEMENT}.paid() > 30")
    there.get_by_role("button", name="pause").click()
    there.get_by_label("evaluations", exact=True).press("End")
    there.wait_for_function(f"{ELEMENT}.paid() === 200")
    rows = [there.locator("tbody tr").nth(i).locator("td").all_inner_texts() for i in range(4)]
    assert [row[2] for row in rows] == ["1", "1", "3", "3"]
    assert [row[5] for row in rows] == ["yes"] * 4
    there.get_by_label("show Adam").uncheck()
    there.get_by_label("amp", exact=True).press("ArrowLeft")
    there.wait_for_function(f"{ELEMENT}.theta()[0] !== {start[0]}")


@pytest.mark.told_start
@pytest.mark.parametrize("search", [RMSProp(), Adam()], ids=repr)
def test_a_descent_is_that_of_the_searches(search):
    """On a bowl, whose slope interpolation does not change."""
    element = SideBySide(noise_am, L1_Spec(), TARGET, bowl(), begin={"amp": 4.5, "modulator": 0.8})

    def objective(theta):
        return (jnp.array([1.0, 0.3]) * (theta - 0.5) ** 2).sum()

    with jax.enable_x64(True):
        state = search.init(jnp.array(element.theta), jax.random.key(0))
        for point in element.paths()[search.name][:30]:
            state, seen = search.step(state, objective, jax.random.key(0))
            np.testing.assert_allclose(seen.theta, point, atol=1e-6)
    assert {each.name: each.cost(2) for each in (Race(), RandomSearch(), RMSProp(), Adam())} == COSTS


def test_what_does_not_fit_is_refused():
    from sonimatch import hp_noise

    with pytest.raises(ValueError, match="a map has two parameters; hp_noise has 1"):
        SideBySide(hp_noise, L1_Spec(), {}, bowl())
    element = SideBySide(noise_am, L1_Spec(), TARGET, bowl(), begin={"amp": 4.5})
    with pytest.raises(ValueError, match="theta must be 2 numbers from 0 to 1"):
        element.theta = [2.0, 0.5]
    assert "P-loss after 200 evaluations: Race 0.0" in element.sentence()
    assert element.figure().png()[:4] == b"\x89PNG"
