#!/usr/bin/env bash
# Title: Effects that are off and yet change the level
# Package: pedalboard 0.9.26
# Guess: a reverb with `wet_level=0, dry_level=1` and a convolution with a single 1 both hand on what they get.
# Seen: the reverb doubles the sound (+6.02 dB) and the convolution divides it by eight (-18.06 dB), for an impulse
#   of 1 as for one of 0.5; delay and chorus with `mix=0` change nothing.
# For us: a synthesizer chain built with it would miss its target by a constant gain that no parameter explains.
set -euo pipefail
here=$(mktemp -d); trap 'rm -rf "$here"' EXIT
python3 -m venv "$here"
"$here/bin/pip" install --quiet --no-compile --disable-pip-version-check pedalboard==0.9.26 numpy==2.4.6
"$here/bin/python" - <<'PYTHON'
import numpy as np, pedalboard

RATE = 44_100
sine = (0.05 * np.sin(2 * np.pi * 440 * np.arange(2 * RATE) / RATE)).astype(np.float32)

def impulse(height):
    return pedalboard.Convolution(np.array([height, 0, 0, 0], np.float32), mix=1.0, sample_rate=RATE)

print(f"pedalboard {pedalboard.__version__}")
for name, effect, expected in [
    ("Delay(mix=0)", pedalboard.Delay(mix=0), 0), ("Chorus(mix=0)", pedalboard.Chorus(mix=0), 0),
    ("Reverb(wet_level=0, dry_level=1)", pedalboard.Reverb(wet_level=0, dry_level=1), 6.02),
    ("Convolution with 1", impulse(1), -18.06), ("Convolution with 0.5", impulse(0.5), -18.06),
]:
    gain = 20 * np.log10(effect(sine, RATE)[RATE:].std() / sine[RATE:].std())
    print(f"{name}: {gain:+.2f} dB")
    assert abs(gain - expected) < 0.02
PYTHON
