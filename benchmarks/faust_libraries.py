"""Every test program of the Faust libraries, in all three engines: `results/faust-libraries.json`.

The libraries that DawDreamer carries have a `#### Test` program for nearly every function. Each is made mono, fed with
noise where it needs an input, given a gain where it has no slider, and checked (`FaustSynth.check`) over a tenth of a
second; and once more with a number inside of it made a slider. One process each, with limits of time and memory; what
is in the file already is not run again.

    python benchmarks/faust_libraries.py [--jobs N] [--only WORD] [-o FILE]
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import os
import re
import resource
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from importlib import util
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

SECONDS, BYTES = 400, 12 << 30  # for one program, all engines and derivatives together
NUMBER = re.compile(r"(?<![\w.\"])(\d+\.?\d*(?:e-?\d+)?)(?![\w.\"])")


class Program(NamedTuple):
    """A test program: where it stands, its name, its text and the text of the numbers that may become a slider."""

    library: str
    name: str
    text: str

    @property
    def key(self) -> str:
        return f"{self.library}:{self.name}"


def suite() -> Iterator[Program]:
    """The test programs, in the order of the libraries."""
    spec = util.find_spec("dawdreamer")
    assert spec
    assert spec.origin
    folder = Path(spec.origin).parent / "faustlibraries"
    for path in sorted(folder.rglob("*.lib")):
        text = path.read_text(encoding="utf-8", errors="replace")
        for block in re.findall(r"#### Test\s*\n\s*(?://|\*)?\s*```\w*\s*\n(.*?)```", text, re.DOTALL):
            lines = (re.sub(r"^\s*(?://+|\*)\s?", "", line) for line in block.split("\n"))
            body = "\n".join(lines)
            for name in dict.fromkeys(re.findall(r"^(\w+_test\w*)\s*=", body, re.MULTILINE)):
                yield Program(path.relative_to(folder).as_posix(), name, body)


def whole(program: Program, gain: bool) -> str:
    """A program of no input, one output and at least one slider."""
    name = program.name
    after = '* (hslider("gain", 0.5, 0, 1, 0.01))' if gain else "_"
    return (
        f'{program.text}\nnoises__ = library("noises.lib");\n'
        f"process = par(i__, inputs({name}), 0.5 * noises__.noises(max(1, inputs({name})), i__)) : {name} :> {after};\n"
    )


def inner(program: Program) -> Iterator[Program]:
    """The program with one of its numbers a slider, from 0.8 to 1.25 of it, one number after the other."""
    start = re.search(rf"^{program.name}\s*=", program.text, re.MULTILINE)
    assert start
    for number in NUMBER.finditer(program.text, start.end()):
        if (value := float(number[1])) == 0:
            continue
        slider = f'hslider("inner", {value!r}, {0.8 * value!r}, {1.25 * value!r}, {value / 100!r})'
        yield program._replace(text=program.text[: number.start()] + f"({slider})" + program.text[number.end() :])


def synthesizer(program: Program, variant: str) -> Any:
    """The synth of a program; of the inner variant the first whose sound the slider moves."""
    from sonimatch.faust import FaustError, FaustSynth

    def made(one: Program, gain: bool) -> FaustSynth:
        return FaustSynth(name=program.name, source=whole(one, gain), num_samples=4410)

    if variant == "as it is":
        synth = made(program, gain=False)
        return synth if len(synth.space) else made(program, gain=True)
    for one in inner(program):
        try:
            synth = made(one, gain=False)
        except FaustError:
            continue
        if any(name.endswith("inner") for name in synth.space.names):
            return synth
    raise FaustError("no number of it can be a slider")


def brief(check: Any) -> dict[str, Any]:
    """What is kept of a check: numbers to three digits, and what is not there left out."""

    def short(value: Any) -> Any:
        if not isinstance(value, float):
            return value
        return float(f"{value:.2e}") if math.isfinite(value) else str(value)

    def kept(of: Any, *left_out: str) -> dict[str, Any]:
        return {k: short(v) for k, v in asdict(of).items() if k not in left_out and v not in (None, "", ())}

    return {
        "silent": bool(check.note),
        "engines": {engine.name: kept(engine, "name") for engine in check.engines},
        "parameters": {p.name: kept(p, "name", "advice") for p in check.parameters},
    }


def in_haste() -> None:
    """Save most of the work of wasmtime's Python side, which compares types four times for each number that a function
    returns: a table of 65,536 sines takes seconds."""
    from wasmtime import _ffi, _value

    convert = _value.Val._convert_to_raw.__func__

    def quick(cls: Any, store: Any, kind: Any, value: Any) -> Any:
        if type(value) is not float:
            return convert(cls, store, kind, value)
        raw = _ffi.wasmtime_val_t(kind=_ffi.WASMTIME_F64)  # every program here is in double precision
        raw.of.f64 = value
        return raw

    _value.Val._convert_to_raw = classmethod(quick)


def work(program: Program, variant: str, found: Any) -> None:
    """In a process of its own: check a program, and send what is found."""
    resource.setrlimit(resource.RLIMIT_AS, (BYTES, BYTES))
    os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "")
    from sonimatch.faust import FaustError

    try:
        row = brief(synthesizer(program, variant).check())
    except FaustError as error:
        row = {"error": str(error)}
    except MemoryError:
        row = {"error": f"more than {BYTES >> 30} GiB"}
    except Exception as error:  # what is no FaustError is a fault of ours, and is counted as one
        row = {"fault": f"{type(error).__name__}: {error}"[:500]}
    found.send(row)
    found.close()
    os._exit(0)


def run(program: Program, variant: str) -> dict[str, Any]:
    """What a process finds, or that it ended without a word or was stopped."""
    here, there = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(target=work, args=(program, variant, there))
    start = time.monotonic()
    process.start()
    there.close()
    try:
        row = here.recv() if here.poll(SECONDS) else {"error": f"not done in {SECONDS} s"}
    except EOFError:
        process.join()
        row = {"error": f"the process ended with status {process.exitcode}"}
    process.kill()
    process.join()
    row["seconds"] = round(time.monotonic() - start, 2)
    return {"library": program.library, "function": program.name.removesuffix("_test"), "variant": variant} | row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--only", default="", help="programs whose library:name contains this")
    parser.add_argument("-o", "--output", type=Path, default=Path("results/faust-libraries.json"))
    args = parser.parse_args()
    # What differs between programs is compiled anew each time; what does not, once.
    cache = TemporaryDirectory()
    os.environ |= {"JAX_COMPILATION_CACHE_DIR": cache.name, "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
    os.environ |= {"JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1"}
    # Before the first fork, so that each process finds them there; no backend of JAX is started yet.
    import wasmtime  # noqa: F401

    import sonimatch.faust.check  # noqa: F401

    in_haste()
    rows = json.loads(args.output.read_text()) if args.output.exists() else []
    done = {(row["library"], row["function"], row["variant"]) for row in rows}
    todo = [
        (program, variant)
        for program in suite()
        for variant in ("as it is", "inner")
        if args.only in program.key and (program.library, program.name.removesuffix("_test"), variant) not in done
    ]
    with ThreadPoolExecutor(args.jobs) as pool:
        for count, row in enumerate(pool.map(lambda pair: run(*pair), todo), 1):
            rows.append(row)
            worth = row.get("error") or row.get("fault") or "checked"
            told = f"{row['library']} {row['function']} {row['variant']}: {worth} ({row['seconds']} s)"
            print(f"{count}/{len(todo)} {told}", flush=True)
            new = args.output.with_suffix(".new")
            new.write_text("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n")
            new.replace(args.output)


if __name__ == "__main__":
    main()
