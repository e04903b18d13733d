#!/usr/bin/env bash
# Title: A clip that turns a huge gradient into none
# Package: optax 0.2.8, jax 0.10.2
# Guess: `clip_by_global_norm(1.0)` hands on a finite gradient with norm 1, however large it was.
# Seen: in float32, from a norm of 1.8e19, its square overflows and the gradient becomes exactly zero. A search
#   that rests at zero gradient ends there, and RMSProp alone does the same, as its own square overflows.
# For us: recursions reach such slopes; `Descent` scales by the largest entry before it takes the norm.
# Test: tests/test_findings.py::test_a_huge_gradient_is_clipped_not_lost
set -euo pipefail
here=$(mktemp -d); trap 'rm -rf "$here"' EXIT
python3 -m venv "$here"
"$here/bin/pip" install --quiet --no-compile --disable-pip-version-check \
    optax==0.2.8 jax==0.10.2 jaxlib==0.10.2 numpy==2.4.6
"$here/bin/python" - <<'PYTHON'
import jax, jax.numpy as jnp, numpy as np, optax

print(f"optax {optax.__version__}, jax {jax.__version__}")
clip, rule = optax.clip_by_global_norm(1.0), optax.rmsprop(0.045)
for size, expected in [(1e18, 0.5**0.5), (2e19, 0.0), (1e30, 0.0)]:
    gradient = jnp.array([size, -size], jnp.float32)
    assert jnp.isfinite(gradient).all()
    clipped, _ = clip.update(gradient, clip.init(gradient))
    moved, _ = rule.update(gradient, rule.init(gradient))
    print(f"gradient {size:g}: clipped to {clipped}, RMSProp alone moves by {moved}")
    assert np.allclose(clipped, [expected, -expected])
    assert (np.abs(moved) > 0).all() == (size < 1e19)
PYTHON
