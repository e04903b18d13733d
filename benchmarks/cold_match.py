"""A match from the shell: processor time of a whole process, from its start to the files that it writes.

`python benchmarks/cold_match.py [PYTHON [WORD ...]]` prints a Markdown table: seconds (user and system) and wall time
of `sonimatch match surf.wav --synth bp_noise`, by this interpreter with nothing compiled before and with what an
earlier process has kept, and by PYTHON, that of another checkout's environment, with these words more. They take turns;
the lowest of three.
"""

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPEATS = 3
SURF = Path(__file__).parents[1] / "notebooks" / "sounds" / "surf.wav"


def seconds(cache: str, python: str, *more: str) -> tuple[float, float]:
    """Processor and wall time of one match that keeps what it compiles in the folder `cache`."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("JAX_", "XLA_", "PYTHON"))}
    with tempfile.TemporaryDirectory() as folder:
        words = ["match", str(SURF), "--synth", "bp_noise", "--output", folder + "/out", *more]
        before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        subprocess.run([python, "-m", "sonimatch", *words], env=environment | {"XDG_CACHE_HOME": cache},
                       cwd=folder, capture_output=True, check=True)  # fmt: skip
        after, end = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, end - begin


def main() -> None:
    print("| | processor (s) | wall (s) |\n| --- | ---: | ---: |")
    with tempfile.TemporaryDirectory() as kept:
        seconds(kept, sys.executable)
        turns = []
        for _ in range(REPEATS):
            with tempfile.TemporaryDirectory() as empty:
                turn = [seconds(empty, sys.executable), seconds(kept, sys.executable)]
                turns.append(turn + ([seconds(empty, *sys.argv[1:])] if sys.argv[1:] else []))
    for i, name in enumerate(["ours, nothing compiled", "ours, what is kept", "the other"][: len(turns[0])]):
        processor, wall = (min(turn[i][k] for turn in turns) for k in range(2))
        print(f"| {name} | {processor:.1f} | {wall:.1f} |", flush=True)


if __name__ == "__main__":
    main()
