#!/usr/bin/env bash
# Title: A steep high-pass filter that fails without a sign
# Package: dawdreamer 0.9.0 (libfaust 2.85.9), scipy 1.17.1
# Guess: `fi.highpass(10, f)` in single precision, Faust's default, is off by rounding: 1e-4 or so at any cut-off.
# Seen: at 60 Hz it is; at 10 Hz it is off by more than 0.1 %, and below 2 Hz by more than 100 % at some cut-offs,
#   with peaks far above the input. All values stay finite.
# For us: every engine computes in double precision unless told otherwise.
# Test: tests/test_faust.py::test_bp_noise_equals_second_order_sections
set -euo pipefail
here=$(mktemp -d); trap 'rm -rf "$here"' EXIT
python3 -m venv "$here"
"$here/bin/pip" install --quiet --no-compile --disable-pip-version-check dawdreamer==0.9.0 numpy==2.4.6 scipy==1.17.1
"$here/bin/python" - <<'PYTHON'
import dawdreamer, numpy as np
from scipy.signal import butter, sosfilt

RATE = 44_100

def render(process):
    engine = dawdreamer.RenderEngine(RATE, 512)
    processor = engine.make_faust_processor("faust")
    processor.set_dsp_string(f'import("stdfaust.lib"); process = {process};')
    engine.load_graph([(processor, [])])
    engine.render(1.0)
    return engine.get_audio()[0].astype(float)

def error(cutoff_hz):
    right = sosfilt(butter(10, cutoff_hz, "highpass", fs=RATE, output="sos"), noise)
    seen = render(f"no.noise : fi.highpass(10, {cutoff_hz})")
    assert np.isfinite(seen).all()
    return np.linalg.norm(seen - right) / np.linalg.norm(right), abs(seen).max()

noise = render("no.noise")
print(f"dawdreamer {dawdreamer.__version__}, noise up to {abs(noise).max():.2f}")
seen = {hz: error(hz) for hz in (60, 10, 2, 1.9, 1.8, 1.7, 1.6, 1.5, 1.4, 1.3, 1.2)}
for hz, (relative, peak) in seen.items():
    print(f"{hz:>4} Hz: relative error {relative:.1e}, peak {peak:.1f}")
assert seen[60][0] < 1e-3 < seen[10][0] < 0.1
assert max(relative for hz, (relative, _) in seen.items() if hz < 2) > 1
PYTHON
