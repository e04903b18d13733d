#!/usr/bin/env bash
# Title: A synthesizer that is silent at low sample rates
# Package: dexed-py 0.3.0
# Guess: at 8,000 Hz the engine renders the patch with a narrower band, or refuses.
# Seen: at 8,000, 11,025 and 12,000 Hz it renders exact zeros and says nothing; from 16,000 Hz on the pitch is right
#   and one operator alone peaks at 2, not at 1.
# For us: a data set at a low rate would be silence; check the level of what an engine renders, and scale by the peak.
set -euo pipefail
here=$(mktemp -d); trap 'rm -rf "$here"' EXIT
python3 -m venv "$here"
"$here/bin/pip" install --quiet --no-compile --disable-pip-version-check dexed-py==0.3.0 numpy==2.4.6
"$here/bin/python" - <<'PYTHON'
from importlib.metadata import version

import dexed, numpy as np

print(f"dexed-py {version('dexed-py')}")
for rate in (8_000, 11_025, 12_000, 16_000, 22_050, 44_100):
    synth = dexed.DexedSynth(sample_rate=rate)
    synth.load_patch(dexed.Patch())
    audio = synth.render(midi_note=69, velocity=100, note_duration=1.0, render_duration=1.0)
    peak, pitch_hz = np.abs(audio).max(), np.argmax(np.abs(np.fft.rfft(audio))) * rate / len(audio)
    print(f"{rate} Hz: peak {peak:.3f}, pitch {pitch_hz:.0f} Hz")
    assert peak == 0 if rate < 16_000 else (abs(peak - 2) < 0.01 and abs(pitch_hz - 440) < 2)
PYTHON
