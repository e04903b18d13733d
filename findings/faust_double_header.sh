#!/usr/bin/env bash
# Title: Double-precision JAX text that no present JAX reads
# Package: dawdreamer 0.9.0 (libfaust 2.85.9), jax 0.10.2
# Guess: the option `-double` of the JAX back end changes dtypes only.
# Seen: it also puts an import of `jax.config`, a module that JAX no longer has, at the top of the text, and a switch
#   to 64 bits for the whole process; the single-precision text has neither.
# For us: the header is cut off and double precision is on inside the program only (`jax.enable_x64(True)`).
# Test: tests/test_findings.py::test_double_precision_stays_inside
set -euo pipefail
here=$(mktemp -d); trap 'rm -rf "$here"' EXIT
python3 -m venv "$here"
"$here/bin/pip" install --quiet --no-compile --disable-pip-version-check \
    dawdreamer==0.9.0 jax==0.10.2 jaxlib==0.10.2 numpy==2.4.6
"$here/bin/python" - <<'PYTHON'
import dawdreamer, jax
import dawdreamer.faust as faust, dawdreamer.faust.box as box

def header(option):
    with faust.FaustContext():
        code = box.boxToSource(box.boxFromDSP("process = _;"), "jax", "Dsp", [option])
    return code[: code.index("def remainder")]

def run(text):
    try:
        exec(text, {"jnp": jax.numpy})
    except ImportError as error:
        return str(error)
    return "runs"

print(f"dawdreamer {dawdreamer.__version__}, jax {jax.__version__}")
seen = {option: run(header(option)) for option in ("-single", "-double")}
print(seen)
assert seen["-single"] == "runs"
assert "jax.config" in seen["-double"]
assert "jax_enable_x64" in header("-double")
PYTHON
