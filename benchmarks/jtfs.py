"""Joint scattering beside the PyTorch one of scrapl-loss 0.1.0, one core each.

`taskset -c 0 uv run --no-dev --with torch==2.13.0 --with scrapl-loss==0.1.0 python benchmarks/jtfs.py`

Value and gradient of the mean square of the coefficients, one sound, float32; the two run in turn, so that a busy
machine slows both. The peer is kymatio's full transform, which the package carries.
"""

import os
import resource
import sys
import time

os.environ["NPROC"] = "1"  # read when JAX starts

import jax
import jax.numpy as jnp
import numpy as np
import scrapl  # noqa: F401 (makes the kymatio that it carries importable)
import torch
from kymatio.scattering1d.frontend.torch_frontend import TimeFrequencyScatteringTorch

from sonimatch.scattering import JointScattering

ROUNDS = 5
CASES = {  # samples: J, Q, J_fr, T, F
    2**13: (8, (8, 1), 3, 2**11, 8),
    2**15: (13, (12, 1), 3, 2**13, 8),
    2**16: (13, (12, 1), 3, 2**13, 8),
}


def peer(J, Q, J_fr, T, F, samples, x):
    transform = TimeFrequencyScatteringTorch(J=J, J_fr=J_fr, Q=Q, shape=(samples,), T=T, F=F, format="joint")
    sound = torch.tensor(x, requires_grad=True)

    def call():
        sound.grad = None
        torch.mean(transform(sound) ** 2).backward()

    def forward():
        with torch.no_grad():
            return transform(sound).numpy()

    return call, forward


def ours(J, Q, J_fr, T, F, samples, x):
    transform, sound = JointScattering(J, Q, J_fr, 1, T, F), jnp.asarray(x)
    step = jax.jit(jax.value_and_grad(lambda x: jnp.mean(transform(x) ** 2)))
    return lambda: jax.block_until_ready(step(sound)), lambda: jax.block_until_ready(transform(sound))


def seconds(call):
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


torch.set_num_threads(1)
rng, chosen = np.random.default_rng(0), [int(word) for word in sys.argv[1:]] or CASES
print("| samples | what | peer (s) | ours (s) | times faster | our first call (s) | peak so far (GB) |")
print("|---|---|---|---|---|---|---|")
for samples in chosen:
    x = rng.normal(size=samples).astype(np.float32)
    made = [make(*CASES[samples], samples, x) for make in (peer, ours)]
    for i, what in enumerate(("value and gradient", "value")):
        first = [seconds(pair[i]) for pair in made]
        best = np.median([[seconds(pair[i]) for pair in made] for _ in range(ROUNDS)], axis=0)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        cells = f"{best[0]:.3f} | {best[1]:.3f} | {best[0] / best[1]:.1f} | {first[1]:.1f} | {peak:.1f}"
        print(f"| {samples:,} | {what} | {cells} |")
    theirs, mine = (np.asarray(pair[1]()) for pair in made)
    print(f"| {samples:,} | shapes {theirs.shape}, {mine.shape} | | | | | |", flush=True)
