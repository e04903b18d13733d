"""What `check` says of programs of which it is known by construction, and that it sees what is made wrong."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from sonimatch import Synth
from sonimatch.faust import check
from sonimatch.faust.check import Check, Engine, Parameter, _judge

X = 'import("stdfaust.lib"); x = hslider("x", 0.4, 0, 1, 0.001); '


def checked(text, **settings):
    return Synth(name="small", source=X + text, **{"num_samples": 4410} | settings).check()


@pytest.mark.parametrize(
    ("text", "derivative", "through"),
    [
        ("process = no.noise : fi.lowpass(2, 200 + 2000 * x);", "right", ()),
        ("process = no.noise <: _, @(int(100 * x)) :> _;", "stands still", ("a whole delay", "a whole number")),
        ("process = no.noise * (os.phasor(1, 207.3) > x);", "zero", ("a comparison",)),
        ("process = no.noise * ba.if(x > 0.5, 0.2, 1);", "stands still", ("a condition",)),
        ("process = os.phasor(1, 200 + 400 * x);", "jumps", None),
        ("process = fmod(3 * os.osc(200 + 400 * x), 1);", "jumps", None),
        ('process = os.osc(100 * int(nentry("n", 3, 1, 8, 1)));', "quantised", None),
        ("process = no.noise + 0 * x;", None, None),
        ('process = no.noise * x * (1 - checkbox("mute"));', "right", ()),
    ],
)
def test_a_derivative_is_named(text, derivative, through):
    parameters = checked(text).parameters
    assert [p.derivative for p in parameters] == ([derivative] if derivative else [])  # Faust drops what has no effect
    for p in parameters:
        assert p.advice if derivative != "right" else not p.advice
        assert through is None or set(through) <= set(p.through)


def test_a_table_is_zero_as_it_sounds_and_right_with_its_slopes():
    text = "process = os.osc(200 + 400 * x);"
    (zero,) = checked(text, table_slopes=False).parameters
    assert (zero.derivative, zero.advice[:21]) == ("zero", "set table_slopes=True")
    (right,) = checked(text).parameters
    assert right.derivative == "right"


@pytest.mark.parametrize("samples", [4410, 44_100])
def test_a_wrapped_table_jumps_and_is_not_called_wrong(samples):
    """The steps over which the table moves as a whole wrap some samples too; all others agree."""
    (p,) = checked("process = fmod(3 * os.osc(200 + 400 * x), 1);", num_samples=samples).parameters
    assert p.derivative == "jumps"


def test_engines_are_measured_and_agree():
    found = checked("process = no.noise : fi.lowpass(2, 200 + 2000 * x);")
    assert [engine.name for engine in found.engines] == ["native", "JAX", "WebAssembly"]
    for engine in found.engines:
        assert not engine.error
        assert engine.size
        assert engine.seconds_to_compile is not None
        assert engine.microseconds_per_sample is not None
    assert all(engine.difference < 1e-9 for engine in found.engines[1:])


def test_a_module_that_calls_functions_of_the_page_has_no_rate():
    module = checked("process = sin(2 * ma.PI * os.phasor(1, 200 + 400 * x));").engines[2]
    assert module.microseconds_per_sample is None
    assert not module.error


def test_an_engine_that_differs_is_told(monkeypatch):
    """The page plays it a little too loud, JAX makes one sample infinite."""
    wasm_render, jax_sound = check.wasm.render, check._by_jax

    def loud(*arguments):
        sound, seconds = wasm_render(*arguments)
        return 1.001 * sound, seconds

    def infinite(*arguments):
        *rest, sound = jax_sound(*arguments)
        return *rest, np.where(np.arange(len(sound)) == 7, np.inf, sound)

    monkeypatch.setattr(check.wasm, "render", loud)
    monkeypatch.setattr(check, "_by_jax", infinite)
    _, traced, module = checked("process = no.noise * x;").engines
    assert module.difference == pytest.approx(0.001)
    assert traced.error == "finite where native code is not, or the other way round"


def judged(sound, slope, quantised=False):
    """The verdict over y(h) = sound(x + h) at x = 0."""
    return _judge(sound, sound(0.0), np.asarray(slope, float), quantised)


def test_a_wrong_derivative_is_seen():
    def sound(h):
        return np.sin(np.arange(100) * (1 + h))

    right = np.arange(100) * np.cos(np.arange(100))
    assert judged(sound, right) == ("right", pytest.approx(0, abs=1e-4))
    assert judged(sound, 1.02 * right)[0] == "wrong"  # by 2 %
    assert judged(sound, -right)[0] == "wrong"
    corner = lambda h: sound(abs(h))  # noqa: E731
    assert [judged(corner, slope)[0] for slope in (right, -right, 1.02 * right)] == ["right", "right", "wrong"]
    assert judged(sound, 0 * right)[0] == "zero"
    assert judged(sound, np.where(np.arange(100) == 3, np.nan, right))[0] == "not finite"
    assert judged(sound, right, quantised=True)[0] == "quantised"
    assert judged(lambda h: sound(0.0), 0 * right)[0] == "not heard"
    assert judged(lambda h: sound(round(20 * h) / 20), 0 * right)[0] == "stands still"
    mostly = np.where(np.arange(100) % 7 == 3, 3, 1) * right  # more than one in ten are wrong
    assert judged(sound, mostly)[0] == "wrong"


def test_the_screen_has_a_line_for_each():
    engines = (
        Engine("native", 0.1, 1000, 0.02),
        Engine("JAX", 0.5, 2000, 0.5, 1e-12),
        Engine("WebAssembly", error="no"),
    )
    parameters = (Parameter("x", "zero", None, ("a table",), "do this"), Parameter("gain", "right", 1e-9, (), ""))
    assert str(Check("small", engines, parameters, 0.1, "")).splitlines() == [
        "small: 0.1 s of sound, against native code",
        "  native       compiles in 0.10 s, 1,000 bytes, 0.02 µs a sample",
        "  JAX          compiles in 0.50 s, 2,000 bytes, 0.50 µs a sample, differs by 1.0e-12 of the peak",
        "  WebAssembly  no",
        "  x     derivative zero through a table: do this",
        "  gain  derivative right (within 1.0e-09)",
    ]


def test_a_silent_sound_says_which_switch_opens_it():
    text = 'process = no.noise * x * (1 - checkbox("mute")) * button("gate");'
    assert checked(text, switches={"mute": 1}).note == "the sound is silent here; it sounds with mute=0"
    with jax.enable_x64(True):
        assert checked(text).note == ""
