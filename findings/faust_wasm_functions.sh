#!/usr/bin/env bash
# Title: The functions of C that a module may call
# Package: dawdreamer 0.9.0 (libfaust 2.85.9), wasmtime 50.0.1
# Guess: a foreign function of C's mathematics becomes an import of the WebAssembly module, with the declared types.
# Seen: nine names are let through and all others refused, `erf` and `cbrt` of Faust's own libraries among them; and
#   what is let through with other types than the compiler has in mind becomes a module that is not valid, unreported.
# For us: the other functions travel under the names that are let through, and get their own in the finished module.
# Test: tests/test_faust_language.py::test_the_functions_of_c_are_those_of_native_code
set -euo pipefail
here=$(mktemp -d); trap 'rm -rf "$here"' EXIT
python3 -m venv "$here"
"$here/bin/pip" install --quiet --no-compile --disable-pip-version-check \
    dawdreamer==0.9.0 wasmtime==50.0.1 numpy==2.4.6
"$here/bin/python" - <<'PYTHON'
import dawdreamer, wasmtime
import dawdreamer.faust as faust, dawdreamer.faust.box as box

def outcome(process):
    with faust.FaustContext():
        try:
            code = box.boxToSource(box.boxFromDSP(process), "wasm", "Dsp", ["-double"])
        except RuntimeError as error:
            return " ".join(str(error).split())
    try:
        module = wasmtime.Module(wasmtime.Store().engine, code)
    except wasmtime.WasmtimeError:
        return "a module that is not valid"
    return "imports " + ", ".join(str(each.name) for each in module.imports)

slider = 'hslider("x", 1.3, 1, 2, 0.01)'
seen = {}
for types, names in {
    "float {}(float)": ("tanh", "asinh", "erf", "cbrt", "log1p", "isnan"), "int {}(float)": ("isnan", "ilogb")
}.items():
    for name in names:
        declared = types.format(name)
        seen[declared] = outcome(f'process = ffunction({declared}, <math.h>, "")({slider});')
print(f"dawdreamer {dawdreamer.__version__}, wasmtime 50.0.1")
for declared, found in seen.items():
    print(f"{declared}: {found}")
assert seen["float tanh(float)"].endswith("_tanh") and seen["float asinh(float)"].endswith("_asinh")
assert all("is not allowed" in seen[f"float {name}(float)"] for name in ("erf", "cbrt", "log1p"))
assert "is not allowed" in seen["int ilogb(float)"]
assert seen["float isnan(float)"] == "a module that is not valid" and "_isnan" in seen["int isnan(float)"]
PYTHON
