"""Time scattering beside kymatio 0.3.0's JAX front end: `python benchmarks/scattering.py`.

Value and gradient of the mean absolute difference, one second at 44.1 kHz, one sound; the two run in turn, so
that a busy machine slows both.
"""

import time

from sonimatch.scattering import TimeScattering  # first: importing sonimatch sets XLA's option

import jax  # isort: skip
import jax.numpy as jnp  # isort: skip
import numpy as np  # isort: skip
from kymatio.scattering1d.frontend.jax_frontend import ScatteringJax1D  # isort: skip

SAMPLES, ROUNDS = 44100, 50


def value_and_grad(transform):
    return jax.jit(jax.value_and_grad(lambda x, target: jnp.abs(transform(x) - target).mean()))


def seconds(f, *args):
    start = time.perf_counter()
    jax.block_until_ready(f(*args))
    return time.perf_counter() - start


print("| J, Q | transform | first call (s) | best (ms) | median (ms) | median / kymatio's |")
print("|---|---|---|---|---|---|")
x, y = jnp.asarray(np.random.default_rng(0).normal(size=(2, SAMPLES)), jnp.float32)
for J, Q in ((6, 1), (10, 2)):
    transforms = {"kymatio 0.3.0": ScatteringJax1D(J, SAMPLES, Q), "sonimatch": TimeScattering(J, Q)}
    target = transforms["sonimatch"](y)
    functions = {name: value_and_grad(transform) for name, transform in transforms.items()}
    first = {name: seconds(f, x, target) for name, f in functions.items()}
    times = np.array([[seconds(f, x, target) for f in functions.values()] for _ in range(ROUNDS)]) * 1e3
    medians = np.median(times, 0)
    for i, name in enumerate(functions):
        cells = f"{first[name]:.1f} | {times[:, i].min():.1f} | {medians[i]:.1f} | {medians[i] / medians[0]:.2f}"
        print(f"| {J}, {Q} | {name} | {cells} |")
