#!/usr/bin/env bash
# Title: The seed that is no seed
# Package: cma 4.5.0
# Guess: `{"seed": 0}` starts the same search each time, and leaves NumPy's global generator alone.
# Seen: 0 stands for the clock, so that two runs differ; and any other seed seeds NumPy's global generator too.
# For us: searches take a JAX key; a comparison with this package must not count seeds from 0.
set -euo pipefail
here=$(mktemp -d); trap 'rm -rf "$here"' EXIT
python3 -m venv "$here"
"$here/bin/pip" install --quiet --no-compile --disable-pip-version-check cma==4.5.0 numpy==2.4.6
"$here/bin/python" -W ignore - <<'PYTHON'
import cma, numpy as np

def first(seed):
    return cma.CMAEvolutionStrategy([0.5, 0.5], 0.3, {"seed": seed, "verbose": -9}).ask()[0]

print(f"cma {cma.__version__}")
for seed in (1, 0):
    print(f"seed {seed}: two first points {first(seed)} {first(seed)}")
assert (first(1) == first(1)).all()
assert (first(0) != first(0)).any()
first(5)
after_five = np.random.rand()
first(5)
print("numpy.random after seed 5, twice:", after_five, again := np.random.rand())
assert after_five == again
PYTHON
