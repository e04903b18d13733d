"""What the engine of Faust programs costs, beside another build of this package and beside faustax.

`python benchmarks/faust.py [--old PYTHON] [--faustax PYTHON] [--only WORD]` prints a Markdown table: for every reverb
and every delay of the Faust libraries and for the modal piano that faustax carries, seconds to compile the sound and
the sound with its derivatives, and microseconds for a sample of either, on one core. `--old` is the interpreter of
another checkout's environment, `--faustax` one that has faustax 0.0.1, which gets the XLA option of this package; they
take turns, one process for each program.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import time
from typing import Any

SAMPLES, REPEATS, LIMIT_SECONDS = 4410, 3, 300
LIBRARIES = ("reverbs.lib:", "delays.lib:", "hoa.lib:fxDecorrelation", "demos.lib:freeverb", "demos.lib:zita")


def measured(sound: Any, start: Any) -> dict[str, float]:
    """Seconds to compile, and microseconds a sample, of a jitted function of `start`."""
    import jax

    times = []
    for _ in range(REPEATS + 1):
        begin = time.perf_counter()
        jax.block_until_ready(sound(start))
        times.append(time.perf_counter() - begin)
    return {"compile": times[0] - min(times[1:]), "sample": min(times[1:]) / SAMPLES * 1e6}


def one(source: str) -> None:
    """In a process of its own: a program by whichever build of this package is installed."""
    import jax
    import jax.numpy as jnp

    from sonimatch.faust import FaustSynth

    synth = FaustSynth(name="one", source=source, num_samples=SAMPLES)
    start = jnp.full(len(synth.space), 0.4)
    both = jax.jit(lambda theta: (synth(theta), jax.jacfwd(synth)(theta)))
    print(json.dumps([measured(f, start) for f in (jax.jit(synth), both)]))


def one_of_faustax() -> None:
    """In a process of its own: the modal piano of faustax, in single precision, as it computes."""
    import jax
    import jax.numpy as jnp
    from faustax.modules import ModalPiano  # pyright: ignore[reportMissingImports]
    from faustax.synth import FaustSynthesizer  # pyright: ignore[reportMissingImports]

    piano = FaustSynthesizer(ModalPiano(sample_rate=44_100))
    silence = jnp.zeros((1, 0, SAMPLES))
    sound = lambda theta: piano.render_from_flat(theta[None], silence)[0, 0]  # noqa: E731
    start = jnp.full(piano.total_param_dim, 0.4)
    both = jax.jit(lambda theta: (sound(theta), jax.jacfwd(sound)(theta)))
    print(json.dumps([measured(f, start) for f in (jax.jit(sound), both)]))


def run(python: str, *words: str, text: str = "") -> list[dict[str, float]] | str:
    """What a process on one core prints, or why it prints nothing."""
    import sonimatch  # noqa: F401 (its option for XLA counts for all)

    core = min(os.sched_getaffinity(0))
    try:
        done = subprocess.run(
            [python, "-W", "ignore", os.path.abspath(__file__), *words],
            input=text, capture_output=True, text=True, timeout=LIMIT_SECONDS, cwd="/",
            preexec_fn=lambda: os.sched_setaffinity(0, {core}),
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return f"not done in {LIMIT_SECONDS} s"
    if done.returncode == 0:
        return json.loads(done.stdout.splitlines()[-1])
    return (re.findall(r"^(?:\w+\.)*(\w+Error)\b", done.stderr, re.MULTILINE) or ["ended"])[-1]


def cells(found: list[dict[str, float]] | str) -> str:
    if isinstance(found, str):
        return f"{found} | | |"
    (sound, both) = found
    return f"{sound['compile']:.1f} | {both['compile']:.1f} | {sound['sample']:.2f} | {both['sample']:.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--old", help="the Python of another checkout's environment")
    parser.add_argument("--faustax", help="a Python that has faustax")
    parser.add_argument("--only", default="", help="programs whose name contains this")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--one-of-faustax", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        return one(sys.stdin.read())
    if args.one_of_faustax:
        return one_of_faustax()

    from faust_libraries import suite, whole

    programs = {p.key.removesuffix("_test"): whole(p, gain=True) for p in suite() if p.key.startswith(LIBRARIES)}
    programs["faustax: modal_piano"] = (
        "" if not args.faustax else subprocess.run(
            [args.faustax, "-c", "import faustax, pathlib;"
             "print((pathlib.Path(faustax.__file__).parent / 'dsp/modal_piano.dsp').read_text())"],
            capture_output=True, text=True, check=True,
        ).stdout
    )  # fmt: skip
    pythons = {"ours": sys.executable} | ({"old": os.path.abspath(args.old)} if args.old else {})
    heads = "compile (s) | with derivatives (s) | sound (µs) | with derivatives (µs)"
    print(f"| program | by | {heads} |\n| --- | --- | ---: | ---: | ---: | ---: |")
    for name, source in programs.items():
        if args.only not in name or not source:
            continue
        for by, python in pythons.items():
            print(f"| {name} | {by} | {cells(run(python, '--one', text=source))} |", flush=True)
        if name.startswith("faustax"):
            print(f"| {name} | faustax | {cells(run(args.faustax, '--one-of-faustax'))} |", flush=True)


if __name__ == "__main__":
    main()
