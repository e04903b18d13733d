"""A program as a WebAssembly module, for a page."""

from __future__ import annotations

import json
import re
import struct
import time
from collections import Counter
from functools import lru_cache, partial
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
from jax.typing import ArrayLike

from sonimatch.faust.arithmetic import NUMBERS
from sonimatch.faust.compiler import FaustError, generate
from sonimatch.faust.native import leaves
from sonimatch.space import ParamSpace


class WasmProgram(NamedTuple):
    """A WebAssembly module and where its parameters live.

    `code` exports `memory`, `init(dsp, sample_rate)`, `setParamValue(dsp, index, value)` and
    `compute(dsp, count, inputs, outputs)`, with `dsp = 0` and numbers in the precision of the synth; tables of the
    rate are right if `instanceConstants(dsp, sample_rate)` was called before `init`.
    `indices[i]` is where parameter i of `space` lives; `blocks` are numbers of samples to be computed one after the
    other, each with the switches that are set before it, as pairs of an index and a value; `size` is the length of the
    state in bytes: free memory begins there.
    """

    code: bytes
    space: ParamSpace
    indices: tuple[int, ...]
    blocks: tuple[tuple[int, tuple[tuple[int, float], ...]], ...]
    size: int


# libfaust lets a module ask for these functions of C only; the others travel under their names.
_CARRIERS = {
    "float {}(float)": ("acosh", "asinh", "atanh", "cosh", "sinh", "tanh"),
    "float {}(float, float)": ("copysign",),
    "int {}(float)": ("isnan", "isinf"),
}
_REFUSED = {
    "float {}(float)": "cbrt erf erfc exp2 expm1 j0 j1 lgamma log1p log2 logb tgamma trunc y0 y1",
    "float {}(float, float)": "hypot jn ldexp scalbn yn",
    "int {}(float)": "ilogb",
}
_LIBRARIES = Path(str(import_module("dawdreamer").__file__)).parent / "faustlibraries"


def _carried(name: str, calls: frozenset[str]) -> dict[str, tuple[str, str]]:
    """For each function of `calls` that libfaust refuses, the signature and the name under which it travels."""
    short = {call if call == "erf" else call.removesuffix("f") for call in calls}
    found = {}
    for signature, refused in _REFUSED.items():
        free = [carrier for carrier in _CARRIERS[signature] if carrier not in short]
        wanted = sorted(short & set(refused.split()), key=lambda each: (-len(each), each))
        if len(wanted) > len(free) or any(len(w) > 1 + len(c) for w, c in zip(wanted, free, strict=False)):
            raise FaustError(f"{name}: a page can be given {len(free)} of the functions {', '.join(wanted)} at once")
        found |= {each: (signature, carrier) for each, carrier in zip(wanted, free, strict=False)}
    return found


def _code(name: str, source: str, precision: str, calls: frozenset[str]) -> bytes:
    if not (carried := _carried(name, calls)):
        return generate(name, source, "wasm", precision)

    def redeclared(text: str) -> str:
        for function, (signature, carrier) in carried.items():
            declaration = rf"\bffunction\s*\(\s*\w+\s+[\w|\s]*\b{function}\b[\w|\s]*\([^)]*\)"
            text = re.sub(declaration, "ffunction(" + signature.format(f"{carrier}f|{carrier}|{carrier}l"), text)
        return text

    with TemporaryDirectory() as folder:
        for path in _LIBRARIES.glob("*.lib"):
            if (new := redeclared(text := path.read_text(encoding="utf-8"))) != text:
                Path(folder, path.name).write_text(new, encoding="utf-8")
        code: bytes = generate(name, redeclared(source), "wasm", precision, folder)
    for function, (_, carrier) in carried.items():
        asked = f"_{carrier}{'f' if precision == 'single' else ''}".encode()
        length = bytes([len(asked)])  # before a name in a module
        code = code.replace(length + asked, length + function.encode().rjust(len(asked), b"_"))
    return code


@lru_cache(maxsize=64)
def module(
    name: str, source: str, precision: str, calls: frozenset[str] = frozenset()
) -> tuple[bytes, dict[str, int], int]:
    """The module, where its controls live, and the size of its state in bytes; it calls the functions `calls`."""
    # The parameter table names folders of this machine and, as "code", what lies somewhere in its memory, another time
    # something else: spaces in their place leave every address where it is.
    code = _code(name, source, precision, calls)
    for trace in (rb'("(?:library_list|include_pathnames)": \[)([^]]*)(\])', rb'("code": ")([^"]*)(")'):
        code = re.sub(trace, lambda found: found[1] + found[3] + b" " * len(found[2]), code)
    interface, _ = json.JSONDecoder().raw_decode(code[code.index(b'{"name"') :].decode("latin-1"))
    return code, leaves(interface), interface["size"]


def render(
    program: WasmProgram, values: ArrayLike, sample_rate: int, precision: str
) -> tuple[np.ndarray, float | None]:
    """The sound of a module with its sliders at physical `values [P]`, run by wasmtime as a browser would, and the
    seconds that the samples took: None where each calls functions of the page, which here are Python's and slow.

    Raises FaustError when the module asks for a function that there is not, and when it stops, as it does where a real
    number is cut that is too large for a whole one.
    """
    import wasmtime

    wide = 8 if precision == "double" else 4
    store = wasmtime.Store()
    try:
        module = wasmtime.Module(store.engine, program.code)
    except wasmtime.WasmtimeError as error:
        raise FaustError(f"Faust makes a module that is none: {' '.join(str(error).split())}") from None
    functions, calls = [], Counter[str]()

    def told(name: str, *numbers: Any) -> Any:
        calls[name] += 1
        return NUMBERS[name](*numbers)

    for needed in module.imports:
        name = str(needed.name).lstrip("_")
        if name not in NUMBERS:
            raise FaustError(f"the module asks for a function {name}, which there is not")
        kind: Any = needed.type
        functions.append(wasmtime.Func(store, wasmtime.FuncType(kind.params, kind.results), partial(told, name)))
    exports: Any = wasmtime.Instance(store, module, functions).exports(store)
    memory, total = exports["memory"], sum(count for count, _ in program.blocks)
    outputs = -(-program.size // 16) * 16
    channel = outputs + 16
    pages = -(-(channel + wide * total) // 65536) - memory.size(store)
    if pages > 0:
        memory.grow(store, pages)
    exports["instanceConstants"](store, 0, sample_rate)  # `init` fills tables before it stores the rate they look for
    exports["init"](store, 0, sample_rate)
    for index, value in zip(program.indices, np.asarray(values, float), strict=True):
        exports["setParamValue"](store, 0, index, float(value))
    calls.clear()
    done, start = 0, time.perf_counter()
    for count, switches in program.blocks:
        for index, value in switches:
            exports["setParamValue"](store, 0, index, value)
        memory.write(store, struct.pack("<i", channel + wide * done), outputs)
        try:
            exports["compute"](store, 0, count, 0, outputs)
        except wasmtime.Trap as trap:
            reason = trap.message.split("wasm trap: ")[-1].strip()
            raise FaustError(f"the module stops at this setting: {reason}") from None
        done += count
    seconds = time.perf_counter() - start
    sound = np.frombuffer(memory.read(store, channel, channel + wide * total), f"<f{wide}")
    return sound, None if calls.total() >= total else seconds
