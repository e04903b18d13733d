"""The compiler of Faust, in a process of its own, which starts with the first program and is asked again and again."""

from __future__ import annotations

import atexit
import os
import pickle
import re
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

SECONDS = 120
"""What the compiler is given for a program."""
_LONG = 300  # of what the compiler says; it may go on with the whole program


class FaustError(ValueError):
    """A Faust program that cannot be used as a synthesizer; the message carries the compiler's own words."""


def generate(name: str, source: str, language: str, precision: str, libraries: str | None = None) -> Any:
    """The text, or the bytes, that libfaust makes of a program, in `c`, `llvm` or `wasm`.

    Libraries that lie in the folder `libraries` stand for those of the same name that come with Faust.
    Raises FaustError with the words of the compiler, and where it ends without any or is not done in `SECONDS`.
    """
    kind, found = _COMPILER.ask(name, source, language, [f"-{precision}"], ["-I", libraries] if libraries else [])
    if kind == "shape":
        raise FaustError(
            f"{name}: a synthesizer has no input and one output; this program has {found[0]} and {found[1]}"
        )
    if kind == "error":
        words = " ".join(found.split("====== stack trace")[0].split())
        words = words if len(words) <= _LONG else f"{words[:_LONG]} …"
        # The compiler counts a line of its own before the text.
        words = re.sub(r"^dawdreamer:(\d+) ", lambda line: f"{name}.dsp:{int(line[1]) - 1} ", words)
        raise FaustError(f"{name}: Faust says: {words or 'the program does not compile'}")
    return found


class _Compiler:
    """The process that runs `libfaust.py`: one for each process of ours, asked by one thread at a time."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[bytes] | None = None
        self.owner, self.lock = 0, threading.Lock()

    def ask(self, name: str, *question: Any) -> tuple[str, Any]:
        with self.lock:
            process = self.running()
            timer = threading.Timer(SECONDS, process.kill)
            assert process.stdin
            assert process.stdout
            timer.start()
            try:
                pickle.dump(question, process.stdin)
                process.stdin.flush()
                return pickle.load(process.stdout)
            except (EOFError, BrokenPipeError, pickle.UnpicklingError):
                self.end()
                if not timer.is_alive():
                    raise FaustError(f"{name}: Faust is not done with this program in {SECONDS} s") from None
                status = process.returncode
                how = signal.Signals(-status).name if status < 0 else f"status {status}"
                raise FaustError(f"{name}: Faust itself ends with {how} on this program") from None
            except BaseException:  # nobody waits for the answer any more: it must not be taken for that of the next
                self.end(now=True)
                raise
            finally:
                timer.cancel()

    def running(self) -> subprocess.Popen[bytes]:
        if self.process is not None and self.owner != os.getpid():  # that of the process that this one was forked from
            self.process.returncode, self.process = 0, None
        if self.process is None:
            script, path = Path(__file__).with_name("libfaust.py"), os.pathsep.join(filter(None, sys.path))
            self.process = subprocess.Popen(
                [sys.executable, "-P", os.fspath(script)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=os.environ | {"PYTHONPATH": path},
            )  # fmt: skip
            self.owner = os.getpid()
            atexit.register(self.end)
        return self.process

    def end(self, now: bool = False) -> None:
        if self.owner == os.getpid() and self.process is not None:
            if now:
                self.process.kill()
            with suppress(BrokenPipeError):
                self.process.communicate()
            self.process = None


_COMPILER = _Compiler()
