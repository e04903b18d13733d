"""From one Faust text to three engines: JAX for gradients, native code as the reference, WebAssembly for a page.

All three compute in double precision unless told otherwise: a tenth-order high-pass at 1 Hz is wrong by over 100 % in
single precision, silently.
"""

from sonimatch.faust.compiler import FaustError
from sonimatch.faust.synth import FaustSynth, Precision, _render
from sonimatch.faust.wasm import WasmProgram

__all__ = ["FaustError", "FaustSynth", "Precision", "WasmProgram", "_render"]
