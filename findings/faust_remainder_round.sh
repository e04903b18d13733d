#!/usr/bin/env bash
# Title: Remainders of negative numbers, and halves that round the other way
# Package: dawdreamer 0.9.0 (libfaust 2.85.9), jax 0.10.2
# Guess: `%`, `fmod` and `round` follow C in every back end: the remainder has the sign of the dividend, halves
#   round away from zero.
# Seen: the JAX text calls `jnp.mod` and `jnp.round`: -7 % 3 is 2 instead of -1, and 2.5 rounds to 2 instead of 3.
# For us: a phase that runs backwards would jump. `FaustSynth` gives the text the remainder and the rounding of C;
#   `%` of two whole numbers is not repaired yet.
# Test: tests/test_findings.py::test_remainders_and_halves_are_those_of_c
set -euo pipefail
here=$(mktemp -d); trap 'rm -rf "$here"' EXIT
python3 -m venv "$here"
"$here/bin/pip" install --quiet --no-compile --disable-pip-version-check \
    dawdreamer==0.9.0 jax==0.10.2 jaxlib==0.10.2 numpy==2.4.6
"$here/bin/python" - <<'PYTHON'
import dataclasses, json
from types import SimpleNamespace

import dawdreamer, jax, jax.numpy as jnp, numpy as np
import dawdreamer.faust as faust, dawdreamer.faust.box as box

def both(expression, value):
    text = f'x = hslider("x", 0, -10, 10, 0.1); process = {expression};'
    with faust.FaustContext():
        code = box.boxToSource(box.boxFromDSP(text), "jax", "Dsp", ["-single"])
    flax = SimpleNamespace(Module=object, compact=lambda method: method)  # in place of Flax, which tick does not need
    names = dict(jax=jax, jnp=jnp, np=np, json=json, dataclasses=dataclasses, nn=flax)
    exec(code[code.index("def remainder") :], names)
    in_jax = float(names["Dsp"].tick({"fHslider0": jnp.float32(value)}, None)[1][0])
    engine = dawdreamer.RenderEngine(44_100, 64)
    processor = engine.make_faust_processor("faust")
    processor.set_dsp_string(text)
    processor.compile()
    processor.set_parameter("/dawdreamer/x", value)
    engine.load_graph([(processor, [])])
    engine.render(0.01)
    return in_jax, float(engine.get_audio()[0, 0])

print(f"dawdreamer {dawdreamer.__version__}, jax {jax.__version__}")
for expression, value, expected in [
    ("x % 3", 7.0, (1, 1)), ("x % 3", -7.0, (2, -1)), ("x, 3 : fmod", -7.5, (1.5, -1.5)),
    ("round(x)", 1.5, (2, 2)), ("round(x)", 2.5, (2, 3)), ("rint(x)", 2.5, (2, 2)),
]:
    seen = both(expression, value)
    print(f"{expression} at {value:g}: {seen[0]:g} in JAX, {seen[1]:g} in native code")
    assert seen == expected
PYTHON
