#!/usr/bin/env bash
# Title: A reseeding that leaves the dice alone
# Package: flax 0.12.8, jax 0.10.2
# Guess: `nnx.reseed(model, dropout=7)` makes the dropout of a model begin again from 7, and raises where there is none.
# Seen: it looks for streams that carry the name. A model made with `Rngs(0)` has dropout layers that draw from the stream "default", and nothing changes, without a word; made with `Rngs(params=0, dropout=0)` it is reseeded.
# For us: training names both streams, for an epoch that is run again after a kill has to drop the same units.
set -euo pipefail
here=$(mktemp -d); trap 'rm -rf "$here"' EXIT
python3 -m venv "$here"
"$here/bin/pip" install --quiet --no-compile --disable-pip-version-check flax==0.12.8 jax==0.10.2
"$here/bin/python" -W ignore - <<'PYTHON'
from importlib import metadata

import jax.numpy as jnp
from flax import nnx

print(f"flax {metadata.version('flax')}, jax {metadata.version('jax')}")
same = {}
for told, rngs in {"Rngs(0)": nnx.Rngs(0), "Rngs(params=0, dropout=0)": nnx.Rngs(params=0, dropout=0)}.items():
    layer, x = nnx.Dropout(0.5, rngs=rngs), jnp.ones(64)
    drawn = []
    for _ in range(2):
        nnx.reseed(layer, dropout=7)
        drawn.append(layer(x))
    same[told] = bool((drawn[0] == drawn[1]).all())
    print(f"{told}: reseeded to 7 twice, the units that were dropped are the same: {same[told]}")
assert same == {"Rngs(0)": False, "Rngs(params=0, dropout=0)": True}
PYTHON
