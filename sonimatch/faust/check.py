"""What of a program can be matched: each engine against native code, each derivative against differences."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from sonimatch.faust import wasm
from sonimatch.faust.c_text import Translation
from sonimatch.faust.compiler import FaustError
from sonimatch.faust.synth import FaustSynth, _exact, _jax, _native, _page

Verdict = Literal["right", "quantised", "stands still", "jumps", "zero", "wrong", "not finite", "not heard"]
STEPS = (1e-9, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 3e-2)
"""Steps of the central differences, as shares of a parameter's range; a derivative is right if it agrees at one.

Over the small ones, a table that moves slowly stands still or jumps by an entry."""
_NEAR = 1e-3  # a sound that does not move over this share of the range moves in steps, if it moves

_ADVICE = {
    "quantised": "has no values between its settings: use a search that needs no gradient",
    "not heard": "does not change the sound here: another parameter or a switch may hold it shut",
    "a table": "read the table between its entries, as it.frdtable, or use a search that needs no gradient",
    "no slopes": "set table_slopes=True for the slope between the entries of the table",
    "a whole delay": "use a fractional delay, as de.fdelay, or a search that needs no gradient",
    "a comparison": "a threshold has no slope: use a smooth one, or a search that needs no gradient",
    "a condition": "a switch has no slope: use a mixture, or a search that needs no gradient",
    "jumps": "the sound jumps where the derivative does not tell, as a raw sawtooth does: use a band-limited wave, or "
    "a phasor and a sine of one's own",
    "wrong": "use a search that needs no gradient",
}
_OTHERWISE = "use a search that needs no gradient"


@dataclass(frozen=True)
class Engine:
    """One of the three: what it costs and how far its sound is from native code, relative to the peak.

    `size` is in bytes: of the state for native code, of the module for WebAssembly, and of the text for JAX.
    A module that calls functions of the page has no rate: only a browser can tell it.
    """

    name: str
    seconds_to_compile: float | None = None
    size: int | None = None
    microseconds_per_sample: float | None = None
    difference: float | None = None
    error: str = ""


@dataclass(frozen=True)
class Parameter:
    """What its derivative is worth: the least relative error against differences of the native sound.

    `through` names what takes the derivative away on the way from the slider to the sound.
    """

    name: str
    derivative: Verdict
    error: float | None
    through: tuple[str, ...]
    advice: str


@dataclass(frozen=True)
class Check:
    """All engines and all parameters of a program, at one point of its space."""

    name: str
    engines: tuple[Engine, ...]
    parameters: tuple[Parameter, ...]
    seconds: float
    note: str

    def __str__(self) -> str:
        lines = [f"{self.name}: {self.seconds:g} s of sound, against native code"]
        for e in self.engines:
            if e.error:
                lines.append(f"  {e.name:12} {e.error}")
                continue
            each = e.microseconds_per_sample
            rate = "calls functions of the page" if each is None else f"{each:.2f} µs a sample"
            agrees = "" if e.difference is None else f", differs by {e.difference:.1e} of the peak"
            lines.append(f"  {e.name:12} compiles in {e.seconds_to_compile:.2f} s, {e.size:,} bytes, {rate}{agrees}")
        if self.note:
            lines.append(f"  {self.note}")
        width = max((len(p.name) for p in self.parameters), default=0)
        for p in self.parameters:
            error = "" if p.error is None or p.derivative == "not heard" else f" (within {p.error:.1e})"
            via = f" through {', '.join(p.through)}" if p.through and p.derivative != "right" else ""
            told = f": {p.advice}" if p.advice else ""
            lines.append(f"  {p.name:{width}}  derivative {p.derivative}{error}{via}{told}")
        return "\n".join(lines)


def check(synth: FaustSynth, theta: Any = None) -> Check:
    """Compile and run all three engines at `theta [P]` (near the default), and judge every derivative.

    A derivative is right when it is within 1 % of central differences of the native sound at one of the `STEPS`, or, at
    a corner as that of a magnitude, of those to one side; where it is right at the small steps only, or in most samples
    only, the sound jumps. Where the derivative is zero,
    so is the sound's own if it stands still nearby, and moves in steps; otherwise the derivative is lost.
    Raises FaustError when native code does not compile.
    """
    synth = FaustSynth(**{each.name: getattr(synth, each.name) for each in fields(FaustSynth)})  # not its closed form
    space = synth.space
    if theta is None:
        theta = 0.05 + 0.9 * np.clip(np.asarray(space.to_unit(np.array(space.default))), 0, 1) if len(space) else []
    with jax.enable_x64(True):
        theta = np.asarray(space.on_grid(np.asarray(theta, float)), float)
        native, sound = _timed("native", lambda: _native(synth.name, synth.source, synth.precision).size, synth, theta)
        peak = float(np.abs(sound).max(initial=0))
        engines = [
            native,
            _try("JAX", lambda: _by_jax(synth, theta), sound),
            _try("WebAssembly", lambda: _by_wasm(synth, theta), sound),
        ]
        note = "" if peak > 0 else "the sound is silent here" + _why_silent(synth, theta)
        try:
            parameters = _parameters(synth, theta, sound) if not engines[1].error else ()
        except FaustError as error:  # the sound is not too large, and with its derivatives it is
            parameters, note = (), str(error)
    return Check(synth.name, tuple(engines), parameters, synth.num_samples / synth.sample_rate, note)


def _rate(render: Callable[[FaustSynth], Any], synth: FaustSynth) -> float:
    """Microseconds per sample, without what a sound of one sample costs."""
    seconds = []
    for of in (replace(synth, num_samples=1), synth):
        render(of)
        start = time.perf_counter()
        render(of)
        seconds.append(time.perf_counter() - start)
    return max(seconds[1] - seconds[0], 0.0) / synth.num_samples * 1e6


def _timed(name: str, compile_: Callable[[], int], synth: FaustSynth, theta: np.ndarray) -> tuple[Engine, np.ndarray]:
    start = time.perf_counter()
    size = compile_()
    compiled = time.perf_counter()
    sound = np.asarray(synth.render_native(theta), float)
    return Engine(name, compiled - start, size, _rate(lambda of: of.render_native(theta), synth)), sound


def _try(name: str, run: Callable[[], tuple[float, int, float | None, np.ndarray]], sound: np.ndarray) -> Engine:
    try:
        seconds, size, rate, other = run()
    except FaustError as error:
        return Engine(name, error=str(error))
    peak = np.abs(sound[np.isfinite(sound)]).max(initial=0) or 1.0
    same = np.isfinite(sound) == np.isfinite(other)
    both = np.isfinite(sound) & np.isfinite(other)
    if not same.all():
        return Engine(name, seconds, size, rate, error="finite where native code is not, or the other way round")
    difference = float(np.abs(sound - other)[both].max(initial=0) / peak)
    return Engine(name, seconds, size, rate, difference)


def _by_jax(synth: FaustSynth, theta: np.ndarray) -> tuple[float, int, float, np.ndarray]:
    start = time.perf_counter()
    sound = np.asarray(synth(jnp.asarray(theta)))
    first = time.perf_counter() - start
    np.asarray(synth(jnp.asarray(theta)))
    again = time.perf_counter() - start - first
    size = len(_jax(synth.name, synth.source, synth.precision).translation.source)
    return max(first - again, 0.0), size, again / synth.num_samples * 1e6, sound


def _by_wasm(synth: FaustSynth, theta: np.ndarray) -> tuple[float, int, float | None, np.ndarray]:
    start = time.perf_counter()
    program = synth.to_wasm()
    compiled = time.perf_counter()
    values = np.asarray(_exact(synth.space, theta))
    sound, seconds = wasm.render(program, values, synth.sample_rate, synth.precision)
    rate = None if seconds is None else seconds / synth.num_samples * 1e6
    return compiled - start, len(program.code), rate, np.asarray(sound, float)


def _parameters(synth: FaustSynth, theta: np.ndarray, sound: np.ndarray) -> tuple[Parameter, ...]:
    if not theta.size:
        return ()
    jacobian = np.asarray(jax.jacfwd(synth)(jnp.asarray(theta)))
    smooth = synth if synth.table_slopes else replace(synth, table_slopes=True)
    smoothed = jacobian if smooth is synth else np.asarray(jax.jacfwd(smooth)(jnp.asarray(theta)))
    translation = _jax(synth.name, synth.source, synth.precision).translation
    found = []
    for i, slider in enumerate(_page(synth).sliders):
        move = lambda h, i=i: np.asarray(synth.render_native(np.clip(theta + h * np.eye(len(theta))[i], 0, 1)), float)  # noqa: E731
        through = killers(translation, slider.field)
        verdict, error = _judge(move, sound, jacobian[:, i], synth.space.quantised[i])
        reason = verdict if verdict in _ADVICE else next((k for k in through if k in _ADVICE), "")
        if (
            verdict not in ("right", "quantised")
            and smooth is not synth
            and _judge(move, sound, smoothed[:, i], False)[0] == "right"
        ):
            reason = "no slopes"
        advice = "" if verdict == "right" else _ADVICE.get(reason, _OTHERWISE)
        found.append(Parameter(slider.name, verdict, error, through, advice))
    return tuple(found)


@np.errstate(all="ignore")  # a sound may be as large as it likes
def _judge(
    move: Callable[[float], np.ndarray], sound: np.ndarray, slope: np.ndarray, quantised: bool
) -> tuple[Verdict, float | None]:
    if quantised:
        return "quantised", None
    told = np.isfinite(sound)
    if not np.isfinite(slope[told]).all():
        return "not finite", None
    peak = float(np.abs(sound[told]).max(initial=0)) or 1.0
    far = max(float(np.abs(move(h) - sound)[told].max(initial=0)) for h in (-0.3, -0.1, 0.1, 0.3))
    if far <= 1e-12 * peak:
        return "not heard", None
    if not slope.any():
        # On one side at least: here may be the edge of a step.
        near = min(float(np.abs(move(h) - sound)[told].max(initial=0)) for h in (-_NEAR, _NEAR))
        return ("zero" if near > 1e-12 * peak else "stands still"), None
    slope, around = slope[told] / peak, [(h, move(h)[told] / peak, move(-h)[told] / peak) for h in STEPS]
    differences = [(up - down) / (2 * h) for h, up, down in around]
    errors = [_error(slope, d) for d in differences]
    here = sound[told] / peak
    sides = [min(_error(slope, (up - here) / h), _error(slope, (here - down) / h)) for h, up, down in around]
    if min(errors) > 0.01 >= min(sides):  # a corner has two slopes
        errors = sides
    best = min(errors)
    if best <= 0.01:
        # Right nearby only: what is not seen there is a jump, and it outweighs the slope over any distance.
        further = differences[errors.index(best) + 1 :]
        jumps = any(np.linalg.norm(d) > 3 * np.linalg.norm(slope) for d in further)
        return ("jumps" if jumps else "right"), best
    # Right but for a few samples, which have jumped at every step that a table or rounding leaves to judge by.
    return ("jumps" if any(_right_but_for_few(slope, d) for d in differences) else "wrong"), best


def _error(slope: np.ndarray, difference: np.ndarray) -> float:
    return float(np.linalg.norm(slope - difference) / max(np.linalg.norm(difference), 1e-300))


def _right_but_for_few(slope: np.ndarray, difference: np.ndarray) -> bool:
    """Whether the two agree within 1 % in nine of ten samples that hold a good part of the slope."""
    away = np.abs(slope - difference)
    most = away <= np.quantile(away, 0.9)
    length = np.linalg.norm(slope[most])
    return bool(length > 0.5 * np.linalg.norm(slope) and np.linalg.norm(away[most]) <= 0.01 * length)


def killers(translation: Translation, field: str) -> tuple[str, ...]:
    """What takes the derivative away from a slider: the losses on every way from its field to the output."""
    flow, heard = translation.flow, translation.heard()
    after = {field}  # reached with a derivative
    while more := {target for source, target, end in flow if source in after and not end} - after:
        after |= more
    lost = {(target, end) for source, target, end in flow if end and source in after and target in heard}
    cut = {target for target, end in lost if end == "a whole number"}  # that may be a place further on
    while more := {target for source, target, _ in flow if source in cut} - cut:
        cut |= more
    places = {end for source, _, end in flow if source in cut and end in ("a table", "a whole delay")}
    return tuple(sorted({end for _, end in lost} | places))


def _why_silent(synth: FaustSynth, theta: np.ndarray) -> str:
    """The switches of which another setting alone gives a sound."""
    found = []
    for switch in _page(synth).switches:
        now = dict(synth.switches).get(switch.name, switch.kind == "button")
        other = replace(synth, switches={**dict(synth.switches), switch.name: 0 if now else 1})
        if np.abs(other.render_native(theta)).max(initial=0) > 0:
            found.append(f"{switch.name}={0 if now else 1}")
    return f"; it sounds with {' or '.join(found)}" if found else ""
