"""The drum beside the sum of its 64 modes in NumPy, one core each: `taskset -c 0 python benchmarks/drum.py`.

Three seconds at 22.05 kHz, the two in turn, so that a busy machine slows both; then how far the float32 sound is from
that sum in float64, over random settings, and how far the Faust program of the drum.
"""

import os

os.environ["NPROC"] = "1"  # read when JAX starts

import time

import jax
import jax.numpy as jnp
import numpy as np

from sonimatch import drum

ROUNDS, SETTINGS = 20, 200


def plain(modes):
    """The sum over modes that sound, in float64."""
    seconds, y = np.arange(drum.num_samples) / drum.sample_rate, np.zeros(drum.num_samples)
    for omega, sigma, amplitude in zip(*map(np.ravel, modes), strict=True):
        y += amplitude * np.exp(-sigma * seconds) * np.sin(omega * seconds)
    return y / np.abs(y).max()


def seconds(call):
    start = time.perf_counter()
    jax.block_until_ready(call())
    return time.perf_counter() - start


theta = drum.space.theta({})
modes = drum.modes(theta)
both = jax.jit(lambda theta: (drum(theta), jax.jacfwd(drum)(theta)))
calls = {"NumPy": lambda: plain(modes), "sonimatch": lambda: drum(theta), "and 5 derivatives": lambda: both(theta)}
first = [seconds(call) for call in calls.values()]
times = np.median([[seconds(call) for call in calls.values()] for _ in range(ROUNDS)], axis=0) * 1e3
print("| | first call (s) | median (ms) | times faster |\n|---|---|---|---|")
for name, before, median in zip(calls, first, times, strict=True):
    print(f"| {name} | {before:.1f} | {median:.1f} | {times[0] / median:.1f} |")

error, program, level = [], [], []
for theta in np.asarray(drum.space.sample(jax.random.key(0), SETTINGS)):
    exact = plain(drum.modes(theta))
    native = drum.render_native(theta)
    level.append(np.abs(native).max())
    error.append(np.linalg.norm(np.asarray(drum(jnp.asarray(theta))) - exact) / np.linalg.norm(exact))
    program.append(np.abs(native / level[-1] - exact).max())
print(f"relative L2 error in float32, {SETTINGS} settings: median {np.median(error):.1e}, largest {max(error):.1e}")
print(f"the Faust program: {max(program):.1e} of the peak; its own peak is {min(level):.2f} to {max(level):.2f}")
