#!/usr/bin/env bash
# Title: An error that is returned as the program
# Package: dawdreamer 0.9.0 (libfaust 2.85.9)
# Guess: a program that the compiler refuses raises an exception, whatever it refuses it for.
# Seen: an unknown name does, a division by the constant 0 and a default outside its range do not: `boxToSource`
#   returns the compiler's error text where the program would stand.
# For us: a text that begins with the compiler's word for an error is an error.
# Test: tests/test_faust.py::test_a_program_that_is_no_synthesizer_gets_a_clear_error
set -euo pipefail
here=$(mktemp -d); trap 'rm -rf "$here"' EXIT
python3 -m venv "$here"
"$here/bin/pip" install --quiet --no-compile --disable-pip-version-check dawdreamer==0.9.0 numpy==2.4.6
"$here/bin/python" - <<'PYTHON'
import dawdreamer
import dawdreamer.faust as faust, dawdreamer.faust.box as box

def source(program):
    with faust.FaustContext():
        try:
            return str(box.boxToSource(box.boxFromDSP(program), "c", "Dsp", []))
        except RuntimeError as error:
            return f"raised {error}"

print(f"dawdreamer {dawdreamer.__version__}")
for program, raises in [
    ("process = unknown;", True), ("process = _ / 0;", False), ('process = hslider("x", 2, 0, 1, 0.1);', False),
]:
    seen = source(program)
    print(program, "->", " ".join(seen[:90].split()))
    assert "ERROR" in seen[:300] and seen.startswith("raised") == raises
PYTHON
