"""Soft-DTW of two series of 441 frames, value and gradient: ours against OTT-JAX, interleaved in one process.

Run `python benchmarks/soft_dtw.py`; prints compile seconds, then the median and the fastest milliseconds of 50 calls.
Importing sonimatch sets the XLA option for small loops, for both, before JAX starts its backend.
"""

import time

import jax
import numpy as np
from ott.geometry.costs import SoftDTW

from sonimatch.losses import DTW_Envelope

a, b = jax.numpy.asarray(np.random.default_rng(0).normal(size=(2, 441)), "float32")
candidates = {"ours": DTW_Envelope().distance, "ott": SoftDTW(1.0)}
compiled, seconds = {}, {name: [] for name in candidates}
for name, distance in candidates.items():
    start = time.perf_counter()
    compiled[name] = jax.jit(jax.value_and_grad(distance, 1)).lower(a, b).compile()
    print(f"{name}: {time.perf_counter() - start:.1f} s to compile")
for _ in range(50):
    for name, function in compiled.items():
        start = time.perf_counter()
        jax.block_until_ready(function(a, b))
        seconds[name].append(time.perf_counter() - start)
for name, values in seconds.items():
    print(f"{name}: median {1e3 * np.median(values):.1f} ms, fastest {1e3 * min(values):.1f} ms")
