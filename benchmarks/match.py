"""Seconds for one match of 200 steps, after compilation, and for the compilation itself.

`python benchmarks/match.py` prints a Markdown table; the numbers of record are in README.md.
"""

import time

import jax
import jax.numpy as jnp

import sonimatch

STEPS, REPEATS = 200, 3
START, TRUTH = jnp.array([0.7, 0.3]), jnp.array([0.3, 0.6])


def seconds(synth: sonimatch.FaustSynth, loss: sonimatch.Loss) -> float:
    begin = time.perf_counter()
    sonimatch.match(synth, loss, synth(TRUTH), steps=STEPS, init=START, progress=False)
    return time.perf_counter() - begin


def main() -> None:
    print(f"JAX {jax.__version__}, {jax.devices()[0].device_kind}, {STEPS} steps, best of {REPEATS}\n")
    print("| synth | loss | first call (s) | then (s) | per step (ms) |")
    print("| --- | --- | --- | --- | --- |")
    for synth in sonimatch.SYNTHS[:4]:
        for loss in sonimatch.PAPER_LOSSES:
            first = seconds(synth, loss)
            best = min(seconds(synth, loss) for _ in range(REPEATS))
            figures = f"{first:.2f} | {best:.2f} | {1e3 * best / (STEPS + 1):.1f}"
            print(f"| {synth.name} | {loss.name} | {figures} |", flush=True)


if __name__ == "__main__":
    main()
