#!/usr/bin/env bash
# Title: A log slider that is not geometric
# Package: dawdreamer 0.9.0 (libfaust 2.85.9), jax 0.10.2
# Guess: half-way on a slider with `[scale:log]` from 1 to 10,000 Hz stands the geometric mean, 100 Hz.
# Seen: in the JAX architecture it stands at about 9,250 Hz: the logarithm warps the position, not the frequency,
#   and `[scale:exp]` is no inverse of it.
# For us: `ParamSpace` applies the warp itself and reads only the word from the label.
# Test: tests/test_findings.py::test_the_warp_of_a_log_slider_is_geometric
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

def half_way(scale):
    text = f'process = _ * 0 + hslider("f[scale:{scale}]", 500, 1, 10000, 1);'
    with faust.FaustContext():
        code = box.boxToSource(box.boxFromDSP(text), "jax", "mydsp", ["-a", "jax/minimal.py"])
    names = {"__name__": "generated"}
    sys.modules["generated"] = types.ModuleType("generated")
    exec(code, names)
    model, silence = names["mydsp"](sample_rate=44_100), jnp.zeros((1, 4))
    middle = jax.tree.map(jnp.zeros_like, model.init(jax.random.key(0), silence, 4)["params"])  # -1 to 1: 0 is half-way
    return float(model.apply({"params": middle}, silence, 4)[0, 0])

print(f"dawdreamer {dawdreamer.__version__}, jax {jax.__version__}")
seen = {scale: half_way(scale) for scale in ("linear", "log", "exp")}
for scale, value in seen.items():
    print(f"half-way on a {scale} slider from 1 to 10,000: {value:.0f}")
assert abs(seen["linear"] - 5000.5) < 1
assert 9200 < seen["log"] < 9300
assert 3700 < seen["exp"] < 3850
PYTHON
