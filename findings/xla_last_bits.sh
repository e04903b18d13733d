#!/usr/bin/env bash
# Title: One program, one seed, other bits
# Package: jax 0.10.2
# Guess: sines, products and sums of single floats, no reduction among them, have the same bits on every x86 processor.
# Seen: compiled for SSE4.2 and for AVX2 (the same machine, `--xla_cpu_max_isa`) a fused product and sum rounds
#   otherwise in the last bit; a chaotic recursion turns that bit into another sequence within a few dozen steps.
# For us: no page and no test may follow a search bit for bit; `XLA_FLAGS` lets one machine stand for several.
set -euo pipefail
here=$(mktemp -d); trap 'rm -rf "$here"' EXIT
python3 -m venv "$here"
"$here/bin/pip" install --quiet --no-compile --disable-pip-version-check jax==0.10.2 jaxlib==0.10.2 numpy==2.4.6
for isa in SSE4_2 AVX2; do
    XLA_FLAGS=--xla_cpu_max_isa=$isa "$here/bin/python" - "$here/$isa.npz" <<'PYTHON'
import sys

import jax, jax.numpy as jnp, numpy as np

x = jnp.asarray(np.linspace(0, 1, 10_001, dtype=np.float32))
chaos = jax.jit(lambda x: jax.lax.fori_loop(0, 60, lambda _, x: 3.9 * x * (1 - x) + 1e-3 * jnp.sin(x), x))
np.savez(sys.argv[1], once=jax.jit(lambda x: jnp.sin(x) * 1.7 + 0.3 * x)(x), chaos=chaos(x))
PYTHON
done
"$here/bin/python" - "$here/SSE4_2.npz" "$here/AVX2.npz" <<'PYTHON'
import sys

import jax, numpy as np

one, other = map(np.load, sys.argv[1:])
print(f"jax {jax.__version__}")
gap = {name: np.abs(one[name] - other[name]) for name in ("once", "chaos")}
print(f"once: {np.mean(gap['once'] > 0):.1%} of the values differ, by up to {gap['once'].max():.1e}")
print(f"60 steps of a chaotic map: by up to {gap['chaos'].max():.2f}")
assert 0 < gap["once"].max() < 1e-6
assert gap["chaos"].max() > 0.1
PYTHON
