"""Joint scattering beside the PyTorch one of scrapl-loss 0.1.0, one core each.

`taskset -c 0 uv run --no-dev --with torch==2.13.0 --with scrapl-loss==0.1.0 python benchmarks/jtfs.py`

Value and gradient of the mean square of the coefficients, one sound, float32; the two run in turn, so that a busy
machine slows both. The peer is kymatio's full transform, which the package carries.
"""

import os
import resource
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

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


def peak(make, samples):
    """The largest memory of a process that computes value and gradient once, in GB."""
    make(*CASES[samples], samples, sound(samples))[0]()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def sound(samples):
    return np.random.default_rng(0).normal(size=samples).astype(np.float32)


def main(chosen):
    print("| samples | what | peer (s) | ours (s) | times faster | our first call (s) | peak, peer (GB) | ours (GB) |")
    print("|---|---|---|---|---|---|---|---|")
    for samples in chosen:
        peaks = []
        for make in (peer, ours):
            with ProcessPoolExecutor(1, get_context("spawn")) as pool:
                peaks.append(pool.submit(peak, make, samples).result())
        made = [make(*CASES[samples], samples, sound(samples)) for make in (peer, ours)]
        for i, what in enumerate(("value and gradient", "value")):
            first = [seconds(pair[i]) for pair in made]
            best = np.median([[seconds(pair[i]) for pair in made] for _ in range(ROUNDS)], axis=0)
            cells = [f"{best[0]:.3f}", f"{best[1]:.3f}", f"{best[0] / best[1]:.1f}", f"{first[1]:.1f}"]
            cells += ["" if i else f"{each:.2f}" for each in peaks]
            print(f"| {samples:,} | {what} | {' | '.join(cells)} |", flush=True)
        theirs, mine = (np.asarray(pair[1]()) for pair in made)
        assert theirs.shape == mine.shape


torch.set_num_threads(1)
if __name__ == "__main__":
    main([int(word) for word in sys.argv[1:]] or CASES)
