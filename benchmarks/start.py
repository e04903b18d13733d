"""Processor time of what needs no numbers: an import of the package, help, a version, wrong words.

`python benchmarks/start.py [PYTHON]` prints a Markdown table: milliseconds (user and system) of a whole process, the
lowest of three, by this interpreter and by PYTHON, that of another checkout's environment; they take turns.
"""

import os
import resource
import subprocess
import sys

REPEATS = 3
CODE = {
    "import sonimatch": ["-c", "import sonimatch"],
    "sonimatch --help": ["-m", "sonimatch", "--help"],
    "sonimatch --version": ["-m", "sonimatch", "--version"],
    "sonimatch rendr": ["-m", "sonimatch", "rendr"],
    "sonimatch list --step5": ["-m", "sonimatch", "list", "--step5"],
    "sonimatch render bp_niose -o x.wav": ["-m", "sonimatch", "render", "bp_niose", "-o", "x.wav"],
}


def milliseconds(python: str, words: list[str]) -> float:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([python, *words], env=environment, capture_output=True, cwd="/")  # no checkout: what is installed
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return 1e3 * (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def main() -> None:
    pythons = [sys.executable, *map(os.path.abspath, sys.argv[1:2])]
    print(f"Python {sys.version.split()[0]}\n")
    print("| | ours (ms) | the other (ms) | ratio |\n| --- | ---: | ---: | ---: |")
    for name, words in CODE.items():
        turns = [[milliseconds(python, words) for python in pythons] for _ in range(REPEATS + 1)][1:]  # the first warms
        ours, *other = (min(turn[i] for turn in turns) for i in range(len(pythons)))
        figures = f"{other[0]:.0f} | {other[0] / ours:.1f}" if other else "| "
        print(f"| `{name}` | {ours:.0f} | {figures} |", flush=True)


if __name__ == "__main__":
    main()
