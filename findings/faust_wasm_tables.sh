#!/usr/bin/env bash
# Title: Tables of the sample rate that know no sample rate
# Package: dawdreamer 0.9.0 (libfaust 2.85.9), wasmtime 50.0.1
# Guess: a table filled from `ma.SR` holds the same numbers in a WebAssembly module as in native code, once `init` was
#   called with the rate.
# Seen: the module fills it before it stores the rate: the first `init` computes with a rate that is not there, and
#   only the second one is right.
# For us: whoever runs such a module calls `instanceConstants`, which stores the rate, before `init`.
# Test: tests/test_faust_language.py::test_the_three_engines_agree
set -euo pipefail
here=$(mktemp -d); trap 'rm -rf "$here"' EXIT
python3 -m venv "$here"
"$here/bin/pip" install --quiet --no-compile --disable-pip-version-check \
    dawdreamer==0.9.0 wasmtime==50.0.1 numpy==2.4.6
"$here/bin/python" - <<'PYTHON'
import json, struct

import dawdreamer, wasmtime
import dawdreamer.faust as faust, dawdreamer.faust.box as box

PROGRAM = """import("stdfaust.lib");
process = rdtable(8, float(ma.SR) / 1000, (+(1) ~ _) - 1 & 7);"""

with faust.FaustContext():
    code = box.boxToSource(box.boxFromDSP(PROGRAM), "wasm", "Dsp", ["-double"])
interface, _ = json.JSONDecoder().raw_decode(code[code.index(b'{"name"'):].decode("latin-1"))
store = wasmtime.Store()
module = wasmtime.Module(store.engine, code)
number = {"_max": max, "_min": min, "_fmax": max, "_fmin": min}
functions = [wasmtime.Func(store, need.type, number[need.name]) for need in module.imports]
exports = wasmtime.Instance(store, module, functions).exports(store)
memory, sound, place = exports["memory"], 4096, 2048
memory.grow(store, 1)
memory.write(store, struct.pack("<i", sound), place)
seen = []
for _ in range(2):
    exports["init"](store, 0, 48_000)
    exports["compute"](store, 0, 1, 0, place)
    seen += struct.unpack("<d", memory.read(store, sound, sound + 8))
print(f"dawdreamer {dawdreamer.__version__}, wasmtime 50.0.1: after each init at 48 kHz: {seen}")
assert seen[0] != 48 and seen[1] == 48
PYTHON
