"""Figures and players: what is drawn, what is written, what a page refers to."""

import base64
import json
import re
import runpy
from hashlib import sha256
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import soundfile
from matplotlib.colors import to_rgba_array
from PIL import Image

from sonimatch import PNP_SYNTHS, SYNTHS, bp_noise, plots
from sonimatch.widgets import Players, SynthPlayer

TONE = np.sin(2 * np.pi * 440 * np.arange(8_000) / 8_000).astype(np.float32)


def test_players_write_files_and_refer_to_them(tmp_path, monkeypatch):
    monkeypatch.setenv("SONIMATCH_SOUNDS", str(tmp_path))
    page = Players({"loud & clear": 2 * TONE, "quiet": TONE}, 8_000)._repr_html_()
    names = re.findall(r'src="\.\./_static/sounds/([0-9a-f]+\.flac)"', page)
    assert len(set(names)) == 2
    assert "loud &amp; clear" in page
    assert "base64" not in page
    loud, quiet = (soundfile.read(tmp_path / name)[0] for name in names)
    assert abs(np.abs(loud).max() - 0.7) < 1e-3, "the loudest peak of all"
    np.testing.assert_allclose(loud, 2 * quiet, atol=2e-4)
    assert page == Players({"loud & clear": 2 * TONE, "quiet": TONE}, 8_000)._repr_html_()


def test_players_are_part_of_the_output_with_a_kernel(monkeypatch):
    monkeypatch.delenv("SONIMATCH_SOUNDS", raising=False)
    assert "data:audio/wav;base64" in Players({"tone": TONE}, 8_000)._repr_html_()


def test_silence_plays_and_nan_does_not(monkeypatch):
    monkeypatch.delenv("SONIMATCH_SOUNDS", raising=False)
    assert not Players({"silence": 0 * TONE}, 8_000).sounds["silence"].any()
    with pytest.raises(ValueError, match="sound 'broken' must be finite"):
        Players({"broken": np.nan * TONE}, 8_000)


@pytest.mark.parametrize("synth", [*SYNTHS, *PNP_SYNTHS], ids=lambda synth: synth.name)
def test_the_player_has_the_sound_of_its_setting(synth):
    player = SynthPlayer(synth)
    np.testing.assert_array_equal(player.audio, synth(synth.space.theta({})))
    name = synth.space.names[0]
    player.set(**{name: float(synth.space.to_physical(np.full(len(synth.space), 0.25))[0])})
    np.testing.assert_allclose(player.theta[0], 0.25, atol=1e-6)
    assert name in player.sentence()


def test_the_player_refuses_what_it_cannot_play():
    with pytest.raises(ValueError, match="lp_cut = 5 is out of range: 50 to 1000 Hz"):
        SynthPlayer(bp_noise, lp_cut=5)
    with pytest.raises(ValueError, match="no picture 'phase' \\(there are: waveform, spectrum, spectrogram\\)"):
        SynthPlayer(bp_noise, views=["phase"])
    with pytest.raises(ValueError, match=r"target must have shape \(44100,\) for bp_noise, not \(3,\)"):
        SynthPlayer(bp_noise, target=np.zeros(3))
    with pytest.raises(ValueError, match="target must be finite; 44100 of its samples are not"):
        SynthPlayer(bp_noise, target=np.full(44100, np.nan))
    for theta in ([0.5], [2, 0.5], [np.nan, 0.5]):
        with pytest.raises(ValueError, match=r"theta must be 2 numbers from 0 to 1 \(lp_cut, hp_cut\), not \["):
            SynthPlayer(bp_noise).theta = theta


def test_an_element_is_static_in_a_page_and_a_widget_with_a_kernel(tmp_path, monkeypatch):
    """In a page: its data, a picture and a sentence. With a kernel: one trait follows the hand, callbacks see it."""
    player, seen = SynthPlayer(bp_noise, lp_cut=700), []
    monkeypatch.setenv("SONIMATCH_SOUNDS", str(tmp_path))
    bundle = player._repr_mimebundle_()
    state = json.loads(re.search(r'<script type="application/json">(.*?)</script>', bundle["text/html"])[1])
    assert state["theta"] == player.theta
    assert state["data"]["program"]["sha256"] == bp_noise.source_sha256
    assert base64.b64decode(state["data"]["program"]["wasm"]) == bp_noise.to_wasm().code
    assert bundle["text/html"].endswith("<script>globalThis.sonimatch?.start()</script></div>"), "at once, page or not"
    image = r'<img src="\.\./_static/sounds/([0-9a-f]+\.png)" alt="bp_noise at lp_cut 700 Hz'
    picture = re.search(image, bundle["text/html"])
    assert (tmp_path / picture[1]).read_bytes().startswith(b"\x89PNG")
    paper = player.printed()
    assert paper.get_supxlabel().replace("\n", " ") == player.sentence()
    assert base64.b64decode(bundle["image/png"]) == paper._repr_png_()
    monkeypatch.delenv("SONIMATCH_SOUNDS")
    assert "application/vnd.jupyter.widget-view+json" in player._repr_mimebundle_()[0]
    player.observe(lambda change: seen.append(change.new), "theta")
    player.set(lp_cut=300)
    assert len(seen) == 1
    assert "export default" in player._esm


def test_figures_show_themselves_and_every_loss_has_its_color():
    from sonimatch import LOSSES

    assert {loss.name for loss in LOSSES} == set(plots.COLORS)
    assert len(set(plots.COLORS.values())) == len(LOSSES)
    for color in plots.COLORS.values():  # WCAG 2.2: lines and dots have a contrast of 3 to their ground
        light, dark, own = (
            np.where((rgb := to_rgba_array(each)[0, :3]) <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
            @ [0.2126, 0.7152, 0.0722]
            for each in ("white", "#121212", color)
        )
        assert (light + 0.05) / (own + 0.05) > 3
        assert (own + 0.05) / (dark + 0.05) > 3
    png = plots.sounds_figure({"a": TONE, "b": 0 * TONE}, 8_000)._repr_png_()
    assert png.startswith(b"\x89PNG")
    assert len(png) < 200_000


def test_a_spectrogram_shows_the_pitch():
    figure = plots.sounds_figure({"tone": TONE}, 8_000)
    mesh = figure.axes[1].collections[0]
    level = np.asarray(mesh.get_array())
    frequency_hz = mesh.get_coordinates()[:-1, 0, 1]
    assert abs(frequency_hz[level.mean(axis=1).argmax()] - 440) < 5


def test_landscape_curves_are_scaled_and_the_target_marked():
    x = np.linspace(0, 10, 50)
    figure = plots.landscape_figure({"L1_Spec": (x, 3 + (x - 4) ** 2, 2 * (x - 4))}, "cut (Hz)", target=4.0)
    curve, target = figure.axes[0].get_lines()
    assert (curve.get_ydata().min(), curve.get_ydata().max()) == (0.0, 1.0)
    assert curve.get_color() == plots.COLORS["L1_Spec"]
    assert list(target.get_xdata()) == [4.0, 4.0]


def test_a_picture_keeps_the_colours_of_the_losses():
    image = np.random.default_rng(0).random((21, 21))
    axis = np.arange(21)
    figure = plots.heatmaps_figure({"SIMSE_Spec": image}, ("x", axis), ("y", axis), (10, 10))
    pixels = {color for _, color in Image.open(BytesIO(figure._repr_png_())).convert("RGB").getcolors(1 << 20)}
    for color in (plots.COLORS["SIMSE_Spec"], "#D62728"):
        wanted = [int(color[i : i + 2], 16) for i in (1, 3, 5)]
        assert min(sum(abs(a - b) for a, b in zip(pixel, wanted, strict=True)) for pixel in pixels) < 12


def test_a_dark_page_gets_a_twin_of_a_figure(tmp_path, monkeypatch):
    monkeypatch.setenv("SONIMATCH_SOUNDS", str(tmp_path))
    axis, path = np.arange(21), {"SIMSE_Spec": [[2, 2], [15, 9]]}
    figure = plots.heatmaps_figure({"SIMSE_Spec": np.ones((21, 21))}, ("x", axis), ("y", axis), (10, 10), path)
    twin = Image.open(tmp_path / f"{sha256(figure._repr_png_()).hexdigest()}-dark.png").convert("RGBA")
    assert twin.getpixel((0, 0))[3] == 0, "the page is its ground"
    brightest = max(sum(color[:3]) for _, color in twin.getcolors(1 << 20) if color[3])
    assert brightest > 740, "the path on a map stays white"
    letters = np.asarray(twin)[-60:]  # the labels under the map
    assert letters[letters[..., 3] > 0, :3].mean(axis=-1).max() > 190, "letters are light"
    axes = figure.axes[0]
    assert (axes.xaxis.label.get_color(), axes.title.get_color()) == ("black", plots.COLORS["SIMSE_Spec"])


def test_a_folded_cell_with_nothing_beneath_says_what_it_is(tmp_path):
    check = runpy.run_path(str(Path(__file__).parents[1] / "book" / "check.py"))["check_notebook"]
    cell = {"cell_type": "code", "execution_count": 1, "source": "x = 1", "outputs": []}
    shown = dict(output_type="execute_result", data={})
    cells = [
        cell | {"metadata": {"tags": ["hide-input"]}},
        cell | {"metadata": {"tags": ["hide-input"]}, "outputs": [shown]},
        cell | {"metadata": {"tags": ["hide-input"], "mystnb": {"code_prompt_show": "Show x"}}},
        cell | {"metadata": {"tags": ["remove-cell"]}},
    ]
    notebook = tmp_path / "one.ipynb"
    notebook.write_text(json.dumps({"cells": cells}))
    assert [each[:17] for each in check(notebook)] == ["one.ipynb, cell 1"]
