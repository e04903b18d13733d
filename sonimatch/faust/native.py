"""The sound of a program from machine code that libfaust and LLVM make of the same text: the reference."""

from __future__ import annotations

import ctypes
import json
from collections.abc import Mapping, Sequence
from typing import Any

import llvmlite.binding as llvm
import numpy as np

from sonimatch.faust.compiler import generate


def leaves(interface: Mapping[str, Any]) -> dict[str, int]:
    """Where each control of a program's JSON description lives: its field and its address."""
    found, queue = {}, list(interface["ui"])
    while queue:
        item = queue.pop()
        queue += item.get("items", [])
        if "varname" in item:
            found[item["varname"]] = item["index"]
    return found


class NativeProgram:
    """Machine code that LLVM makes of libfaust's output, with the addresses of its functions."""

    def __init__(self, name: str, source: str, precision: str) -> None:
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        code = llvm.parse_assembly(generate(name, source, "llvm", precision))
        target = llvm.Target.from_default_triple().create_target_machine(opt=3)
        self.engine = llvm.create_mcjit_compiler(code, target)
        self.engine.finalize_object()
        self.number = ctypes.c_double if precision == "double" else ctypes.c_float
        interface = json.loads(self.call("getJSON", result=ctypes.c_char_p))
        self.size, self.places = interface["size"], leaves(interface)

    def call(self, function: str, *arguments: Any, result: Any = None) -> Any:
        kinds = [ctypes.c_int if isinstance(argument, int) else ctypes.c_void_p for argument in arguments]
        address = self.engine.get_function_address(f"{function}Dsp")
        return ctypes.CFUNCTYPE(result, *kinds)(address)(*arguments)

    def render(self, blocks: Sequence[tuple[int, Mapping[str, float]]], sample_rate: int) -> np.ndarray:
        """The sound of blocks of samples, one after the other, each with the fields that are set before it."""
        memory = ctypes.create_string_buffer(self.size)
        state = ctypes.cast(memory, ctypes.c_void_p)
        self.call("classInit", sample_rate)
        self.call("instanceConstants", state, sample_rate)
        self.call("instanceClear", state)
        sounds = []
        for count, values in blocks:
            for place, value in values.items():
                self.number.from_buffer(memory, self.places[place]).value = float(value)
            audio = np.zeros(count, self.number)
            channels = ctypes.cast((ctypes.c_void_p * 1)(audio.ctypes.data), ctypes.c_void_p)
            self.call("compute", state, count, channels, channels)
            sounds.append(audio)
        return np.concatenate(sounds)
