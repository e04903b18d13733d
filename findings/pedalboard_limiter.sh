#!/usr/bin/env bash
# Title: A limiter that makes the sound louder
# Package: pedalboard 0.9.26
# Guess: `Limiter(threshold_db=-20)` leaves a sound of -26 dB alone and holds a loud one near -20 dB.
# Seen: the quiet sound comes out 15 dB or more louder, and the loud one reaches 0 dB: the gain grows as the threshold
#   falls, and only a clip at full scale follows.
# For us: sounds are scaled to their peak, never limited; a loudness comparison must not pass through one.
set -euo pipefail
here=$(mktemp -d); trap 'rm -rf "$here"' EXIT
python3 -m venv "$here"
"$here/bin/pip" install --quiet --no-compile --disable-pip-version-check pedalboard==0.9.26 numpy==2.4.6
"$here/bin/python" - <<'PYTHON'
import numpy as np, pedalboard

RATE = 44_100
sine = np.sin(2 * np.pi * 440 * np.arange(2 * RATE) / RATE).astype(np.float32)

def decibels(audio):
    return 20 * np.log10(np.abs(audio[RATE:]).max())

print(f"pedalboard {pedalboard.__version__}")
seen = {}
for threshold in (0, -10, -20):
    limiter = pedalboard.Limiter(threshold_db=threshold)
    seen[threshold] = [decibels(limiter(level * sine, RATE)) for level in (0.05, 0.9)]
    quiet, loud = seen[threshold]
    print(f"threshold {threshold} dB: -26.0 dB becomes {quiet:.1f} dB, -0.9 dB becomes {loud:.1f} dB")
assert seen[-20][0] > -26 + 15 > seen[-10][0] > -26 + 6
assert seen[-20][1] > -0.1
PYTHON
