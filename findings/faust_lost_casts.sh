#!/usr/bin/env bash
# Title: Noise of the wrong loudness
# Package: dawdreamer 0.9.0 (libfaust 2.85.9), jax 0.10.2
# Guess: the JAX text of a Faust program gives the sound of its native code, as it does for `no.noise`.
# Seen: where two whole-number signals are added, `float(a) + float(b)` is printed as `((a) + (b))`: the sum wraps
#   at 2^31, and the Gaussian noise `no.gnoise(8)` comes out at a third of its level.
# For us: `FaustSynth` runs that text, so a match of such a program chases another sound than the native one. No
#   program of the book adds whole numbers; the repair is still to come.
set -euo pipefail
here=$(mktemp -d); trap 'rm -rf "$here"' EXIT
python3 -m venv "$here"
"$here/bin/pip" install --quiet --no-compile --disable-pip-version-check \
    dawdreamer==0.9.0 jax==0.10.2 jaxlib==0.10.2 numpy==2.4.6
"$here/bin/python" - <<'PYTHON'
import dataclasses, json, re
from types import SimpleNamespace

import dawdreamer, jax, jax.numpy as jnp, numpy as np
import dawdreamer.faust as faust, dawdreamer.faust.box as box

N, RATE = 20_000, 44_100

def in_jax(text):
    with faust.FaustContext():
        code = box.boxToSource(box.boxFromDSP(text), "jax", "Dsp", ["-single"])
    flax = SimpleNamespace(Module=object, compact=lambda method: method)  # in place of Flax, which tick does not need
    names = dict(jax=jax, jnp=jnp, np=np, json=json, dataclasses=dataclasses, nn=flax)
    exec(code[code.index("def remainder") :], names)
    program = names["Dsp"]()
    program.sample_rate = RATE
    state = jax.tree.map(jnp.asarray, program.initialize(None, N))
    return np.asarray(jax.lax.scan(program.tick, state, None, length=N)[1])[:, 0], code

def native(text):
    engine = dawdreamer.RenderEngine(RATE, 512)
    processor = engine.make_faust_processor("faust")
    processor.set_dsp_string(text)
    engine.load_graph([(processor, [])])
    engine.render(N / RATE)
    return engine.get_audio()[0, :N]

print(f"dawdreamer {dawdreamer.__version__}, jax {jax.__version__}")
level = {}
for name in ("no.noise", "no.gnoise(8)"):
    text = f'import("stdfaust.lib"); process = {name};'
    (ours, code), theirs = in_jax(text), native(text)
    level[name] = ours.std() / theirs.std()
    print(f"{name}: standard deviation in JAX {ours.std():.3f}, in native code {theirs.std():.3f}")
assert abs(level["no.noise"] - 1) < 1e-6
assert 0.2 < level["no.gnoise(8)"] < 0.5
assert re.search(r"\(\(iRec\w+\) \+ \(", code), "the sum of two bare integers"
PYTHON
