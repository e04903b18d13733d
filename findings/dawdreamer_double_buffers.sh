#!/usr/bin/env bash
# Title: A renderer that writes doubles into buffers of floats
# Package: dawdreamer 0.9.0 (libfaust 2.85.9)
# Guess: with the compile flag `-double` the renderer computes in double precision and hands back rounded floats.
# Seen: every double lies across two of the floats: a constant of 0.25 comes out as 0, 1.625, 0, 1.625, ... Nothing
#   is said.
# For us: the native engine is libfaust's LLVM text, compiled and called here; DawDreamer renders nothing.
# Test: tests/test_faust.py::test_jax_equals_native_code
set -euo pipefail
here=$(mktemp -d); trap 'rm -rf "$here"' EXIT
python3 -m venv "$here"
"$here/bin/pip" install --quiet --no-compile --disable-pip-version-check dawdreamer==0.9.0 numpy==2.4.6
"$here/bin/python" - <<'PYTHON'
import dawdreamer, numpy as np

def constant(flags):
    engine = dawdreamer.RenderEngine(44_100, 512)
    processor = engine.make_faust_processor("faust")
    processor.compile_flags = flags
    processor.set_dsp_string("process = 0.25;")
    engine.load_graph([(processor, [])])
    engine.render(0.1)
    return engine.get_audio()[0]

print(f"dawdreamer {dawdreamer.__version__}")
for flags in (["-single"], ["-double"]):
    print(f"0.25 with {flags[0]}: {constant(flags)[:4]}")
assert (constant(["-single"]) == 0.25).all()
halves = np.array([0.25]).view(np.float32)  # low word, high word
assert (constant(["-double"])[:4] == np.tile(halves, 2)).all()
PYTHON
