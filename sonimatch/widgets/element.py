"""What all interactive elements share: one script each, live with a kernel, static in a page.

With a kernel an element is an anywidget: its traits follow the hand, and Python callbacks see them.
When the book is built it is plain HTML: its data inside, a picture for readers without scripts, and the same script.
"""

from __future__ import annotations

import base64
import html
import os
import textwrap
from collections.abc import Iterable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, ClassVar

import anywidget
import numpy as np
import traitlets

from sonimatch.plots import Figure
from sonimatch.space import ParamSpace
from sonimatch.widgets.page import FIRST, compact, page_script, page_style, placed, program, scripts, space  # noqa: F401


class Element(anywidget.AnyWidget):
    """An interactive element.

    `data` is what the script draws, as JSON, and does not change; `theta` is where the handle stands, in the unit
    cube, and follows it both ways. A subclass names its `script`, after those that it `shared` with others, and has a
    `figure()` for readers without scripts.
    """

    script: ClassVar[str]
    shared: ClassVar[tuple[str, ...]] = ()
    _css = page_style()
    data = traitlets.Dict().tag(sync=True)
    theta = traitlets.List(traitlets.Float()).tag(sync=True)

    def __init_subclass__(cls, **settings: Any) -> None:
        super().__init_subclass__(**settings)
        if "script" not in vars(cls):  # the class that traitlets makes of an instance
            return
        text = scripts(*FIRST, *cls.shared, cls.script)
        cls._esm = f"{text}\nexport default {{ render: sonimatch.live({cls.__name__!r}) }};\n"

    def figure(self) -> Figure:
        """The picture that stands for the element where no script runs."""
        raise NotImplementedError

    def sentence(self) -> str:
        """What a reader without scripts is told."""
        return "This element moves where scripts run; here is how it begins."

    def printed(self) -> Figure:
        """The picture with the sentence under it, for paper."""
        figure = self.figure()
        figure.supxlabel(textwrap.fill(self.sentence(), round(13 * figure.get_figwidth())), fontsize=9)
        return figure

    def _repr_mimebundle_(self, **settings: Any) -> Any:
        folder = os.environ.get("SONIMATCH_SOUNDS")
        if folder is None:
            return super()._repr_mimebundle_(**settings)
        png = self.figure().png()
        name = sha256(png).hexdigest()[:16] + ".png"
        Path(folder).mkdir(parents=True, exist_ok=True)
        (Path(folder) / name).write_bytes(png)
        own = sorted({*self.trait_names(sync=True)} - {*anywidget.AnyWidget.class_trait_names()})
        traits = {name: getattr(self, name) for name in own if not name.startswith("_")}
        sentence = html.escape(self.sentence())
        picture = f'<img src="../_static/sounds/{name}" alt="{sentence}"><p>{sentence}</p>'
        page = placed(type(self).__name__, traits, picture)
        paper = base64.b64encode(self.printed().png()).decode()
        return {"text/html": page, "image/png": paper, "text/plain": repr(self)}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{value:.4g}' for value in self.theta)})"


def settings_text(of: ParamSpace, theta: Iterable[float]) -> str:
    """Physical values with names and units."""
    values = of.to_physical(np.array([*theta], np.float32))
    parts = zip(of.names, values, of.unit, strict=True)
    return ", ".join(f"{name} {value:.4g} {unit}".rstrip() for name, value, unit in parts)


def in_the_cube(of: ParamSpace, theta: Iterable[float]) -> list[float]:
    """A point that was set from outside; ValueError when it is none of the unit cube."""
    point = list(theta)
    if len(point) != len(of) or not all(0 <= x <= 1 for x in point):
        raise ValueError(f"theta must be {len(of)} numbers from 0 to 1 ({', '.join(of.names)}), not {point}")
    return point


def start(of: ParamSpace, values: Mapping[str, float]) -> list[float]:
    """The point of the unit cube with these physical values, the rest at their defaults."""
    return [float(value) for value in of.theta(values)]
