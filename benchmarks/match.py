"""Seconds for one match, after compilation, and for the compilation itself: 200 steps of RMSProp and a race.

`python benchmarks/match.py` prints a Markdown table; the numbers of record are in README.md. The race is the
default, 160 evaluations under `Marginals`; "slower" is the time of a search over that of the race on the same
synthesizer.
"""

import time

import jax
import jax.numpy as jnp

import sonimatch

STEPS, REPEATS = 200, 3
START, TRUTH = jnp.array([0.7, 0.3]), jnp.array([0.3, 0.6])


def seconds(synth: sonimatch.FaustSynth, loss: sonimatch.Loss, *search: sonimatch.Search) -> float:
    """Of one match by `search`, or by the default with its evaluations."""
    begin = time.perf_counter()
    steps = STEPS if search else None
    found = sonimatch.match(synth, loss, synth(TRUTH), *search, steps=steps, init=START, progress=False)
    jax.block_until_ready(found)
    return time.perf_counter() - begin


def main() -> None:
    print(f"JAX {jax.__version__}, {jax.devices()[0].device_kind}, {STEPS} steps, best of {REPEATS}\n")
    print("| synth | search | first call (s) | then (s) | per evaluation (ms) | slower |")
    print("| --- | --- | ---: | ---: | ---: | ---: |")
    for synth in sonimatch.SYNTHS[:4]:
        race = None
        walks = [(loss, sonimatch.RMSProp()) for loss in sonimatch.PAPER_LOSSES]
        for loss, *search in ((sonimatch.Marginals(),), *walks):
            first = seconds(synth, loss, *search)
            best = min(seconds(synth, loss, *search) for _ in range(REPEATS))
            race = race or best
            name = f"{search[0].name if search else 'Race'}, {loss.name}"
            each = 1e3 * best / ((STEPS + 1) * 3 if search else 160)
            print(f"| {synth.name} | {name} | {first:.2f} | {best:.2f} | {each:.2f} | {best / race:.1f} |", flush=True)


if __name__ == "__main__":
    main()
