#!/usr/bin/env bash
# Title: A loss that is there to hear direction, and with its widest average does not
# Package: scrapl-loss 0.1.0, torch 2.13.0
# Guess: the loss of joint time-frequency scattering tells a rising chirp from its reversal, most of all with T="global", which leaves nothing but direction between them.
# Seen: with T="global" the distance of the two is 0.015 of their size, with T=512 it is 1.21. The average runs over all padded frames, and the padding is the sound's own mirror image, which falls where the sound rises.
# For us: our "global" is the mean over the frames of the sound alone (1.22 for this pair).
set -euo pipefail
here=$(mktemp -d); trap 'rm -rf "$here"' EXIT
python3 -m venv "$here"
"$here/bin/pip" install --quiet --no-compile --disable-pip-version-check scrapl-loss==0.1.0 torch==2.13.0
"$here/bin/python" -W ignore - 2>/dev/null <<'PYTHON' | grep -v "^\(min_prob\|number of\|unif\)"
from importlib import metadata

import numpy as np
import torch
from scrapl.scrapl_loss import SCRAPLLoss

print(f"scrapl-loss {metadata.version('scrapl-loss')}, torch {torch.__version__}: a chirp of four octaves and its reversal")
n = 8192
c = np.arange(n) / n - 0.5
chirp = np.sin(2 * np.pi * 0.05 * n * (2 ** (4 * c) - 1) / (4 * np.log(2))) * np.exp(-((c / 0.1) ** 2) / 2)
up = torch.tensor(chirp, dtype=torch.float32)[None, None]
heard = {}
for T in ("global", 2048, 512):
    loss = SCRAPLLoss(shape=n, J=8, Q1=8, Q2=1, J_fr=3, Q_fr=1, T=T, F=8)
    paths = [loss.calc_dist(up, torch.flip(up, [-1]), path) for path in range(loss.n_paths)]
    heard[T] = (sum(float(d) ** 2 for d, _, _ in paths) / sum(float((a**2).sum()) for _, a, _ in paths)) ** 0.5
    print(f"T = {T}: their distance is {heard[T]:.3f} of the size of one")
assert heard["global"] < 0.05 < 0.5 < heard[2048] < heard[512]
PYTHON
