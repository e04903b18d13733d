#!/usr/bin/env bash
# Title: Time scattering whose weights depend on how much it decimates
# Package: kymatio 0.3.0
# Guess: `oversampling` gives the same paths at more points in time.
# Seen: decimated paths come out divided by powers of two, up to 16 in the first order and 128 in the second.
# For us: the published study ran these weights; `Scattering` has the right ones, `released=True` has those of 0.3.0.
# Test: tests/test_scattering.py::test_kymatio
set -euo pipefail
here=$(mktemp -d); trap 'rm -rf "$here"' EXIT
python3 -m venv "$here"
"$here/bin/pip" install --quiet --no-compile --disable-pip-version-check kymatio==0.3.0 numpy==2.4.6 scipy==1.17.1
"$here/bin/python" - <<'PYTHON'
import kymatio
import numpy as np
from kymatio.scattering1d.frontend.numpy_frontend import ScatteringNumPy1D as Scattering

J = 6
sound = np.random.default_rng(0).standard_normal(2**15)
decimated = Scattering(J=J, shape=len(sound), Q=1)(sound)
full = Scattering(J=J, shape=len(sound), Q=1, oversampling=J)(sound)[:, :: 2**J]
ratio = np.median(full / decimated, axis=1)
order = Scattering(J=J, shape=len(sound), Q=1).meta()["order"]
print(f"kymatio {kymatio.__version__}")
print("full / decimated, order 1:", np.round(ratio[order == 1], 2))
print("full / decimated, order 2:", np.round(ratio[order == 2], 2))
assert np.allclose(ratio[order == 1], [1, 1, 1, 2, 4, 8, 16], rtol=0.05)
assert abs(ratio[order == 2].max() / 128 - 1) < 0.05
PYTHON
