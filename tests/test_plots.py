"""Figures on dark pages."""

from io import BytesIO

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from PIL import Image

from sonimatch.plots import Figure


def drawn(figure):
    """The pixels of a figure as a dark page shows it, `[height, width, 3]`, its ground not cut out."""
    with figure.dark():
        return np.asarray(Image.open(BytesIO(figure.png())).convert("RGB")).astype(int)


@pytest.mark.parametrize("parts", [1, 2])
def test_the_ground_is_dark_and_what_lies_on_it_is_drawn_on_dark(parts):
    figure = Figure(figsize=(3, 2))
    for part in figure.subfigures(1, parts, squeeze=False).flat:
        axes = part.subplots()
        axes.grid(alpha=0.25)
        axes.axvspan(0.2, 0.6, color="0.85")
    pixels = drawn(figure)
    assert abs(pixels[0, 0] - 0x12).max() <= 2
    assert np.median(pixels) < 70, "the band and the grid are dark"
    assert (pixels.mean(-1) > 180).mean() < 0.05, "and light are letters and axes only"
    assert to_rgb(figure.get_facecolor()) == (1, 1, 1), "afterwards as before"


@pytest.mark.parametrize("kind", ["dots", "lines", "map"])
def test_words_on_a_map_stay_and_words_among_dots_turn(kind):
    """Dots and contour lines leave the ground open, a map in colours hides it."""
    figure = Figure()
    axes, z = figure.subplots(), np.add.outer(np.arange(3.0), np.arange(3.0))
    word = axes.text(0.5, 0.5, "12", color="black")
    if kind == "dots":
        axes.scatter([0, 1], [0, 1], c=[0, 1])
    else:
        (axes.contour if kind == "lines" else axes.pcolormesh)(z)
    with figure.dark():
        assert (sum(to_rgb(word.get_color())) > 2) == (kind != "map")
    assert to_rgb(word.get_color()) == (0, 0, 0)


@pytest.mark.parametrize(("color", "lighter"), [("#0072B2", True), ("#E69F00", False)])
def test_letters_in_a_dark_colour_get_lighter(color, lighter):
    """Blue of Okabe and Ito has a contrast of 3.6 to the ground, less than the 4.5 that small letters need."""
    figure = Figure()
    axes = figure.subplots()
    axes.set_title("L1_Spec", color=color)
    (line,) = axes.plot([0, 1], color=color)
    with figure.dark():
        assert (to_rgb(axes.title.get_color()) != to_rgb(color)) == lighter
        assert np.subtract(to_rgb(axes.title.get_color()), to_rgb(color)).max() < 0.3, "and stays that colour"
        assert to_rgb(line.get_color()) == to_rgb(color)
