"""A setting written into the text of a program, as the defaults of its sliders."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jax.typing import ArrayLike

from sonimatch.faust.compiler import FaustError
from sonimatch.faust.synth import FaustSynth

_SLIDER = re.compile(r'//[^\n]*|/\*.*?\*/|"[^"\n]*"|\b(?:hslider|vslider|nentry)\s*\(\s*"([^"\n]*)"\s*,', re.DOTALL)
_SKIPPED = re.compile(r'//[^\n]*|/\*.*?\*/|"[^"\n]*"', re.DOTALL)
_NEAR = 1e-6  # of the range: a default is what was written


class Preset(NamedTuple):
    """A Faust program `text`, and the names of the parameters that it could not be given: they keep their default."""

    text: str
    left: tuple[str, ...]


def preset(synth: FaustSynth, theta: ArrayLike) -> Preset:
    """The text of `synth` with the setting `theta [P]` as the defaults of its sliders, for any tool that opens Faust.

    A default is replaced where its slider stands in the text with its label in quotes, whatever is computed in its
    place there. The result is compiled, and a replacement counts only when it has changed the default of the parameter
    that is meant, to the value that is meant, and no other. A parameter is left where that cannot be had: its slider
    stands in a library, or one text makes several sliders.
    Shown in notebooks/your_own_sound.md.
    """
    space = synth.space
    values = np.clip(np.asarray(space.to_physical(np.clip(theta, 0, 1)), float), space.low, space.high)
    width = np.subtract(space.high, space.low)

    def written(text: str, places: Mapping[int, tuple[int, int]], before: Sequence[float]) -> str | None:
        """The text with the value of each of these parameters at its place, if that has changed them and no other."""
        for i, (first, last) in sorted(places.items(), key=lambda item: -item[1][0]):
            text = f"{text[:first]} {values[i]:.9g}{text[last:]}"
        wanted = [values[i] if i in places else default for i, default in enumerate(before)]
        found = _defaults(synth, text)
        same = len(found) == len(wanted) and (np.abs(np.subtract(found, wanted)) <= _NEAR * width).all()
        return text if same else None

    text, left = synth.source, []
    moved = [i for i, value in enumerate(values) if abs(value - space.default[i]) > _NEAR * width[i]]
    places = {i: [*_places(text, space.names[i])] for i in moved}
    if all(len(each) == 1 for each in places.values()):
        together = written(text, {i: only for i, (only,) in places.items()}, space.default)
        if together is not None:
            return Preset(together, ())
    for i in moved:  # one by one
        before = _defaults(synth, text)
        tries = (written(text, {i: place}, before) for place in _places(text, space.names[i]))
        changed = next((one for one in tries if one is not None), None)
        if changed is None:
            left.append(space.names[i])
        text = changed or text
    return Preset(text, tuple(left))


def _defaults(synth: FaustSynth, text: str) -> tuple[float, ...]:
    try:
        space = FaustSynth(synth.name, text, precision=synth.precision).space
    except FaustError:
        return ()
    return space.default if space.names == synth.space.names else ()


def _places(text: str, name: str) -> Iterator[tuple[int, int]]:
    """From where to where the default stands of each slider whose label could be that of a parameter, or its end."""
    for found in _SLIDER.finditer(text):
        if found[1] is None:
            continue
        last = re.sub(r"\[[^]]*\]", "", found[1]).strip().rpartition("/")[2]
        label = re.sub(r"\W", "_", last, flags=re.ASCII).strip("_")
        if label and name.endswith(label):
            yield found.end(), _end(text, found.end())


def _end(text: str, place: int) -> int:
    """The comma that ends the argument which begins at `place`."""
    depth = 0
    while place < len(text):
        if skipped := _SKIPPED.match(text, place):
            place = skipped.end()
            continue
        if text[place] == "," and not depth:
            return place
        depth += (text[place] in "([{") - (text[place] in ")]}")
        place += 1
    return place
