"""From one Faust text to three engines: JAX for gradients, native code as the oracle, WebAssembly for a browser.

Nothing else in the package knows DawDreamer, which carries the Faust compiler (libfaust).
All three engines compute in double precision unless told otherwise: a tenth-order high-pass at 1 Hz is wrong by
over 100 % in single precision, silently.
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache, partial
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import llvmlite.binding as llvm
import numpy as np
from jax.typing import ArrayLike

from sonimatch.space import ParamSpace

libfaust: Any = import_module("dawdreamer.faust")  # an extension without type information
faust_box: Any = import_module("dawdreamer.faust.box")

_LIBFAUST = threading.Lock()  # the compiler keeps global state
Precision = Literal["double", "single"]

_SLIDERS = ("hslider", "vslider", "nentry")
_SWITCHES = ("button", "checkbox")
_FEW_STATES, _UNROLL = 8, 3  # a filter runs faster three samples at a time, an oscillator does not


class FaustError(ValueError):
    """A Faust program that cannot be used as a synthesizer; the message carries the compiler's own words."""


@dataclass(frozen=True)
class FaustSynth:
    """A synthesizer written in Faust: no inputs, one output, every slider or number entry a parameter.

    `synth(theta)` takes `theta [P]` in the unit cube to audio `[num_samples]`; outside the cube a parameter rests
    at the nearer end, with zero gradient; physical values, far outside, are refused.
    The recursion runs in float64 (`precision="single"`: in float32, as published); the sound has `theta`'s precision.
    Derivatives, forward or reverse, go through forward mode: P tangents run beside the sound and no tape is
    kept, so `jax.grad` of a loss costs `J^T v` with `J [num_samples, P]`.
    Buttons and checkboxes are held pressed.
    Sliders with `[scale:log]` get the log warp, `[unit:...]` names the unit.
    Shown in notebooks/faust_to_jax.md.
    """

    name: str
    source: str = field(repr=False)
    sample_rate: int = 44_100
    num_samples: int = 44_100
    precision: Precision = "double"

    def __post_init__(self) -> None:
        if self.precision not in ("double", "single"):
            raise ValueError(f"precision must be 'double' or 'single', not {self.precision!r}")
        for quantity in ("sample_rate", "num_samples"):
            if not (isinstance(value := getattr(self, quantity), int | np.integer) and value > 0):
                raise ValueError(f"{quantity} must be a positive integer, not {value!r}")
            object.__setattr__(self, quantity, int(value))
        _ = self.space

    @classmethod
    def from_faust(cls, path: str | os.PathLike[str], **settings: Any) -> FaustSynth:
        """The synthesizer of a `.dsp` file, named after it.

        Raises FileNotFoundError when there is no such file and FaustError when it does not compile, has no
        slider, has inputs, or has not exactly one output.
        """
        path = Path(path)
        return cls(name=path.stem, source=path.read_text(encoding="utf-8-sig"), **settings)

    @property
    def space(self) -> ParamSpace:
        """The parameters, read from the sliders of the program."""
        return _compile_jax(self).space

    @property
    def source_sha256(self) -> str:
        """The hash of the `.dsp` text, to tell that two engines come from the same file."""
        return sha256(self.source.encode()).hexdigest()

    def __call__(self, theta: ArrayLike) -> jax.Array:
        theta = jnp.asarray(theta)
        if theta.shape != (len(self.space),):
            raise ValueError(
                f"{self.name}: theta must have shape ({len(self.space)},), one entry for each of "
                f"{', '.join(self.space.names)}, not {theta.shape}; use jax.vmap for a batch"
            )
        self.space.check(theta)
        return _sound(self, theta.astype(jnp.result_type(theta, jnp.float32)))

    def with_noise(self, theta: ArrayLike, seed: ArrayLike) -> jax.Array:
        """The sound `[num_samples]` with every noise generator started from the whole number `seed`.

        `no.noise` always starts from 0, so that two sounds of one program share their noise sample by sample; with
        two seeds they do not. Programs without noise are not changed. Not differentiated.
        """
        theta = jnp.asarray(theta)
        return _audio(self, theta.astype(jnp.result_type(theta, jnp.float32)), jnp.asarray(seed, jnp.int32))

    def render_native(self, theta: ArrayLike) -> np.ndarray:
        """The sound `[num_samples]` from machine code that libfaust and LLVM make of the same text."""
        self.space.check(theta)
        with jax.enable_x64(True):
            values = np.asarray(self.space.to_physical(np.asarray(theta, np.float64)))
        return _compile_native(self).render(self, values)

    def to_wasm(self) -> WasmProgram:
        """The same text as a WebAssembly module, in the same precision, with its parameter table."""
        return _compile_wasm(self)


class WasmProgram(NamedTuple):
    """A WebAssembly module and where its parameters live.

    `code` exports `memory`, `init(dsp, sample_rate)`, `setParamValue(dsp, index, value)` and
    `compute(dsp, count, inputs, outputs)`, with `dsp = 0` and numbers in the precision of the synth.
    `indices[i]` is where parameter i of `space` lives and `switches` are the indices to be set to 1;
    `size` is the length of the state in bytes: free memory begins there.
    """

    code: bytes
    space: ParamSpace
    indices: tuple[int, ...]
    switches: tuple[int, ...]
    size: int


# ------------------------------------------------------------------------------------------------- the compiler


@contextmanager
def _box(name: str, source: str) -> Iterator[Any]:
    with _LIBFAUST, libfaust.FaustContext():
        try:
            box = faust_box.boxFromDSP(source)
        except RuntimeError as error:
            message = re.sub(  # the compiler counts a line of its own before the text
                r"^dawdreamer:(\d+) ", lambda line: f"{name}.dsp:{int(line[1]) - 1} ", " ".join(str(error).split())
            )
            raise FaustError(f"{name}: Faust says: {message or 'the program does not compile'}") from None
        yield box


def _generate(synth: FaustSynth, language: str) -> Any:
    name = synth.name
    with _box(name, synth.source) as box, _without_warning():
        if box.inputs or box.outputs != 1:
            raise FaustError(
                f"{name}: a synthesizer has no input and one output; this program has {box.inputs} and {box.outputs}"
            )
        text = faust_box.boxToSource(box, language, "Dsp", [f"-{synth.precision}"])
        if "ERROR" in (head := str(text[:200])):  # some errors are returned as if they were the program
            raise FaustError(f"{name}: Faust says: {' '.join(head.split())}")
        return text


@contextmanager
def _without_warning() -> Iterator[None]:
    """Hide what libfaust prints on the process's stderr about a helper file that nobody asked for."""
    saved = os.dup(2)
    with open(os.devnull, "wb") as sink:
        os.dup2(sink.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)


def _controls(interface: dict[str, Any]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The sliders and the switches of a program's JSON description, in the order of the page."""
    leaves, queue = [], list(interface["ui"])
    while queue:
        item = queue.pop(0)
        queue[:0] = item.get("items", [])
        leaves.append(item)
    return [i for i in leaves if i["type"] in _SLIDERS], [i for i in leaves if i["type"] in _SWITCHES]


def _space(name: str, sliders: list[dict[str, Any]]) -> ParamSpace:
    if not sliders:
        raise FaustError(f"{name}: no parameter to match: the program has no hslider, vslider or nentry")
    meta = [{k: v for entry in slider.get("meta", []) for k, v in entry.items()} for slider in sliders]
    return ParamSpace(
        names=tuple(slider["shortname"] for slider in sliders),
        low=tuple(float(slider["min"]) for slider in sliders),
        high=tuple(float(slider["max"]) for slider in sliders),
        warp=tuple("log" if m.get("scale") == "log" else "linear" for m in meta),
        unit=tuple(m.get("unit", "") for m in meta),
        default=tuple(float(slider["init"]) for slider in sliders),
    )


# --------------------------------------------------------------------------------------------------------- JAX


class _DelayLine:
    """A delay line held as separate scalars; it answers as the array would in the generated code.

    Scalars stay in registers, where a rolled array is copied at every sample.
    """

    def __init__(self, samples: Any) -> None:
        self.samples = list(samples)

    def __getitem__(self, delay: Any) -> Any:
        return self.samples[delay] if isinstance(delay, int) else jnp.stack(self.samples)[delay]

    @property
    def at(self) -> dict[int, SimpleNamespace]:
        return {0: SimpleNamespace(set=lambda value: _DelayLine([value, *self.samples[1:]]))}

    def roll(self) -> _DelayLine:
        return _DelayLine([self.samples[-1], *self.samples[:-1]])


class _Module:
    """What the generated class inherits from: it takes slider values as they are."""

    def __init__(self, sample_rate: int) -> None:
        self.sample_rate = sample_rate

    def add_slider(self, *_: Any) -> None: ...
    def add_nentry(self, *_: Any) -> None: ...
    def add_button(self, *_: Any) -> None: ...

    def add_soundfile(self, state: Any, zone: str, path: Any, label: str, *_: Any) -> None:
        raise FaustError(f"soundfile({label!r}) is not supported: a synthesizer here makes its own sound")


class _JaxProgram(NamedTuple):
    """The generated class, which of its states are rolled delay lines and which are noise, and its controls."""

    module: Any
    rolled: frozenset[str]
    noises: tuple[str, ...]
    sliders: tuple[str, ...]
    switches: tuple[str, ...]
    space: ParamSpace

    def render(self, values: jax.Array, sample_rate: int, num_samples: int, seed: ArrayLike = 0) -> jax.Array:
        dsp = self.module(sample_rate)
        state = dsp.initialize(None, num_samples)
        dsp.build_interface(state, None, num_samples)
        state |= dict(zip(self.sliders, values, strict=True)) | dict.fromkeys(self.switches, 1.0)

        def lines(state: dict[str, Any], wrap: Any) -> dict[str, Any]:
            return {name: wrap(value) if name in self.rolled else value for name, value in state.items()}

        def tick(state: dict[str, Any]) -> tuple[dict[str, Any], jax.Array]:
            state, output = dsp.tick(lines(state, _DelayLine), None)
            return lines(state, lambda line: line.samples), output[0]

        state = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.int32 if isinstance(leaf, int) else None), state)
        state |= {name: jnp.full_like(state[name], seed) for name in self.noises}
        state = lines(state, list)
        moving = {name for name, value in tick(dict(state))[0].items() if value is not state[name]}
        start = {name: state[name] for name in moving}

        def step(carry: dict[str, Any], _: None) -> tuple[dict[str, Any], jax.Array]:
            after, sample = tick(state | carry)
            return jax.tree.map(lambda a, old: jnp.asarray(a, old.dtype), {k: after[k] for k in carry}, carry), sample

        at_once = _UNROLL if len(jax.tree.leaves(start)) > _FEW_STATES else 1
        return jax.lax.scan(step, start, None, length=num_samples, unroll=at_once)[1]


def _round(x: Any) -> Any:
    """Halves away from zero, as in C; the text of libfaust asks for `jnp.round`, halves to even."""
    return (whole := jnp.trunc(x)) + jnp.where(jnp.abs(x - whole) >= 0.5, jnp.sign(x), 0)


@lru_cache(maxsize=256)
def _compile_jax(synth: FaustSynth) -> _JaxProgram:
    code = _generate(synth, "jax")
    names: dict[str, Any] = {
        "nn": SimpleNamespace(Module=_Module, compact=lambda method: method),
        "jnp": SimpleNamespace(**vars(jnp) | {"roll": lambda line, _: line.roll(), "mod": jnp.fmod, "round": _round}),
        "dataclasses": SimpleNamespace(field=lambda **_: None),
        **{"jax": jax, "json": json, "np": np},
    }
    exec(code[code.index("def remainder") :], names)  # the compiler's output; the header before it sets global options
    names["remainder"] = lambda x, y: x - jnp.rint(x / y) * y
    module = names["Dsp"]
    sliders, switches = _controls(module(1).getJSON())
    return _JaxProgram(
        module=module,
        rolled=frozenset(re.findall(r'jnp\.roll\(state\["(\w+)"\]', code)),
        noises=tuple(re.findall(r'\(1103515245 \* state\["(\w+)"\]\[1\]\) \+ 12345', code)),  # no.noise
        sliders=tuple(slider["varname"] for slider in sliders),
        switches=tuple(switch["varname"] for switch in switches),
        space=_space(synth.name, sliders),
    )


def _render(synth: FaustSynth, theta: jax.Array, seed: ArrayLike = 0) -> jax.Array:
    """The sound `[num_samples]`, differentiable in either mode through the recursion itself."""
    program = _compile_jax(synth)
    return program.render(synth.space.to_physical(theta), synth.sample_rate, synth.num_samples, seed)


@partial(jax.jit, static_argnums=0)
def _audio(synth: FaustSynth, theta: jax.Array, seed: ArrayLike = 0) -> jax.Array:
    with jax.enable_x64(synth.precision == "double"):
        return _render(synth, theta.astype(float), seed).astype(theta.dtype)


@partial(jax.jit, static_argnums=0)
def _audio_and_jacobian(synth: FaustSynth, theta: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The sound and `J [num_samples, P]`: P unit tangents run beside the one recursion."""
    with jax.enable_x64(synth.precision == "double"):
        point = theta.astype(float)
        push = jax.vmap(lambda unit: jax.jvp(partial(_render, synth), (point,), (unit,)), out_axes=(None, -1))
        audio, jacobian = push(jnp.eye(len(synth.space), dtype=point.dtype))
        return audio.astype(theta.dtype), jacobian.astype(theta.dtype)


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _sound(synth: FaustSynth, theta: jax.Array) -> jax.Array:
    return _audio(synth, theta)


@_sound.defjvp
def _sound_jvp(synth: FaustSynth, primals: Any, tangents: Any) -> tuple[jax.Array, jax.Array]:
    """What is left beside the sound, `J @ dtheta`, transposes to `J^T v` without a tape."""
    audio, jacobian = _audio_and_jacobian(synth, *primals)
    return audio, jacobian @ tangents[0]


# ------------------------------------------------------------------------------------------------- native code


class _NativeProgram:
    """Machine code that LLVM makes of libfaust's output, with the addresses of its functions."""

    def __init__(self, synth: FaustSynth) -> None:
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        code = llvm.parse_assembly(_generate(synth, "llvm"))
        target = llvm.Target.from_default_triple().create_target_machine(opt=3)
        self.engine = llvm.create_mcjit_compiler(code, target)
        self.engine.finalize_object()
        interface = json.loads(self.call("getJSON", result=ctypes.c_char_p))
        self.size = interface["size"]
        self.sliders, self.switches = _controls(interface)

    def call(self, function: str, *arguments: Any, result: Any = None) -> Any:
        kinds = [ctypes.c_int if isinstance(argument, int) else ctypes.c_void_p for argument in arguments]
        address = self.engine.get_function_address(f"{function}Dsp")
        return ctypes.CFUNCTYPE(result, *kinds)(address)(*arguments)

    def render(self, synth: FaustSynth, values: np.ndarray) -> np.ndarray:
        number = ctypes.c_double if synth.precision == "double" else ctypes.c_float
        memory = ctypes.create_string_buffer(self.size)
        state = ctypes.cast(memory, ctypes.c_void_p)
        self.call("classInit", synth.sample_rate)
        self.call("instanceConstants", state, synth.sample_rate)
        self.call("instanceClear", state)
        for item, value in [*zip(self.sliders, values, strict=True), *((switch, 1.0) for switch in self.switches)]:
            number.from_buffer(memory, item["index"]).value = float(value)
        audio = np.zeros(synth.num_samples, number)
        channels = ctypes.cast((ctypes.c_void_p * 1)(audio.ctypes.data), ctypes.c_void_p)
        self.call("compute", state, synth.num_samples, channels, channels)
        return audio


_compile_native = lru_cache(maxsize=64)(_NativeProgram)


# ------------------------------------------------------------------------------------------------- WebAssembly


@lru_cache(maxsize=64)
def _compile_wasm(synth: FaustSynth) -> WasmProgram:
    # The parameter table names folders of this machine: spaces in their place leave every address where it is.
    folders = rb'("(?:library_list|include_pathnames)": \[)([^]]*)\]'
    code = re.sub(folders, lambda found: found[1] + b"]" + b" " * len(found[2]), _generate(synth, "wasm"))
    start = code.index(b'{"name"')
    interface, _ = json.JSONDecoder().raw_decode(code[start:].decode("latin-1"))
    sliders, switches = _controls(interface)
    return WasmProgram(
        code=code,
        space=_space(synth.name, sliders),
        indices=tuple(slider["index"] for slider in sliders),
        switches=tuple(switch["index"] for switch in switches),
        size=interface["size"],
    )
