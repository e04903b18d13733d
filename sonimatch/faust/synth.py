"""A Faust program as a synthesizer: one text, three engines."""

from __future__ import annotations

import math
import os
import re
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from sonimatch.faust import interface, wasm
from sonimatch.faust.compiler import FaustError
from sonimatch.faust.native import NativeProgram
from sonimatch.faust.program import JaxProgram
from sonimatch.space import ParamSpace, Warp

if TYPE_CHECKING:
    from sonimatch.faust.check import Check

Precision = Literal["double", "single"]


@dataclass(frozen=True)
class FaustSynth:
    """A synthesizer written in Faust: no inputs, one output, every slider or number entry a parameter.

    `synth(theta)` takes `theta [P]` in the unit cube to audio `[num_samples]`; outside the cube a parameter rests
    at the nearer end, with zero gradient; physical values, far outside, are refused.
    The recursion runs in float64 (`precision="single"`: in float32, as published); the sound has `theta`'s precision.
    Derivatives, forward or reverse, go through forward mode: P tangents run beside the sound and no tape is
    kept, so `jax.grad` of a loss costs `J^T v` with `J [num_samples, P]`.
    A table that is read at a real number cut to a whole one, as `os.osc` does, has the derivative of the line between
    its entries (`table_slopes=False`: none, which is that of the sound itself).
    Buttons are held pressed and checkboxes are off, unless `switches` says otherwise: `{"gate": 0.4, "mute": 1}` lets
    go of a button after 0.4 seconds and ticks a checkbox.
    Sliders with `[scale:log]` or `[scale:exp]` get that warp, unless `warp` has others, one for each parameter (see
    `ParamSpace`); `[unit:...]` names the unit. Number entries with a whole step, and sliders with one that the program
    only uses as integers, are quantised.
    Shown in notebooks/faust_to_jax.md.
    """

    name: str
    source: str = field(repr=False)
    sample_rate: int = 44_100
    num_samples: int = 44_100
    precision: Precision = "double"
    switches: Any = ()
    table_slopes: bool = True
    warp: tuple[Warp, ...] = ()

    def __post_init__(self) -> None:
        if self.precision not in ("double", "single"):
            raise ValueError(f"precision must be 'double' or 'single', not {self.precision!r}")
        for quantity in ("sample_rate", "num_samples"):
            if not (isinstance(value := getattr(self, quantity), int | np.integer) and value > 0):
                raise ValueError(f"{quantity} must be a positive integer, not {value!r}")
            object.__setattr__(self, quantity, int(value))
        object.__setattr__(self, "switches", tuple(sorted(dict(self.switches).items())))
        object.__setattr__(self, "warp", tuple(self.warp))
        known = {switch.name: switch.kind for switch in _page(self).switches}
        for name, value in self.switches:
            if name not in known:
                raise ValueError(f"{self.name}: no switch {name!r} (there are: {', '.join(known) or 'none'})")
            if known[name] == "checkbox" and value not in (0, 1):
                raise ValueError(f"{self.name}: the checkbox {name} is 0 or 1, not {value!r}")
            if not value >= 0:
                raise ValueError(f"{self.name}: the button {name} is held for 0 seconds or more, not {value!r}")

    @classmethod
    def from_faust(cls, path: str | os.PathLike[str], **settings: Any) -> Self:
        """The synthesizer of a `.dsp` file, named after it.

        Libraries and components that lie beside the file become part of its text.
        Raises FileNotFoundError when there is no such file and FaustError when it does not compile, has inputs, or has
        not exactly one output.
        """
        path = Path(path)
        return cls(name=path.stem, source=_with_neighbours(path), **settings)

    @property
    def space(self) -> ParamSpace:
        """The parameters, read from the sliders of the program."""
        return _page(self).space

    @property
    def source_sha256(self) -> str:
        """The hash of the `.dsp` text and of what it imports from beside it, to tell that two engines come from it."""
        return sha256(self.source.encode()).hexdigest()

    @property
    def blocks(self) -> list[tuple[int, dict[str, float]]]:
        """Numbers of samples, one after the other, each with the fields of the switches that are set before it."""
        switches, given = _page(self).switches, dict(self.switches)
        fields = {s.field: float(given.get(s.name, 0)) for s in switches if s.kind == "checkbox"}
        held = {
            s.field: min(
                round(given.get(s.name, math.inf) * self.sample_rate) if s.name in given else self.num_samples,
                self.num_samples,
            )
            for s in switches
            if s.kind == "button"
        }
        cuts = sorted({0, *held.values()} - {self.num_samples})
        ends = [*cuts[1:], self.num_samples]
        return [
            (end - cut, fields | {name: float(cut < release) for name, release in held.items()})
            for cut, end in zip(cuts, ends, strict=True)
        ]

    def __call__(self, theta: ArrayLike) -> jax.Array:
        theta = jnp.asarray(theta)
        if theta.shape != (len(self.space),):
            raise ValueError(
                f"{self.name}: theta must have shape ({len(self.space)},), one entry for each of "
                f"{', '.join(self.space.names)}, not {theta.shape}; use jax.vmap for a batch"
            )
        self.space.check(theta)
        return _sound(self, theta.astype(jnp.result_type(theta, jnp.float32)))

    def _sounded(self, values: jax.Array, seed: ArrayLike) -> jax.Array:
        """The sound `[num_samples]` at physical `values [P]`: the program, sample by sample."""
        fields = dict(zip((slider.field for slider in _page(self).sliders), values, strict=True))
        (count, first), *rest = self.blocks
        program = _jax(self.name, self.source, self.precision)
        return program.render([(count, fields | first), *rest], self.sample_rate, seed, self.table_slopes)

    def with_noise(self, theta: ArrayLike, seed: ArrayLike) -> jax.Array:
        """The sound `[num_samples]` with every noise generator started from the whole number `seed`.

        `no.noise` always starts from 0, so that two sounds of one program share their noise sample by sample; with
        two seeds they do not. Programs without noise are not changed. Not differentiated.
        """
        theta = jnp.asarray(theta)
        return _audio(self, theta.astype(jnp.result_type(theta, jnp.float32)), jnp.asarray(seed, jnp.int32))

    def noises(self, k: int) -> Noises:
        """This synth heard `k` times at once, each time with a noise of its own: see `Noises`."""
        return Noises(self, k)

    def render_native(self, theta: ArrayLike) -> np.ndarray:
        """The sound `[num_samples]` from machine code that libfaust and LLVM make of the same text."""
        self.space.check(theta)
        with jax.enable_x64(True):
            values = np.asarray(_exact(self.space, np.asarray(theta)))
        set_to = dict(zip((slider.field for slider in _page(self).sliders), map(float, values), strict=True))
        (count, first), *rest = self.blocks
        return _native(self.name, self.source, self.precision).render(
            [(count, set_to | first), *rest], self.sample_rate
        )

    def check(self, theta: ArrayLike | None = None) -> Check:
        """What of the program can be matched, near `theta [P]`, or near the default: see `sonimatch.faust.check`."""
        from sonimatch.faust.check import check

        return check(self, theta)

    def to_wasm(self) -> wasm.WasmProgram:
        """The same text as a WebAssembly module, in the same precision, with its parameter table."""
        calls = _jax(self.name, self.source, self.precision).translation.calls
        code, places, size = wasm.module(self.name, self.source, self.precision, frozenset(calls))
        return wasm.WasmProgram(
            code=code,
            space=self.space,
            indices=tuple(places[slider.field] for slider in _page(self).sliders),
            blocks=tuple(
                (count, tuple((places[name], on) for name, on in fields.items())) for count, fields in self.blocks
            ),
            size=size,
        )


@dataclass(frozen=True)
class Noises:
    """A synthesizer that is heard `k` times at once: audio `[k, num_samples]`, the noise of each started from another
    whole number, 0 to `k` - 1.

    With `losses.Averaged(loss)` it is matched by the mean of the k features. `ValueError` for `k < 1`.
    Shown in notebooks/search_that_solves.md.
    """

    synth: FaustSynth
    k: int

    def __post_init__(self) -> None:
        if self.k < 1:
            raise ValueError(f"k is {self.k}; it must be at least 1")

    name = property(lambda self: self.synth.name)
    space = property(lambda self: self.synth.space)
    sample_rate = property(lambda self: self.synth.sample_rate)
    num_samples = property(lambda self: self.synth.num_samples)

    def __call__(self, theta: ArrayLike) -> jax.Array:
        return jax.lax.map(partial(self.synth.with_noise, theta), jnp.arange(self.k))


# ------------------------------------------------------------------------------------------------------ the text

_WORDS = re.compile(r'//[^\n]*|/\*.*?\*/|(import|library|component)\s*\(\s*"([^"]+)"\s*\)\s*(;?)|"[^"\n]*"', re.DOTALL)


def _with_neighbours(path: Path, inside: tuple[Path, ...] = ()) -> str:
    """The text of a program with the libraries and components that lie beside it written into it."""

    def inlined(found: re.Match[str]) -> str:
        word, name, end = found[1], found[2], found[3]
        if word is None or not (beside := path.parent / name).is_file():
            return found[0]
        if beside.resolve() in inside:
            raise FaustError(f"{path.name}: {name} imports itself")
        text = _with_neighbours(beside, (*inside, beside.resolve()))
        if word == "import":
            return text
        return f"environment {{ {text}\n}}" + (".process" if word == "component" else "") + end

    return _WORDS.sub(inlined, path.read_text(encoding="utf-8-sig"))


# ---------------------------------------------------------------------------------------------------- the engines

_exact = jax.jit(ParamSpace.exact, static_argnums=0)
_jax = lru_cache(maxsize=256)(JaxProgram)
_native = lru_cache(maxsize=64)(NativeProgram)


@dataclass(frozen=True)
class _Page:
    sliders: tuple[interface.Control, ...]
    switches: tuple[interface.Control, ...]
    space: ParamSpace


@lru_cache(maxsize=256)
def _page_of(name: str, source: str, precision: str, warp: tuple[Warp, ...]) -> _Page:
    program = _jax(name, source, precision)
    sliders, switches = interface.controls(name, program.interface)
    space = interface.space(name, sliders, program.whole)
    return _Page(sliders, switches, replace(space, warp=warp) if warp else space)


def _page(synth: FaustSynth) -> _Page:
    return _page_of(synth.name, synth.source, synth.precision, synth.warp)


def _render(synth: FaustSynth, theta: jax.Array, seed: ArrayLike = 0) -> jax.Array:
    """The sound `[num_samples]`, differentiable in either mode through the recursion itself."""
    theta = theta if synth.precision == "double" else theta.astype(jnp.float32)
    return synth._sounded(synth.space.exact(theta), seed)


@partial(jax.jit, static_argnums=0)
def _audio(synth: FaustSynth, theta: jax.Array, seed: ArrayLike = 0) -> jax.Array:
    _jax(synth.name, synth.source, synth.precision).refuse_too_large(0)
    with jax.enable_x64(synth.precision == "double"):
        audio = _render(synth, theta, seed)
    return audio.astype(theta.dtype)


@partial(jax.jit, static_argnums=0)
def _audio_and_jacobian(synth: FaustSynth, theta: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The sound and `J [num_samples, P]`: P unit tangents run beside the one recursion."""
    _jax(synth.name, synth.source, synth.precision).refuse_too_large(len(synth.space))
    push = jax.vmap(lambda unit: jax.jvp(partial(_render, synth), (theta,), (unit,)), out_axes=(None, -1))
    units = jnp.eye(len(synth.space), dtype=theta.dtype)
    with jax.enable_x64(synth.precision == "double"):
        audio, jacobian = push(units)
    return audio.astype(theta.dtype), jacobian.astype(theta.dtype)


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _sound(synth: FaustSynth, theta: jax.Array) -> jax.Array:
    return _audio(synth, theta)


@_sound.defjvp
def _sound_jvp(synth: FaustSynth, primals: Any, tangents: Any) -> tuple[jax.Array, jax.Array]:
    """What is left beside the sound, `J @ dtheta`, transposes to `J^T v` without a tape."""
    audio, jacobian = _audio_and_jacobian(synth, *primals)
    return audio, jacobian @ tangents[0]
