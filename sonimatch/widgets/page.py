"""What a page without a kernel needs for its elements: their scripts and style, their data, and where they stand."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sonimatch.faust import FaustSynth
from sonimatch.space import ParamSpace
from sonimatch.widgets.loudness import loudest

JS = Path(__file__).parent / "js"
FIRST = ("engine.js", "sound.js")
"""The scripts that every element needs, in their order."""
THEME = """const dark = matchMedia("(prefers-color-scheme: dark)");
const theme = () => { document.documentElement.dataset.theme = dark.matches ? "dark" : "light"; };
dark.addEventListener("change", theme);
theme();"""
"""The script of a page of its own that has the colours of its reader; in the book its theme sets them."""


def page_script() -> str:
    """All elements for a static page, as one classic script: what all need first, what starts them last."""
    between = sorted({path.name for path in JS.glob("*.js")} - {*FIRST, "page.js"})
    return scripts(*FIRST, *between, "page.js")


def scripts(*names: str) -> str:
    """The text of these scripts, one after the other."""
    return "\n".join((JS / name).read_text() for name in names)


def page_style() -> str:
    """The style of all elements."""
    return (JS / "elements.css").read_text()


def placed(element: str, traits: Mapping[str, Any], fallback: str) -> str:
    """An element in a page: its name, its data inside, and HTML for readers without scripts."""
    state = json.dumps(traits, separators=(",", ":")).replace("</", "<\\/")
    return (
        f'<div class="sonimatch" data-element="{element}"><script type="application/json">{state}</script>'
        f'<div class="sonimatch-fallback">{fallback}</div><script>globalThis.sonimatch?.start()</script></div>'
    )


def program(synth: FaustSynth, sound: np.ndarray | None = None) -> dict[str, Any]:
    """A synthesizer for the page: its WebAssembly, where its parameters live, the hash of its text, and how loud it can
    be, or the `sound [samples]` beside it: the page plays and draws all sounds of an element on that one scale.
    """
    wasm = synth.to_wasm()
    return {
        "name": synth.name,
        "wasm": base64.b64encode(wasm.code).decode(),
        "sha256": synth.source_sha256,
        "precision": synth.precision,
        "sample_rate": synth.sample_rate,
        "num_samples": synth.num_samples,
        "indices": wasm.indices,
        "blocks": wasm.blocks,
        "size": wasm.size,
        "space": space(synth.space),
        "loudest": loudest(synth, sound)._asdict(),
    }


def space(of: ParamSpace) -> dict[str, Any]:
    """A parameter space for the page."""
    return {name: list(getattr(of, name)) for name in ("names", "low", "high", "warp", "unit", "step", "quantised")}


def compact(values: Any) -> str:
    """Single-precision numbers for the page: base64, little-endian."""
    return base64.b64encode(np.ascontiguousarray(values, "<f4").tobytes()).decode()
