#!/usr/bin/env bash
# Title: Silence that is not silent after resampling
# Package: soxr 1.1.0
# Guess: digital silence in 16 bits, resampled, is digital silence.
# Seen: a quarter of the samples come out as -1 or 1, because whole-number output of 16 bits is dithered; floats and
#   32 bits stay zero. Nothing in the function's signature turns it off.
# For us: sounds are read as floats before they are resampled, so that trimming and silence tests see true zeros.
# Test: tests/test_findings.py::test_resampled_silence_is_silent
set -euo pipefail
here=$(mktemp -d); trap 'rm -rf "$here"' EXIT
python3 -m venv "$here"
"$here/bin/pip" install --quiet --no-compile --disable-pip-version-check soxr==1.1.0 numpy==2.4.6
"$here/bin/python" - <<'PYTHON'
import numpy as np, soxr

print(f"soxr {soxr.__version__}, libsoxr {soxr.__libsoxr_version__}")
seen = {}
for kind in ("int16", "int32", "float32"):
    out = soxr.resample(np.zeros(44_100, kind), 44_100, 48_000)
    seen[kind] = np.mean(out != 0)
    print(f"{kind}: {seen[kind]:.0%} of resampled silence is not 0; range {out.min()} to {out.max()}")
assert seen["int16"] > 0.1
assert seen["int32"] == seen["float32"] == 0
PYTHON
