#!/usr/bin/env bash
# Title: A number entry that forgets its default
# Package: dawdreamer 0.9.0 (libfaust 2.85.9), jax 0.10.2
# Guess: before training, `nentry("x", 0.3, 0, 1, 0.1)` stands at its default, 0.3, as a slider does.
# Seen: in the JAX architecture it stands at 0: the distance from the minimum is rounded before it is divided by
#   the step, so that every default between whole numbers is lost.
# For us: defaults are read from the program's own description, where they are right.
# Test: tests/test_findings.py::test_the_default_of_a_number_entry_survives
set -euo pipefail
here=$(mktemp -d); trap 'rm -rf "$here"' EXIT
python3 -m venv "$here"
"$here/bin/pip" install --quiet --no-compile --disable-pip-version-check dawdreamer==0.9.0 jax==0.10.2 jaxlib==0.10.2 \
    flax==0.12.8 numpy==2.4.6
"$here/bin/python" - <<'PYTHON'
import sys, types

import dawdreamer, jax, jax.numpy as jnp
import dawdreamer.faust as faust, dawdreamer.faust.box as box

sys.modules["librosa"] = types.ModuleType("librosa")  # the architecture imports it for sound files only

def default(control):
    with faust.FaustContext():
        program = box.boxFromDSP(f"process = _ * 0 + {control};")
        code = box.boxToSource(program, "jax", "mydsp", ["-a", "jax/minimal.py"])
    names = {"__name__": "generated"}
    sys.modules["generated"] = types.ModuleType("generated")
    exec(code, names)
    model, silence = names["mydsp"](sample_rate=44_100), jnp.zeros((1, 4))
    return float(model.apply(model.init(jax.random.key(0), silence, 4), silence, 4)[0, 0])

print(f"dawdreamer {dawdreamer.__version__}, jax {jax.__version__}")
for control, expected in [
    ('hslider("x", 0.3, 0, 1, 0.1)', 0.3), ('nentry("x", 0.3, 0, 1, 0.1)', 0.0), ('nentry("x", 3, 0, 10, 1)', 3.0),
]:
    seen = default(control)
    print(f"{control}: {seen:g}")
    assert abs(seen - expected) < 1e-6
PYTHON
