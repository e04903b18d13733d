#!/usr/bin/env bash
# Title: An import that asks for spherical harmonics to scatter a sound
# Package: kymatio 0.3.0, scipy 1.17.1, jax 0.10.2
# Guess: `import kymatio.jax` needs of SciPy what one-dimensional scattering needs, or nothing.
# Seen: it fails with ImportError, as it reads `sph_harm`, which SciPy 1.17 has removed; the one-dimensional
#   front end, imported by its long name, works.
# For us: the scattering here is our own; kymatio is imported by the long name, in tests only.
# Test: tests/test_scattering.py::test_kymatio
set -euo pipefail
here=$(mktemp -d); trap 'rm -rf "$here"' EXIT
python3 -m venv "$here"
"$here/bin/pip" install --quiet --no-compile --disable-pip-version-check kymatio==0.3.0 numpy==2.4.6 scipy==1.17.1 \
    jax==0.10.2 jaxlib==0.10.2
"$here/bin/python" - <<'PYTHON'
import jax
import numpy as np
import scipy

print(f"scipy {scipy.__version__}, jax {jax.__version__}")
try:
    import kymatio.jax
except ImportError as error:
    message = str(error).split(" (")[0]
else:
    raise SystemExit("kymatio.jax is imported")
print("import kymatio.jax:", message)
assert "sph_harm" in message

from kymatio.scattering1d.frontend.jax_frontend import ScatteringJax1D

paths = ScatteringJax1D(J=4, shape=4096, Q=1)(np.ones(4096, np.float32))
print("ScatteringJax1D:", paths.shape)
assert np.isfinite(paths).all()
PYTHON
