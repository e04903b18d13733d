"""The published way beside ours, synth by synth and loss by loss: `python benchmarks/study.py [--steps 20]`.

The published way is one trial in a process of its own: the transpiled program as it comes, scanned over the samples
with all coefficients in the loop, frames cut by a convolution with an identity kernel, kymatio's scattering, OTT's
soft-DTW, reverse mode through everything, no XLA option, all cores. Ours is a worker of the study: one core, and as
many of them as there are cores. Both run the preset RELEASED, first one, then the other, pair by pair; peak memory is
that of the process. `--pairs bp_noise:L1_Spec,...` runs some of them.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from types import SimpleNamespace

TRIALS, STEPS = 4800, 200


def published_objective(synth, loss):
    """The loss as a function of the coordinates in [-1, 1], built from the parts that the released code uses."""
    import jax
    import jax.numpy as jnp
    import numpy as np
    from kymatio.scattering1d.frontend.jax_frontend import ScatteringJax1D
    from ott.geometry.costs import SoftDTW

    from sonimatch.faust.compiler import generate

    class Module:  # what the generated class inherits from: it takes slider values as they are
        def __init__(self, sample_rate):
            self.sample_rate = sample_rate

        def add_slider(self, *_): ...

    code = generate(synth.name, synth.source, "jax", synth.precision)
    names = {"jax": jax, "jnp": jnp, "np": np, "json": json}
    names["nn"] = SimpleNamespace(Module=Module, compact=lambda method: method)
    names["dataclasses"] = SimpleNamespace(field=lambda **_: None)
    exec(code[code.index("def remainder") :], names)
    dsp, n = names["Dsp"](synth.sample_rate), synth.num_samples
    sliders, items = [], list(dsp.getJSON()["ui"])
    while items:
        items[:0] = (item := items.pop(0)).get("items", [])
        sliders += [item["varname"]] if item["type"] in ("hslider", "vslider", "nentry") else []

    def render(nu):
        state = dsp.initialize(None, n)
        dsp.build_interface(state, None, n)
        state |= dict(zip(sliders, synth.space.to_physical((nu + 1) / 2), strict=True))
        state = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.int32 if isinstance(leaf, int) else None), state)

        def tick(carry, x):
            after, output = dsp.tick(dict(carry), x)
            return jax.tree.map(lambda new, old: jnp.asarray(new, old.dtype), after, carry), output[0]

        return jax.lax.scan(tick, state, jnp.zeros((n, 0)))[1]

    window = np.hanning(600)

    def spectrogram(audio):
        padded = jnp.pad(audio, 256, mode="reflect")[None, None]
        frames = jax.lax.conv_general_dilated(padded, jnp.eye(600, dtype=audio.dtype)[:, None], (100,), "VALID")[0].T
        return jnp.abs(jnp.fft.fft(frames * window.astype(np.float32), 512)[:, :257]) / np.linalg.norm(window)

    kernel = np.exp(-0.5 * (np.arange(-10, 11) / 3) ** 2)
    features = {
        "L1_Spec": spectrogram,
        "SIMSE_Spec": lambda audio: jnp.clip(spectrogram(audio), 0, 1),
        "DTW_Envelope": lambda audio: jnp.convolve(spectrogram(audio).sum(1), kernel / kernel.sum(), mode="same"),
    }
    feature = features[loss.name] if loss.name in features else ScatteringJax1D(loss.J, n, loss.Q)

    def distance(a, b):
        if loss.name == "DTW_Envelope":
            return SoftDTW(loss.gamma)(a, b)
        if loss.name == "SIMSE_Spec":
            return ((a - (a * b).sum() / (b * b).sum() * b) ** 2).mean()
        return jnp.abs(a - b).mean()

    return render, lambda target, nu: distance(feature(target), feature(render(nu)))


def published(synth, loss, steps):
    import jax
    import jax.numpy as jnp
    import optax

    render, objective = published_objective(synth, loss)
    start, truth = jnp.array([0.4, -0.4]), jnp.array([-0.4, 0.2])
    target, draw = jax.jit(render)(truth), jax.jit(render)
    rule = optax.chain(optax.clip_by_global_norm(1.0), optax.rmsprop(0.045))
    value_and_grad = jax.jit(jax.value_and_grad(objective, 1))

    def step(nu, memory):
        value, gradient = value_and_grad(target, nu)
        move, memory = rule.update(gradient, memory)
        nu = nu + move
        jax.block_until_ready((value, draw(nu)))  # the released code renders the sound of every step
        return nu, memory

    begin = time.perf_counter()
    nu, memory = step(start, rule.init(start))
    first = time.perf_counter() - begin
    begin = time.perf_counter()
    for _ in range(steps):
        nu, memory = step(nu, memory)
    return first, (time.perf_counter() - begin) / steps, 0.0


def ours(synth, loss, steps):
    import jax
    import jax.numpy as jnp

    from sonimatch.match import match_all
    from sonimatch.search import RMSProp
    from sonimatch.study import RELEASED
    from sonimatch.study.run import _score
    from sonimatch.types import Problem

    start, truth = jnp.array([[0.7, 0.3]]), jnp.array([[0.3, 0.6]])
    problem = Problem(jax.vmap(synth)(truth), truth, start, jax.random.split(jax.random.key(0), 1))

    def search():
        return jax.block_until_ready(match_all(synth, loss, problem, RMSProp(), steps).theta_best)

    times = []
    for job in (search, search, lambda: _score(synth, RELEASED.score, problem.target[0], start[0]).block_until_ready()):
        begin = time.perf_counter()
        job()
        times.append(time.perf_counter() - begin)
    first, again, _ = times
    begin = time.perf_counter()
    _score(synth, RELEASED.score, problem.target[0], truth[0]).block_until_ready()
    return first - again, again / (steps + 1), time.perf_counter() - begin


def measure(way, pair, steps):
    """One pair in a process of its own: seconds to compile, per step and per score, and peak memory in MiB."""
    environment = os.environ | {"XLA_FLAGS": "", "NPROC": "1"}
    if way == "published":
        environment |= {"XLA_FLAGS": "--xla_backend_extra_options=xla_cpu_small_while_loop_byte_threshold=1"}
        del environment["NPROC"]
    command = [sys.executable, __file__, "--one", way, "--pairs", pair, "--steps", str(steps)]
    return json.loads(subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--pairs")
    parser.add_argument("--one", choices=("published", "ours"), help=argparse.SUPPRESS)
    args = parser.parse_args()

    import sonimatch  # noqa: F401 (sets XLA's option before JAX starts)
    from sonimatch.study import RELEASED

    pairs = {f"{synth.name}:{loss.name}": (synth, loss) for synth, loss in RELEASED.pairs}
    if args.one:
        synth, loss = pairs[args.pairs]
        figures = {"published": published, "ours": ours}[args.one](synth, loss, args.steps)
        print(json.dumps([*figures, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]))
        return

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    hours = {"published": 0.0, "ours": 0.0}
    print("| synth | loss | published (ms per step) | ours (ms per step) | ratio | ours per trial-step, all cores (ms) "
          "| memory published, ours (MiB) |\n| --- | --- | ---: | ---: | ---: | ---: | ---: |")  # fmt: skip
    chosen = args.pairs.split(",") if args.pairs else list(pairs)
    for pair in chosen:
        _, theirs, _, their_memory = measure("published", pair, args.steps)
        _, mine, score, memory = measure("ours", pair, args.steps)
        trials = TRIALS / len(pairs)
        hours["published"] += trials * STEPS * theirs / 3600
        hours["ours"] += trials * (STEPS * mine + score) / 3600 / cores
        cells = f"{1e3 * theirs:.1f} | {1e3 * mine:.1f} | {theirs / mine:.1f} | {1e3 * mine / cores:.1f}"
        print(f"| {pair.replace(':', ' | ')} | {cells} | {their_memory:.0f}, {memory:.0f} |", flush=True)
    print(f"\nThe {len(chosen)} pairs in full, {TRIALS // len(pairs)} trials of {STEPS} steps each: published "
          f"{hours['published']:.1f} h and the time to start and compile {TRIALS // len(pairs)} processes a pair; "
          f"ours {hours['ours']:.2f} h on {cores} cores, scores included.")  # fmt: skip


if __name__ == "__main__":
    main()
