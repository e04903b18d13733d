#!/usr/bin/env bash
# Title: Minus infinity becomes infinity
# Package: dawdreamer 0.9.0 (libfaust 2.85.9)
# Guess: a constant that the compiler works out, such as log(0), is the same number in every text that it writes.
# Seen: in C, C++, Rust and JAX the logarithm of 0 is written as infinity, without its sign; in the text for LLVM, and in
#   WebAssembly, it is minus infinity, so that max(x, log(0)) is x there and infinity here.
# For us: where the C text has an infinity, the text for LLVM tells its sign; a program that has both is refused.
# Test: tests/test_faust_language.py::test_the_three_engines_agree
set -euo pipefail
here=$(mktemp -d); trap 'rm -rf "$here"' EXIT
python3 -m venv "$here"
"$here/bin/pip" install --quiet --no-compile --disable-pip-version-check dawdreamer==0.9.0 numpy==2.4.6
"$here/bin/python" - <<'PYTHON'
import re

import dawdreamer
import dawdreamer.faust as faust, dawdreamer.faust.box as box

print(f"dawdreamer {dawdreamer.__version__}")
seen = {}
for language in ("c", "cpp", "rust", "jax", "llvm"):
    with faust.FaustContext():
        program = box.boxFromDSP('process = max(hslider("x", 0.5, 0, 1, 0.01), log(0.0));')
        text = box.boxToSource(program, language, "Dsp", ["-double"])
    (line,) = [line.strip() for line in text.splitlines() if re.search(r"max.*(inf|0x.FF0)", line, re.I)]
    print(f"{language:5}", line)
    seen[language] = re.search(r"-?\s*(\w+::|np\.|jnp\.)*(inf\w*|0x.FF0\w*)", line, re.I)[0].strip()
assert seen["llvm"] == "0xFFF0000000000000", seen
assert not any("-" in seen[language] or "NEG" in seen[language].upper() for language in ("c", "cpp", "rust", "jax")), seen
PYTHON
