"""Figures and tables: one function a kind of picture, no state, the same colour for a loss everywhere.

Every figure function returns a `Figure` that shows itself in a notebook and has matplotlib's `savefig`; tables and
lists are `Text`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.figure
import matplotlib.text
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import Collection, QuadMesh
from matplotlib.colors import to_rgba_array
from matplotlib.contour import ContourSet
from matplotlib.ticker import FuncFormatter
from numpy.typing import ArrayLike
from PIL import Image
from scipy.signal import ShortTimeFFT, welch
from scipy.signal.windows import hann

from sonimatch.space import ParamSpace

COLORS = {
    "L1_Spec": "#0072B2", "SIMSE_Spec": "#D55E00", "Scattering": "#009E73", "DTW_Envelope": "#CC79A7",
    "Marginals": "#6644EE", "CumulativeEnergy": "#447777", "SOT_Spec": "#DD00BB", "LogMel": "#776622",
    "MFCC_Spec": "#3388FF", "MSS_Spec": "#448800", "JTFS": "#BB4466",
}  # fmt: skip
"""One colour a loss. Those of the published study are from the palette of Okabe and Ito, which readers with any colour
vision tell apart; the others lie between, with a contrast of 3 to light pages and to dark ones."""

_TARGET = "#D62728"
_GROUND, _INK = to_rgba_array(["#121212", "#CED6DD"])[:, :3]  # of the book's dark pages
_STYLE: Any = {
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "font.size": 9,
    "grid.alpha": 0.25,
    "legend.frameon": False,
    "lines.linewidth": 1.4,
}


def _legible(color: np.ndarray) -> np.ndarray:
    """A colour for letters on the dark ground: lighter, until its contrast is 4.5 (WCAG 2.2, relative luminance)."""

    def luminance(rgb: np.ndarray) -> float:
        return float(np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722])

    lighter = (color + share * (_INK - color) for share in np.linspace(0, 1, 21))
    return next(each for each in lighter if luminance(each) + 0.05 >= 4.5 * (luminance(_GROUND) + 0.05))


def _covers(collection: Collection) -> bool:
    """Whether it is a map in colours, which hides the ground, and not lines or dots on it."""
    return isinstance(collection, QuadMesh) or (isinstance(collection, ContourSet) and collection.filled)


class Figure(matplotlib.figure.Figure):
    """A matplotlib figure that a notebook shows as it is, without pyplot.

    When the book is built, its twin for dark pages is written as well, under the hash of the picture.
    """

    def png(self, clear: bool = False) -> bytes:
        """The picture in 192 colours, a third of the bytes; `clear` lets the page be its ground."""
        drawn, png = BytesIO(), BytesIO()
        self.savefig(drawn, format="png", dpi=160)
        colors = Image.open(drawn).convert("RGB").quantize(192, Image.Quantize.MAXCOVERAGE)  # the rare ones, too
        ground = {"transparency": colors.getpixel((0, 0))} if clear else {}
        colors.save(png, format="PNG", optimize=True, dpi=(160, 160), **ground)
        return png.getvalue()

    @contextmanager
    def dark(self) -> Iterator[None]:
        """For a while black is light and white is dark, and the greys between; colours stay, and what lies on a map.

        Only letters in a colour get lighter where they would be hard to read.
        """
        maps = [a for a in self.axes if a.images or any(_covers(each) for each in a.collections)]
        kept = {each for axes in maps for part in (axes.lines, axes.collections, axes.texts) for each in part}
        undo = []
        # Figures and axes paint their ground by their patch, which is found as well: once is enough.
        for artist in {*self.findobj()} - kept:
            if isinstance(artist, matplotlib.figure.FigureBase | Axes):
                continue
            for part in ("color", "facecolor", "edgecolor", "markerfacecolor", "markeredgecolor"):
                if not (hasattr(artist, f"get_{part}") and hasattr(artist, f"set_{part}")):
                    continue
                color, paint = getattr(artist, f"get_{part}")(), getattr(artist, f"set_{part}")
                if not len(rgba := to_rgba_array(color)):  # "none"
                    continue
                undo.append((paint, color))
                grey = np.ptp(rgba[:, :3], axis=1) < 0.01
                rgba[grey, :3] = _INK + (_GROUND - _INK) * rgba[grey, :1]
                if isinstance(artist, matplotlib.text.Text) and part == "color" and not grey[0]:
                    rgba[0, :3] = _legible(rgba[0, :3])
                paint(rgba if len(rgba) > 1 else rgba[0])
        try:
            yield
        finally:
            for paint, color in reversed(undo):
                paint(color)

    def _repr_png_(self) -> bytes:
        png = self.png()
        if folder := os.environ.get("SONIMATCH_SOUNDS"):
            Path(folder).mkdir(parents=True, exist_ok=True)
            with self.dark():
                (Path(folder) / f"{sha256(png).hexdigest()}-dark.png").write_bytes(self.png(clear=True))
        return png


class Text(str):
    """Markdown that a notebook shows as text."""

    def _repr_markdown_(self) -> str:
        return str(self)


def lines(*sentences: str) -> Text:
    """A list of sentences."""
    return Text("\n".join(f"- {sentence}" for sentence in sentences))


def folded(title: str, *sentences: str) -> Text:
    """A list of sentences that the page shows only when its title is opened, such as an answer."""
    return Text(f":::{{dropdown}} {title}\n{lines(*sentences)}\n:::")


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> Text:
    """A table; columns in which nothing begins with a letter, a code sign or a bold one stand to the right."""
    cells = [[str(cell) for cell in row] for row in rows]
    left = [any(row[i][:1].isalpha() or row[i][:1] in ("`", "*") for row in cells) for i in range(len(header))]
    body = [header, [":--" if each else "--:" for each in left], *cells]
    return Text("\n".join("| " + " | ".join(line) + " |" for line in body))


def by_synth(header: Sequence[str], rows: Iterable[Sequence[object]]) -> Text:
    """A table of pairs: a row begins with synth and loss, and each synth has a line of its own, once."""
    body, seen = [], set()
    for synth, *row in rows:
        if synth not in seen:
            body.append([f"**{synth}**", *[""] * (len(header) - 1)])
            seen.add(synth)
        body.append(row)
    return table(header, body)


def _axes(rows: int, columns: int, width: float, height: float, **settings: Any) -> tuple[Figure, np.ndarray]:
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        return figure, figure.subplots(rows, columns, squeeze=False, **settings)


def spectrogram(
    axes: Axes, audio: ArrayLike, sample_rate: int, floor_db: float = -80.0, low_hz: float = 20.0, fine: int = 2
) -> None:
    """Draw the level over time and log frequency, in dB below the loudest point; `audio [samples]`. A window
    of 2048 samples moves by an eighth of itself, divided by `fine`, and there are `fine` times as many bins."""
    audio = np.asarray(audio, float)
    length = min(2048, len(audio))
    transform = ShortTimeFFT(hann(length), hop=max(1, length // (8 * fine)), fs=sample_rate, mfft=2048 * fine)
    power = transform.spectrogram(audio)
    level_db = 10 * np.log10(np.maximum(power / max(power.max(), 1e-30), 10 ** (floor_db / 10)))
    times = transform.t(len(audio))
    axes.pcolormesh(times, transform.f, level_db, cmap="magma", vmin=floor_db, vmax=0, rasterized=True)
    axes.set(yscale="log", xlim=(0, len(audio) / sample_rate), ylim=(low_hz, sample_rate / 2))
    axes.set(xlabel="time (s)", ylabel="frequency (Hz)")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.grid(False)


def waveform(axes: Axes, audio: ArrayLike, sample_rate: int) -> None:
    """Draw `audio [samples]` over time in seconds."""
    audio = np.asarray(audio)
    axes.plot(np.arange(len(audio)) / sample_rate, audio, linewidth=0.4, color="#444444")
    axes.set(xlabel="time (s)", ylabel="amplitude", xlim=(0, len(audio) / sample_rate))


def sounds_figure(sounds: Mapping[str, ArrayLike], sample_rate: int) -> Figure:
    """A column for each named sound: its waveform over its spectrogram, with shared amplitudes."""
    figure, axes = _axes(2, len(sounds), 7.2, 4.2, sharey="row", sharex="col", height_ratios=(1, 2))
    for column, (name, audio) in enumerate(sounds.items()):
        waveform(axes[0, column], audio, sample_rate)
        spectrogram(axes[1, column], audio, sample_rate)
        axes[0, column].set(xlabel="")
        if len(sounds) > 1:
            axes[0, column].set_title(name, fontsize=9)
        if column:
            axes[0, column].set(ylabel="")
            axes[1, column].set(ylabel="")
    return figure


def landscape_figure(
    curves: Mapping[str, tuple[ArrayLike, ArrayLike, ArrayLike]], parameter: str, target: float | None = None
) -> Figure:
    """Loss and gradient over one parameter.

    `curves` maps the name of a loss to the physical values `[n]`, the loss `[n]` and the gradient `[n]` per unit of
    the cube; each loss is scaled to 0–1 as in the published figures, its gradient by the same factor.
    `target`, a physical value, is marked by a dashed line.
    """
    figure, axes = _axes(2, len(curves), max(3.6, 1.9 * len(curves)), 3.8, sharex=True, height_ratios=(2, 1))
    for column, (name, (x, value, gradient)) in enumerate(curves.items()):
        value, gradient, color = np.asarray(value), np.asarray(gradient), COLORS.get(name, "#444444")
        low, high = np.nanmin(value), np.nanmax(value)
        scale = 1 / (high - low) if high > low else 1.0
        axes[0, column].plot(x, (value - low) * scale, color=color)
        axes[1, column].plot(x, gradient * scale, color=color)
        axes[1, column].axhline(0, color="#888888", linewidth=0.6)
        axes[0, column].set_title(name, fontsize=9, color=color)
        axes[1, column].set(xlabel=parameter)
        for row in (0, 1):
            if target is not None:
                axes[row, column].axvline(target, color=_TARGET, linestyle="--", linewidth=1)
    axes[0, 0].set(ylabel="loss, scaled to 0–1")
    axes[1, 0].set(ylabel="gradient")
    return figure


def heatmaps_figure(
    maps: Mapping[str, ArrayLike],
    x: tuple[str, ArrayLike],
    y: tuple[str, ArrayLike],
    target: tuple[float, float] | None = None,
    paths: Mapping[str, ArrayLike] | None = None,
) -> Figure:
    """Loss over two parameters, a square panel a loss: `maps[name] [nx, ny]` scaled to 0–1, axes `(label, values [n])`.

    `paths[name] [steps, 2]` draws the physical trajectory of a search on its map.
    """
    columns = 2 if len(maps) == 4 else len(maps)
    rows = len(maps) // columns
    width = max(3.6, (2.4 if rows == 1 else 3.3) * columns)
    figure, axes = _axes(rows, columns, width, 2.8 * rows, sharex=True, sharey=True)
    for panel, (name, value) in zip(axes.flat, maps.items(), strict=True):
        value = np.asarray(value)
        scaled = (value - np.nanmin(value)) / max(np.nanmax(value) - np.nanmin(value), 1e-30)
        panel.set_box_aspect(1)
        panel.pcolormesh(x[1], y[1], scaled.T, cmap="viridis", shading="nearest", rasterized=True)
        if paths is not None and name in paths:
            path = np.asarray(paths[name])
            panel.plot(path[:, 0], path[:, 1], color="white", linewidth=1)
            panel.plot(*path[0], "o", color="white", markersize=4)
        if target is not None:
            panel.plot(*target, "x", color=_TARGET, markersize=7, markeredgewidth=2)
        panel.set_title(name, fontsize=9, color=COLORS.get(name, "#444444"))
        panel.grid(False)
    for panel in axes[-1]:
        panel.set(xlabel=x[0])
    for panel in axes[:, 0]:
        panel.set(ylabel=y[0])
    return figure


def ellipses(
    axes: Axes,
    space: ParamSpace,
    names: Sequence[str],
    theta: ArrayLike,
    M: ArrayLike,
    radius: float,
    color: str,
    linewidth: float = 0.9,
) -> None:
    """Draw `δᵀ M δ = radius²` of two parameters, the others held, at points `theta [..., P]` of the unit cube; `M
    [..., P, P]`. The axes are the unit square, with physical ticks."""
    at = [space.names.index(name) for name in names]
    middle = np.asarray(theta, float).reshape(-1, len(space))[:, at]
    block = np.asarray(M, float).reshape(-1, len(space), len(space))[:, at][:, :, at]
    values, vectors = np.linalg.eigh(block)
    half, turn = radius / np.sqrt(np.maximum(values, 1e-30)), np.linspace(0, 2 * np.pi, 65)
    curves = middle[:, :, None] + vectors @ (half[:, :, None] * [np.cos(turn), np.sin(turn)])
    axes.plot(curves[:, 0].T, curves[:, 1].T, color=color, linewidth=linewidth)
    marks = np.asarray(space.to_physical(np.tile([[0.0], [0.5], [1.0]], len(space))))
    axes.set(xlim=(0, 1), ylim=(0, 1), aspect=1)
    for axis, i in zip((axes.xaxis, axes.yaxis), at, strict=True):
        axis.set_ticks([0, 0.5, 1], [f"{mark:.4g}" for mark in marks[:, i]])
        axis.set_label_text(f"{space.names[i]} ({space.unit[i]})" if space.unit[i] else space.names[i])


def search_figure(
    values: Mapping[str, ArrayLike],
    parameters: Mapping[str, ArrayLike],
    names: Sequence[str],
    units: Sequence[str],
    target: Sequence[float] | None = None,
) -> Figure:
    """How searches went: the loss `[T]` of each, scaled by its start, and every parameter `[T, P]` over the steps."""
    figure, axes = _axes(1, 1 + len(names), 2.4 * (1 + len(names)), 2.5)
    for name, value in values.items():
        value, color = np.asarray(value), COLORS.get(name, "#444444")
        axes[0, 0].plot(value, color=color, label=name)
        for column, _ in enumerate(names, start=1):
            axes[0, column].plot(np.asarray(parameters[name])[:, column - 1], color=color)
    axes[0, 0].set(xlabel="step", ylabel="loss")
    for column, (parameter, unit) in enumerate(zip(names, units, strict=True), start=1):
        axes[0, column].set(xlabel="step", ylabel=f"{parameter} ({unit})" if unit else parameter)
        if target is not None:
            axes[0, column].axhline(target[column - 1], color=_TARGET, linestyle="--", linewidth=1)
    if len(values) > 1:
        axes[0, 0].legend(fontsize=8)
    return figure


def match_figure(
    target: ArrayLike,
    audio: ArrayLike,
    sample_rate: int,
    parameters: ArrayLike,
    values: ArrayLike,
    names: Sequence[str],
    units: Sequence[str],
) -> Figure:
    """A match on one sheet: the spectrograms of target and match, their mean spectra and their levels over each other;
    the loss `[T]` and the physical parameters `[T, P]` over the steps, marked at the lowest loss, whose step is kept.
    """
    parameters, values = np.asarray(parameters), np.asarray(values, float)
    columns = min(4, 1 + len(names))
    rows = -(-(1 + len(names)) // columns)
    with mpl.rc_context(_STYLE):  # laid out by hand: a constrained layout takes as long as the drawing
        figure = Figure(figsize=(10.4, 2.5 * (1 + rows)))

        def panels(first: int, rows: int, columns: int) -> list[Axes]:
            """Rows of 2.5 inches, the labels of an axis in its margins."""
            inch, whole = 1 / figure.get_figheight(), 1 / 10.4
            place = {"top": 1 - (2.5 * first + 0.3) * inch, "bottom": 1 - (2.5 * (first + rows) - 0.5) * inch}
            across = 0.9 / ((10.4 - 0.95 + 0.9) / columns - 0.9)
            grid = figure.add_gridspec(
                rows, columns, left=0.8 * whole, right=1 - 0.15 * whole, hspace=0.8 / 1.7, wspace=across, **place
            )
            return [figure.add_subplot(cell) for cell in grid]

        above, below = panels(0, 1, 4), panels(1, rows, columns)
        for panel in below[1 + len(names) :]:
            panel.remove()
    frame = max(1, sample_rate // 100)
    for panel, title, sound in zip(above, ("target", "match"), (target, audio), strict=False):
        spectrogram(panel, sound, sample_rate, fine=1)
        panel.set_title(title, fontsize=9)
        style: dict[str, Any] = {"label": title, "color": _TARGET if title == "target" else "#444444", "linewidth": 0.9}
        sound = np.asarray(sound, float)
        frequency, power = welch(sound, sample_rate, nperseg=min(4096, len(sound)))
        above[2].plot(frequency[1:], 10 * np.log10(power[1:] + 1e-14), **style)
        level = np.sqrt(np.mean(sound[: len(sound) // frame * frame].reshape(-1, frame) ** 2, axis=1))
        above[3].plot(np.arange(len(level)) * frame / sample_rate, 20 * np.log10(level + 1e-5), **style)
    above[2].set(xscale="log", xlim=(20, sample_rate / 2), xlabel="frequency (Hz)", ylabel="power density (dB/Hz)")
    above[2].set(ylim=(above[2].get_ylim()[1] - 100, None))
    above[2].xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    above[3].set(xlabel="time (s)", ylabel="level (dB)")
    above[3].legend(fontsize=8)
    kept = int(np.nanargmin(values))
    labels = ["loss", *(f"{name} ({unit})" if unit else name for name, unit in zip(names, units, strict=True))]
    for panel, label, series in zip(below, labels, [values, *parameters.T], strict=False):
        panel.plot(series, color="#444444")
        panel.plot(kept, series[kept], "o", color=_TARGET, label=f"kept: step {kept}")
        panel.set(xlabel="step", ylabel=label)
    below[0].legend(fontsize=8)
    return figure


def violins_figure(
    distributions: Mapping[str, Mapping[str, ArrayLike]],
    ranks: Mapping[str, Mapping[str, int]],
    ylabel: str,
    rivals: Mapping[str, Mapping[str, float]] | None = None,
) -> Figure:
    """A panel for each synth, a violin in its colour for each loss: `distributions[synth][loss] [n]`.

    Above a violin stands its rank. `rivals`: one value for each violin, what random search attains; a grey diamond
    beside it. The axis is that of the violins: for a rival off it a grey triangle with its value points there.
    """
    width = 0.7 + 0.42 * sum(map(len, distributions.values()))
    figure, axes = _axes(1, len(distributions), max(3.6, width), 3.0)
    gray: dict[str, Any] = {"color": "#888888", "markeredgecolor": "#222222", "markersize": 4, "linestyle": ""}
    for panel, (synth, losses) in zip(axes[0], distributions.items(), strict=True):
        bodies: Any = panel.violinplot([np.asarray(x, float) for x in losses.values()], showextrema=False)["bodies"]
        for place, (body, (loss, x)) in enumerate(zip(bodies, losses.items(), strict=True), 1):
            body.set(facecolor=COLORS.get(loss, "#BBBBBB"), edgecolor="#222222", linewidth=0.6, alpha=1)
            label = str(ranks[synth][loss])
            panel.annotate(label, (place, np.max(x)), (0, 3), textcoords="offset points", ha="center", fontsize=8)
        values = np.concatenate([np.asarray(x, float) for x in losses.values()])
        room = 0.15 * (np.ptp(values) or abs(values[0]) or 1.0)
        low, high = values.min() - room, values.max() + 2 * room
        for place, rival in enumerate((rivals[synth][loss] for loss in losses) if rivals else (), 1):
            point = place + 0.36, np.clip(rival, low, high)
            marker = "v" if rival < low else "^" if rival > high else "D"
            panel.plot(*point, marker, clip_on=False, zorder=5, **gray)
            if marker != "D":
                style: dict[str, Any] = {"ha": "center", "fontsize": 6, "color": "#666666"}
                panel.annotate(f"{rival:.3g}", point, (0, 4), textcoords="offset points", **style)
        panel.set_xticks(range(1, len(losses) + 1), list(losses), rotation=45, ha="right")
        panel.set_axisbelow(True)
        panel.set_title(synth, fontsize=9, pad=14 if rivals else None)
        panel.set(ylim=(low, high))
    axes[0, 0].set(ylabel=ylabel)
    if rivals:
        axes[0, 0].plot([], [], "D", label="random search", **gray)
        axes[0, 0].plot([], [], "^", label="random search, off the axis", **gray)
        figure.legend(loc="outside lower center", ncols=2, fontsize=8, frameon=False)
    return figure


def progress_figure(curves: Mapping[str, Mapping[str, ArrayLike]], ylabel: str = "P-loss") -> Figure:
    """A panel for each synth, a line for each loss: the median of `curves[synth][loss] [n, T]` over the steps.

    The band is the middle half of the trials. Values that are not finite are left out.
    """
    figure, axes = _axes(1, len(curves), max(3.6, 2.3 * len(curves)), 2.7, sharey=True)
    for panel, (synth, losses) in zip(axes[0], curves.items(), strict=True):
        for name, value in losses.items():
            value, color = np.asarray(value, float), COLORS.get(name, "#444444")
            low, middle, high = np.nanquantile(np.where(np.isfinite(value), value, np.nan), (0.25, 0.5, 0.75), axis=0)
            panel.plot(middle, color=color, label=name)
            panel.fill_between(np.arange(len(middle)), low, high, color=color, alpha=0.15, linewidth=0)
        panel.set_title(synth, fontsize=9)
        panel.set(xlabel="step")
    axes[0, 0].set(ylabel=ylabel)
    axes[0, -1].legend(fontsize=8)
    return figure
