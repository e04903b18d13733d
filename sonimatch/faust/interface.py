"""The controls of a program, read from the calls that build its page."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, replace
from dataclasses import field as having
from typing import Any

from sonimatch.faust.compiler import FaustError
from sonimatch.space import ParamSpace

_SLIDERS = {"addHorizontalSlider": "hslider", "addVerticalSlider": "vslider", "addNumEntry": "nentry"}
_SWITCHES = {"addButton": "button", "addCheckButton": "checkbox"}
_EMPTY = "0x00"  # what Faust writes for no label
_LARGEST = 1e30  # a search moves in single precision
_BOXES = ("openVerticalBox", "openHorizontalBox", "openTabBox")


@dataclass(frozen=True)
class Control:
    """A slider, a number entry, a button or a checkbox: its field in the state, and where and how it is set."""

    kind: str
    field: str
    path: tuple[str, ...]
    start: float = 0.0
    low: float = 0.0
    high: float = 1.0
    step: float = 0.0
    about: dict[str, str] = having(default_factory=dict, hash=False)
    name: str = ""


def controls(program: str, calls: list[tuple[str, list[Any]]]) -> tuple[tuple[Control, ...], tuple[Control, ...]]:
    """The sliders and the switches, in the order of the page, with names that tell them apart."""
    groups: list[str] = []
    about: dict[Any, dict[str, str]] = {}
    found: list[Control] = []
    for call, arguments in calls:
        if call == "declare":
            about.setdefault(arguments[0], {})[arguments[1]] = arguments[2]
        elif call in _BOXES:
            groups.append(arguments[0])
        elif call == "closeBox":
            groups.pop()
        elif call in _SLIDERS or call in _SWITCHES:
            label, place, *numbers = arguments
            kind = (_SLIDERS | _SWITCHES)[call]
            found.append(Control(kind, place, (*groups, label), *numbers, about=about.get(place, {})))
    names = _names(program, [control.path for control in found])
    found = [replace(control, name=name) for control, name in zip(found, names, strict=True)]
    return (
        tuple(control for control in found if control.kind in _SLIDERS.values()),
        tuple(control for control in found if control.kind in _SWITCHES.values()),
    )


def _names(program: str, paths: list[tuple[str, ...]]) -> list[str]:
    """For each control the fewest of its last labels that no other control shares, as Faust makes short names."""
    words = [
        [cleaned for label in path if (cleaned := re.sub(r"\W", "_", label, flags=re.ASCII).strip("_"))]
        for path in paths
    ]
    for path, mine in zip(paths, words, strict=True):
        if (twins := words.count(mine)) > 1:
            called = "have no label" if path[-1] == _EMPTY else f"are called {'/'.join(path[1:])!r}"
            raise FaustError(f"{program}: {twins} controls {called}; each needs a label of its own")
    lengths = [1] * len(words)
    while True:
        names = ["_".join(w[-n:]) for w, n in zip(words, lengths, strict=True)]
        twice = {name for name, count in Counter(names).items() if count > 1}
        longer = [n + (name in twice and n < len(w)) for name, n, w in zip(names, lengths, words, strict=True)]
        if longer == lengths:
            return names
        lengths = longer


def space(program: str, sliders: tuple[Control, ...], whole: frozenset[str]) -> ParamSpace:
    """The parameters of the sliders; those whose fields are `whole`, and number entries of whole steps, are quantised.

    Raises FaustError where a range is empty or does not hold the start.
    """
    for slider in sliders:
        if not slider.low < slider.high:
            raise FaustError(f"{program}: {slider.name}: the range {slider.low:g} to {slider.high:g} is empty")
        if not slider.low <= slider.start <= slider.high:
            raise FaustError(
                f"{program}: {slider.name}: the initial value {slider.start:g} is outside of its range, "
                f"{slider.low:g} to {slider.high:g}"
            )
        if max(abs(slider.low), abs(slider.high)) > _LARGEST:
            raise FaustError(f"{program}: {slider.name}: the range {slider.low:g} to {slider.high:g} is too large")
        if slider.step < 0:
            raise FaustError(f"{program}: {slider.name}: the step {slider.step:g} is negative")
    return ParamSpace(
        names=tuple(slider.name for slider in sliders),
        low=tuple(slider.low for slider in sliders),
        high=tuple(slider.high for slider in sliders),
        warp=tuple(_warp(slider) for slider in sliders),
        unit=tuple(slider.about.get("unit", "") for slider in sliders),
        default=tuple(slider.start for slider in sliders),
        step=tuple(slider.step for slider in sliders),
        quantised=tuple(
            slider.step > 0 and slider.step.is_integer() and (slider.kind == "nentry" or slider.field in whole)
            for slider in sliders
        ),
    )


def _warp(slider: Control) -> Any:
    scale = slider.about.get("scale", "linear")
    return scale if scale in ("log", "exp") else "linear"
