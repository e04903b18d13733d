"""The metric explorer: its ellipses are NumPy's, its numbers the stored ones, its sounds those of the ends."""

import json
from functools import partial
from pathlib import Path

import jax
import numpy as np
import pytest

from sonimatch import arpeggiator, noise_am
from sonimatch.learn import eigen, metric
from sonimatch.losses import MSS_Spec
from sonimatch.widgets import MetricExplorer
from sonimatch.widgets.metric_explorer import MetricMap

ELEMENT = "document.querySelector('div.sonimatch > div')"
GRID = np.linspace(0.1, 0.9, 5)
THETA = np.stack(np.meshgrid(GRID, GRID, indexing="ij"), -1)


def made(seed):
    """A metric, its axes and some distances at every point of the map."""
    rng = np.random.default_rng(seed)
    J = rng.standard_normal((5, 5, 7, 2)) * [1, 4]
    M = np.float32(J.swapaxes(-1, -2) @ J)
    return MetricMap(M, eigen(M).vectors.swapaxes(-1, -2), rng.uniform(0, 3, (5, 5, 2)))


MAPS = {"JTFS": made(0), "MSS_Spec": made(1)}


@pytest.fixture(scope="module")
def explorer():
    return MetricExplorer(noise_am, MAPS, THETA, step=0.1)


def drawn(there):
    """The point and what the element knows there, once it is drawn."""
    there.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    return there.evaluate(f"[{ELEMENT}.sonimatch.theta(), {ELEMENT}.sonimatch.look()]")


def test_the_ellipse_is_numpys_and_the_numbers_are_the_stored_ones(page, explorer):
    """Single precision of the stored blocks: 1e-5."""
    there, damped = page(explorer), 0
    large = there.get_by_role("application")
    for key in ("ArrowRight", "ArrowUp", "ArrowUp", "λ", "ArrowLeft"):
        if key == "λ":
            there.get_by_label("damping λ").press("End")
            damped = 1
        else:
            large.press(key)
        theta, maps = drawn(there)
        at = tuple(int(np.abs(GRID - x).argmin()) for x in theta)
        assert theta == pytest.approx(THETA[at], abs=1e-9)
        for (name, stored), found in zip(MAPS.items(), maps, strict=True):
            top = eigen(stored.M).values.max()
            assert found["lambda"] == pytest.approx(damped * top, rel=1e-5)
            damped_M = stored.M[at] + found["lambda"] * np.eye(2)
            curve = np.array(found["ellipse"])
            r2 = np.einsum("ni,ij,nj->n", curve, damped_M, curve)
            np.testing.assert_allclose(r2, explorer.radius[name] ** 2, rtol=1e-4)
            np.testing.assert_allclose(found["values"], eigen(stored.M[at]).values, rtol=1e-4, atol=1e-4)
            np.testing.assert_allclose(found["ratio"] ** 2, np.linalg.cond(damped_M), rtol=1e-4)
            np.testing.assert_allclose(found["distance"], stored.distance[at], rtol=1e-6)
    assert there.evaluate(f"{ELEMENT}.dataset.theta") == ",".join(f"{x:g}" for x in theta)
    explorer.theta = theta
    for (name, ratio), found in zip(explorer.value.items(), maps, strict=True):
        assert ratio == pytest.approx((found["values"][1] / found["values"][0]) ** 0.5, rel=1e-4), name
    assert f"{found['distance'][0]:.3g}" in there.get_by_role("row").filter(has_text="MSS_Spec").inner_text()
    there.wait_for_function("location.hash.includes('metric-noise_am=')")


def test_the_ends_of_the_axes_sound_and_the_address_remembers(page, explorer):
    there = page(explorer, fragment="metric-noise_am=2.5,3.6,1,0")
    theta, _ = drawn(there)
    at = tuple(int(np.abs(GRID - x).argmin()) for x in theta)
    assert there.evaluate(f"{ELEMENT}.dataset.shown") == "MSS_Spec"
    for k, name in enumerate(("long axis", "short axis")):
        end = there.evaluate(f"{ELEMENT}.sonimatch.end({k})")
        np.testing.assert_allclose(end, theta + 0.1 * MAPS["MSS_Spec"].axes[at][k], atol=1e-6)
        there.get_by_role("button", name=name).click()
        there.wait_for_function("sonimatch.sound.playing !== null")
    before = there.get_by_role("application").evaluate("node => node.toDataURL()")
    there.get_by_role("radio", name="JTFS").check()
    there.wait_for_function(f"{ELEMENT}.dataset.shown === 'JTFS'")
    drawn(there)
    assert there.get_by_role("application").evaluate("node => node.toDataURL()") != before


@pytest.mark.parametrize("width", [390, 1280])
def test_the_map_is_square_and_the_hand_takes_the_point(page, explorer, width):
    there = page(explorer, width=width, dark=width == 390)
    box = there.locator("canvas").first.bounding_box()
    assert abs((box["width"] - 62) - (box["height"] - 50)) <= 1
    assert there.evaluate("document.documentElement.scrollWidth") <= width
    x, y = box["x"] + 44 + 0.28 * (box["width"] - 62), box["y"] + 20 + 0.3 * (box["height"] - 50)
    there.mouse.click(x, y)
    assert drawn(there)[0] == pytest.approx([0.3, 0.7])


def test_the_explorer_refuses_what_does_not_fit():
    with pytest.raises(ValueError, match="even steps of two of amp, modulator"):
        MetricExplorer(noise_am, MAPS, THETA**2)
    with pytest.raises(ValueError, match=r"the map of a has arrays of shape \(\(4, 5, 2, 2\)"):
        MetricExplorer(noise_am, {"a": MAPS["JTFS"]._replace(M=np.ones((4, 5, 2, 2)))}, THETA)
    with pytest.raises(ValueError, match="the map of a has values that are not finite"):
        MetricExplorer(noise_am, {"a": MAPS["JTFS"]._replace(distance=np.full((5, 5, 2), np.nan))}, THETA)
    with pytest.raises(ValueError, match="maps must be one or more"):
        MetricExplorer(noise_am, {}, THETA)


# ------------------------------------------------------------------------------------------------- the record


@pytest.fixture(scope="module")
def record():
    return json.loads((Path(__file__).parents[1] / "results" / "geometry.json").read_text())


def test_the_record_is_what_the_metric_says(record):
    """float32 on another machine: 7e-3 of the matrix have been seen; the distances of the record are in float64.

    Of the spectrogram; joint scattering compiles for longer, and the chapter compares that at its first setting.
    """
    stored, n = {name: np.array(array) for name, array in record["map"]["spectrogram"].items()}, 120
    theta, feature = np.array(record["map"]["theta"][n], np.float32), MSS_Spec().feature
    M = metric(feature, arpeggiator, theta)
    assert np.linalg.norm(M - stored["M"][n]) < 1e-2 * np.linalg.norm(M)
    ends = theta + 0.1 * np.insert(stored["axes"][n], 0, 0, 1).astype(np.float32)
    heard = jax.jit(partial(jax.lax.map, lambda point: feature(arpeggiator(point))))(np.stack([theta, *ends]))
    found = sum(((each[1:] - each[0]) ** 2).sum((1, 2)) for each in heard)
    np.testing.assert_allclose(found, stored["squared"][n], rtol=1e-2)


def test_the_distances_of_the_record_fit_its_metric(record):
    """To third order: at the smallest steps the form is off by a few hundredths, and by half of it a step earlier."""
    for name, error in {"joint": 0.03, "spectrogram": 0.06}.items():
        near = {key: np.array(array) for key, array in record["near"][name].items()}
        values = np.einsum("nki,nij,nkj->nk", near["axes"], near["M"], near["axes"])
        ratio = near["squared"] / (values[..., None] * near["steps"] ** 2)
        assert np.abs(ratio[..., -1] - 1).max() < error, name
        assert np.median(np.abs(ratio - 1)[..., -1] / np.abs(ratio - 1)[..., -2]) < 0.6, name


def test_the_axes_of_the_record_are_those_of_its_blocks(record):
    for name in ("joint", "spectrogram"):
        stored = {key: np.array(array) for key, array in record["map"][name].items()}
        values = eigen(stored["M"][:, 1:, 1:]).values
        found = np.einsum("nki,nij,nkj->nk", stored["axes"], stored["M"][:, 1:, 1:], stored["axes"])
        np.testing.assert_allclose(found, values, rtol=1e-5)
        np.testing.assert_allclose(np.linalg.norm(stored["axes"], axis=-1), 1, rtol=1e-6)
