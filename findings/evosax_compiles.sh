#!/usr/bin/env bash
# Title: An equal strategy is compiled anew
# Package: evosax 0.3.2
# Guess: `ask` and `tell` are compiled in the first generation, and an equal strategy made later uses what is compiled.
# Seen: both are compiled again in the second generation, and all of it for every object, though its settings are the same.
# For us: one strategy is kept for all searches of a kind, and its first state gets the types of the next ones.
set -euo pipefail
here=$(mktemp -d); trap 'rm -rf "$here"' EXIT
python3 -m venv "$here"
"$here/bin/pip" install --quiet --no-compile --disable-pip-version-check evosax==0.3.2 jax==0.10.2 numpy==2.4.6
JAX_PLATFORMS=cpu "$here/bin/python" -W ignore - <<'PYTHON'
from importlib import metadata

import jax
import jax.numpy as jnp
from evosax.algorithms import CMA_ES

compiled = []

def listen(event, seconds, **_):
    if event.endswith("backend_compile_duration"):
        compiled.append(event)

def generations(strategy):
    """How much is compiled in each of three generations."""
    params, counts = strategy.default_params, []
    state = strategy.init(jax.random.key(0), jnp.full(2, 0.5), params)
    for number in range(3):
        before = len(compiled)
        points, state = strategy.ask(jax.random.key(number), state, params)
        state, _ = strategy.tell(jax.random.key(number), points, (points**2).sum(1), state, params)
        counts.append(len(compiled) - before)
    return counts

jax.monitoring.register_event_duration_secs_listener(listen)
one, other = (CMA_ES(population_size=6, solution=jnp.zeros(2)) for _ in range(2))
print(f"evosax {metadata.version('evosax')}, JAX {jax.__version__}: compiled in each of three generations")
for name, strategy in {"an object": one, "the same again": one, "an equal one": other}.items():
    print(f"{name}: {(counts := generations(strategy))}")
    assert counts[2] == 0 and (counts[1] > 0) == (name != "the same again")
PYTHON
