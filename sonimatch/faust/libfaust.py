"""A process of its own for libfaust, which DawDreamer carries; nothing else in the package knows it.

Run as a script, without this package: it reads one question after another from its standard input, pickled, and
writes what libfaust makes of a program, or its words where it makes nothing. libfaust ends the process that it lives in
on some programs, is never done with others, and says things on its standard error that nobody asked for.
"""

from __future__ import annotations

import os
import pickle
import signal
from importlib import import_module
from typing import Any


def _answer(source: str, language: str, options: list[str], folders: list[str]) -> tuple[str, Any]:
    """One of ("shape", inputs and outputs), ("text", what was made) and ("error", the words of the compiler)."""
    libfaust: Any = import_module("dawdreamer.faust")  # an extension without type information
    box_api: Any = import_module("dawdreamer.faust.box")
    with libfaust.FaustContext():
        try:
            box = box_api.boxFromDSP(source, folders)
            if (box.inputs, box.outputs) != (0, 1):
                return "shape", (box.inputs, box.outputs)
            text = box_api.boxToSource(box, language, "Dsp", options)
        except RuntimeError as error:
            return "error", str(error)
    return ("error", str(text[:200])) if "ERROR" in str(text[:200]) else ("text", text)


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that asks
    with os.fdopen(os.dup(0), "rb") as questions, os.fdopen(os.dup(1), "wb") as answers:
        nowhere = os.open(os.devnull, os.O_RDWR)
        for stream in range(3):
            os.dup2(nowhere, stream)
        while True:
            try:
                question = pickle.load(questions)
            except EOFError:
                return
            pickle.dump(_answer(*question), answers)
            answers.flush()


if __name__ == "__main__":
    main()
