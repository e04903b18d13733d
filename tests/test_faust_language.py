"""Faust as its language says: random expressions in all three engines, and one small program for each thing that used
to go wrong in silence."""

from __future__ import annotations

import random

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sonimatch import Synth
from sonimatch.faust import FaustError, wasm

HEADER = 'import("stdfaust.lib");\n'
PROGRAMS, EXPRESSIONS, ROUNDS = 20, 100, 6


def program(text, **settings):
    return Synth(name="mine", source=HEADER + text, **{"num_samples": 300} | settings)


def three(synth, theta):
    """The sound of native code, of JAX and of WebAssembly, in double."""
    with jax.enable_x64(True):
        theta = np.asarray(theta, float)
        module, _ = wasm.render(synth.to_wasm(), synth.space.exact(theta), synth.sample_rate, synth.precision)
        return synth.render_native(theta), np.asarray(synth(jnp.asarray(theta))), module


# ------------------------------------------------------------------------------------------- random expressions


def expression(rng: random.Random, kind: str, depth: int) -> str:
    """A random expression of whole ("i") or real ("x") numbers, with its operands kept where C says what happens."""
    i, x = (lambda: expression(rng, "i", depth - 1)), (lambda: expression(rng, "x", depth - 1))
    if depth == 0:
        return rng.choice([kind, kind, str(rng.randint(-9, 9)) if kind == "i" else f"({rng.uniform(-3, 3):.3f})"])
    whole = [
        lambda: f"(({i()}) {rng.choice('+-*&|')} ({i()}))",
        lambda: f"(({i()}) {rng.choice(['<', '>', '<=', '>=', '==', '!='])} ({i()}))",
        lambda: f"(({x()}) {rng.choice(['<', '>'])} ({x()}))",
        lambda: f"(({i()}) % (1 + abs({i()}) % 17))",
        lambda: f"(({i()}) xor ({i()}))",
        lambda: f"(({i()}) << (({i()}) & 7))",
        lambda: f"(({i()}) >> (({i()}) & 7))",
        lambda: f"int(max(-1000000, min(1000000, {x()})))",
        lambda: f"{rng.choice(['min', 'max'])}({i()}, {i()})",
        lambda: f"select2(({i()}) > 0, {i()}, {i()})",
    ]
    real = [
        lambda: f"(({x()}) {rng.choice('+-*')} ({rng.choice([x, i])()}))",
        lambda: f"(({rng.choice([x, i])()}) / (0.5 + abs({rng.choice([x, i])()})))",
        lambda: f"{rng.choice(['fmod', 'remainder'])}({rng.choice([x, i])()}, 0.25 * (1 + abs({i()}) % 9))",
        lambda: f"(({x()}) % (0.125 * (1 + abs({i()}) % 9)))",
        lambda: f"{rng.choice(['floor', 'ceil', 'rint', 'round', 'abs'])}(({x()}) * {rng.choice(['1', '0.5', '2.5'])})",
        lambda: f"{rng.choice(['floor', 'ceil', 'rint', 'round'])}(0.5 * ({i()}))",
        lambda: f"sqrt(abs({rng.choice([x, i])()}))",
        lambda: f"log(1 + abs({rng.choice([x, i])()}))",
        lambda: f"{rng.choice(['sin', 'cos', 'atan', 'ma.tanh'])}({rng.choice([x, i])()})",
        lambda: f"float({i()})",
        lambda: f"{rng.choice(['min', 'max'])}({x()}, {rng.choice([x, i])()})",
        lambda: f"select2(({x()}) > 0, {x()}, {rng.choice([x, i])()})",
        lambda: f"({x()})'",
    ]
    return rng.choice(whole if kind == "i" else real)()


@pytest.mark.parametrize("seed", range(PROGRAMS))
def test_random_expressions_are_those_of_native_code(seed):
    """Each sample is one of a hundred expressions of a whole number, of noise and of a slider, six times.

    Within 1e-12 of the largest number of the sound so far: sine and logarithm differ in their last digit, and
    expressions that cut, compare or multiply carry it on.
    """
    rng = random.Random(seed)
    ours = [expression(rng, rng.choice("ix"), 3) for _ in range(EXPRESSIONS)]
    text = f"""
        i = (ba.time * 7919) % 201 - 100;
        x = no.noise * 5 + hslider("gain", 0.5, -1, 1, 0.01);
        process = {", ".join(f"float({one})" for one in ours)} : ba.selectn({EXPRESSIONS}, ba.time % {EXPRESSIONS});"""
    synth = program(text, num_samples=EXPRESSIONS * ROUNDS)
    native, traced, module = three(synth, [0.7])
    assert np.isfinite(native).all()
    for n, (expected, *others) in enumerate(zip(native, traced, module, strict=True)):
        np.testing.assert_allclose(others, expected, rtol=1e-9, atol=1e-9, err_msg=ours[n % EXPRESSIONS])


# --------------------------------------------------------------------------- what used to go wrong without a word

GAIN = 'hslider("gain", 0.5, 0, 1, 0.01)'
LCG = "(+(%d) ~ *(1103515245))"
RIGHT = {
    "casts where whole numbers meet": f"process = float({LCG % 12345} + {LCG % 777}) / 2147483648.0 * {GAIN};",
    "their product": f"process = float({LCG % 12345} * {LCG % 777}) / 2147483648.0 * {GAIN};",
    "Gaussian noise": f"process = no.gnoise(4) * {GAIN};",
    "noise of many": f"process = no.multinoise(3) :> *({GAIN});",
    "the logarithm of a whole number": f"process = log(1 + ba.time) * {GAIN};",
    "a tail of a delay": f"process = no.noise : de.delay(5000, 299 - ba.time % 300) * {GAIN};",
    "a string": f"process = pm.ks(1, 0.5, no.noise * {GAIN});",
    "a flute": f"process = pm.fluteModel(0.5, 0.5, 0.7 * {GAIN}) :> _;",
    "long lines": f"process = no.noise * {GAIN} <: re.jpverb(2, 0, 1, 0.7, 0.5, 0.1, 1, 1, 1, 500, 4000) :> _;",
    "a table of the rate": f"process = rdtable(9, float(ba.time) / ma.SR, ba.time % 9) * {GAIN};",
    "minus infinity": f"process = max({GAIN}, log(0.0)) * ma.isinf(log(0.0));",
    "infinity": f"process = min({GAIN}, ma.INFINITY) + ma.isnan({GAIN});",
    "the length of a block": f"process = no.noise * {GAIN} * (ma.BS / 64);",
    "noise in a table": f"process = rdtable(64, no.noise, ba.time % 64) * no.noise * {GAIN};",
    "a table that is written at real places": f"process = rwtable(7, 0.1, i % 7, {GAIN} * i, (i + 2) % 7) "
    "with { i = +(0.1) ~ _; };",
    "shifts by any number": "i = (ba.time * 7919) % 201 - 100; "
    f"process = float(i << (i * 3)) * 1e-9 + (i >> i) * {GAIN};",
    "a table made from a wave of whole numbers": "w = waveform{3, 40, 500} : !, _; "
    f"process = float(rdtable(9, w, int(ma.SR) % 7) << 2) * {GAIN};",
    "what holds still": f"process = enable(no.noise * {GAIN}, ba.time % 100 > 50);",
}


@pytest.mark.parametrize("text", RIGHT.values(), ids=RIGHT)
def test_the_three_engines_agree(text):
    """Within 1e-9 of the peak: both sine and power may differ in their last digit, and feedback keeps it."""
    native, traced, module = three(program(text, num_samples=600), [0.37])
    assert np.abs(native).max() > 0
    np.testing.assert_allclose(traced, native, atol=1e-9 * np.abs(native).max())
    np.testing.assert_allclose(module, native, atol=1e-9 * np.abs(native).max())


C = ["erf", "erfc", "cbrt", "log1p", "expm1", "gamma", "lgamma", "J0", "J1", "Y0", "Y1", "acosh", "asinh", "tanh"]
C += [f"{name}(2)" for name in ("Jn", "Yn", "hypot")]
C += ["Jn(2.7)", "Yn(2.7)"]  # an order is cut


@pytest.mark.parametrize("function", C)
def test_the_functions_of_c_are_those_of_native_code(function):
    """Within 1e-12 in double; and where JAX computes in single outside of the program, within its rounding."""
    synth = program(f"process = 1.1 + {GAIN} * (1 + ba.time % 9) : ma.{function};", num_samples=20)
    native, traced, module = three(synth, [0.4])
    np.testing.assert_allclose(traced, native, rtol=1e-12)
    np.testing.assert_allclose(module, native, rtol=1e-12)
    np.testing.assert_allclose(synth(jnp.array([0.4])), native, rtol=3e-6)
    assert max(slope_errors(synth, [0.4])) < 1e-6


@pytest.mark.parametrize("function", ["logb", "ilogb", "isnan", "isinf", "ldexp(_, 3)", "scalb(_, -3)", "copysign(2)"])
@pytest.mark.parametrize("precision", ["double", "single"])
def test_the_functions_of_whole_numbers_are_those_of_native_code(function, precision):
    synth = program(
        f"process = (1.1 + {GAIN}) * (ba.time % 4 - 2) / (ba.time % 9) : ma.{function};",
        num_samples=20,
        precision=precision,
    )
    native, traced, module = three(synth, [0.4])
    np.testing.assert_array_equal(traced, native)
    np.testing.assert_array_equal(module, native)


def test_what_a_page_cannot_be_given_is_told():
    synth = program(f"process = ma.hypot(2, ma.Jn(2, ma.copysign(1, {GAIN})));")
    with pytest.raises(FaustError, match="mine: a page can be given 0 of the functions hypot, jn at once"):
        synth.to_wasm()


def test_a_module_that_stops_is_told():
    """Processors make something of a number that no integer holds; WebAssembly stops."""
    synth = program(f"process = float(int(1e12 * {GAIN})) * 1e-10;")
    with pytest.raises(FaustError, match="the module stops at this setting: integer overflow"):
        three(synth, [0.5])
    assert synth.check().engines[2].error == "the module stops at this setting: integer overflow"
    native, traced, module = three(synth, [0.0])
    np.testing.assert_array_equal([traced, module], [native, native])


@pytest.mark.parametrize("value", range(11))
def test_a_whole_number_stays_one(value):
    """`int` of a slider at 7 is 7, also when theta is float32, where 0.7 of the range is 6.9999999."""
    for kind in ("nentry", "hslider"):
        synth = program(f'process = int({kind}("harm", 7, 0, 10, 1)) * 0.1;', num_samples=2)
        theta = synth.space.theta({"harm": value})
        assert theta.dtype == jnp.float32
        np.testing.assert_allclose(synth(theta), 0.1 * value, rtol=1e-6)
        np.testing.assert_allclose(synth.render_native(theta), 0.1 * value, rtol=1e-15)


def test_every_setting_of_a_slider_is_exact():
    synth = program('process = hslider("f", 440, 50, 2000, 0.1);', num_samples=1)
    for value in np.round(np.random.default_rng(0).integers(500, 20_000, 200) * 0.1, 1):
        assert synth.render_native(synth.space.theta({"f": value}))[0] == pytest.approx(value, rel=1e-14)
    assert synth.render_native(np.array([0.5], np.float32))[0] == pytest.approx(1025, rel=1e-14)


def test_quantised_parameters_move_on_their_grid():
    synth = program(
        'process = no.noise * nentry("n", 2, 1, 4, 1) * int(hslider("k", 3, 1, 9, 2)) * hslider("g", 1, 0, 2, 1);'
    )
    assert synth.space.quantised == (True, False, True) if synth.space.names[1] == "g" else (True, True, False)
    drawn = np.asarray(synth.space.to_physical(synth.space.sample(jax.random.key(0), 400)))
    n, k = (drawn[:, synth.space.names.index(name)] for name in "nk")
    assert set(n) == {1, 2, 3, 4}
    assert set(k) == {1, 3, 5, 7, 9}
    assert np.bincount(n.astype(int))[1:].min() > 70, "each setting as often as the others"


def test_a_search_by_gradients_refuses_a_quantised_parameter():
    from sonimatch import L1_Spec, Race, RandomSearch, RMSProp, match

    synth = program('process = os.osc(100 * int(nentry("harm", 7, 0, 10, 1)));', num_samples=4410)
    target = synth(synth.space.theta({"harm": 3}))
    with pytest.raises(ValueError, match=r"RMSProp follows gradients, and harm of mine has none.*Race"):
        match(synth, L1_Spec(), target, RMSProp())
    for search in (RandomSearch(), Race()):
        found = match(synth, L1_Spec(), target, search, 60)
        assert synth.space.to_physical(found.theta_best).tolist() == [3]
    theta = found.trajectory.theta  # of Race: it moves on the grid
    np.testing.assert_allclose(theta, synth.space.on_grid(theta), atol=1e-6)


def slope_errors(synth, theta, steps=(1e-5, 1e-4, 1e-3)):
    """The least relative error of each derivative against central differences of the native sound."""
    with jax.enable_x64(True):
        theta = np.asarray(theta, float)
        jacobian = np.asarray(jax.jacfwd(synth)(jnp.asarray(theta)))
    assert np.isfinite(jacobian).all()
    found = []
    for i, unit in enumerate(np.eye(len(theta))):
        differences = [
            (synth.render_native(theta + h * unit) - synth.render_native(theta - h * unit)) / (2 * h) for h in steps
        ]
        found.append(min(np.linalg.norm(jacobian[:, i] - d) / np.linalg.norm(d) for d in differences))
    return found


SLOPES = {
    "a table": 'process = os.osc(hslider("f", 440, 50, 2000, 1));',
    "a table that the program draws itself": 'process = os.osci(hslider("f", 440, 50, 2000, 1));',
    "the root of silence": f"process = sqrt(max(0, ba.time - 50) * {GAIN});",
    "an envelope of silence": f"process = no.noise * (ba.time > 50) * {GAIN} : an.rms_envelope_rect(0.001);",
    "a power of nothing": f"process = pow(float(ba.time > 50) * {GAIN}, 1.5);",
    "the error function": f"process = ma.erf({GAIN});",
    "a Bessel function": f"process = ma.J0(3 * {GAIN}) + ma.Jn(2, 3 * {GAIN});",
}


@pytest.mark.parametrize("text", SLOPES.values(), ids=SLOPES)
def test_derivatives_are_those_of_the_sound(text):
    """Within 1 % of differences over a thousandth of the range or less, and finite where the sound is."""
    assert max(slope_errors(program(text), [0.437])) < 0.01


@pytest.mark.parametrize("filter", ["peak_eq(x, 1000, 100)", "low_shelf(x, 500)", "high_shelf(x, 5000)"])
def test_an_equalizer_at_0_dB_has_its_slope(filter):
    """There boost and cut meet, and the magnitude of the gain, of which either is made, has a corner."""
    synth = program(f'process = no.noise : fi.{filter} with {{ x = hslider("x", 0, -12, 12, 0.1); }};')
    assert max(slope_errors(synth, [0.5])) < 0.01


def test_the_last_cell_of_a_table_has_a_slope():
    """One sample in 65,536 that had none was an error of 3 % here."""
    synth = program('process = os.osc(hslider("f", 110, 88, 137.5, 1));', num_samples=4410)
    assert max(slope_errors(synth, [0.45])) < 0.002


def test_the_slope_of_a_table_is_a_setting():
    text = 'process = os.osc(hslider("f", 440, 50, 2000, 1));'
    for slopes in (True, False):
        synth = program(text, table_slopes=slopes)
        jacobian = np.asarray(jax.jacfwd(synth)(jnp.array([0.2])))
        assert jacobian.any() == slopes
        np.testing.assert_array_equal(synth(jnp.array([0.2])), program(text)(jnp.array([0.2])))


# --------------------------------------------------------------------------------------- switches and neighbours


def test_buttons_are_held_and_checkboxes_are_off_unless_told():
    text = 'process = 1 + button("gate") + 4 * checkbox("mute") + ' + GAIN + ";"
    for switches, expected in (
        ({}, [2, 2]),
        ({"mute": 1}, [6, 6]),
        ({"gate": 0.001}, [2, 1]),
        ({"gate": 0}, [1, 1]),
    ):
        synth = program(text, num_samples=100, switches=switches)
        for sound in three(synth, [0.5]):
            assert [sound[10] - 0.5, sound[80] - 0.5] == expected
        assert hash(synth) == hash(program(text, num_samples=100, switches=switches))
    with pytest.raises(ValueError, match=r"no switch 'gat' \(there are: gate, mute\)"):
        program(text, switches={"gat": 1})
    with pytest.raises(ValueError, match=r"the checkbox mute is 0 or 1, not 0\.5"):
        program(text, switches={"mute": 0.5})
    with pytest.raises(ValueError, match="the button gate is held for 0 seconds or more, not -1"):
        program(text, switches={"gate": -1})


def test_a_gate_lets_go_in_the_middle_of_an_envelope():
    text = f'process = os.osc(440) * {GAIN} * en.adsr(0.001, 0.001, 0.5, 0.002, button("gate"));'
    synth = program(text, num_samples=600, switches={"gate": 0.005})
    native, traced, module = three(synth, [0.5])
    assert np.abs(native[150:200]).max() > 0.1
    assert np.abs(native[-50:]).max() < 0.05
    np.testing.assert_allclose(traced, native, atol=1e-9)
    np.testing.assert_allclose(module, native, atol=1e-9)
    assert max(slope_errors(synth, [0.5])) < 1e-6


def test_libraries_and_components_beside_the_file_belong_to_it(tmp_path):
    (tmp_path / "mine.lib").write_text('import("stdfaust.lib"); tone(f) = os.osc(f) * level; level = 0.5;')
    (tmp_path / "part.dsp").write_text('import("mine.lib"); process = _ + tone(100);')
    main = tmp_path / "main.dsp"
    main.write_text(
        '// import("mine.lib"); is a comment\nx = library("mine.lib");'
        'process = x.tone(hslider("f", 440, 50, 2000, 1)) : component("part.dsp");'
    )
    first = Synth.from_faust(main, num_samples=300)
    assert np.abs(first.render_native([0.2])).max() > 0
    assert np.abs(first.render_native([0.2]) - np.asarray(first(jnp.array([0.2])))).max() < 1e-6
    (tmp_path / "mine.lib").write_text('import("stdfaust.lib"); tone(f) = os.osc(f) * level; level = 0.25;')
    second = Synth.from_faust(main, num_samples=300)
    assert second.source_sha256 != first.source_sha256
    np.testing.assert_allclose(second.render_native([0.2]), 0.5 * first.render_native([0.2]), atol=1e-12)
    (tmp_path / "mine.lib").write_text('import("mine.lib");')
    with pytest.raises(FaustError, match=r"mine\.lib imports itself"):
        Synth.from_faust(main)


def test_a_program_without_a_parameter_is_rendered_and_not_matched():
    from sonimatch import L1_Spec, match

    synth = program("process = no.noise;", num_samples=4410)
    for sound in three(synth, []):
        assert np.abs(sound).max() > 0.9
    with pytest.raises(ValueError, match="mine has no parameter to match"):
        match(synth, L1_Spec(), jnp.zeros(4410))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"process = {GAIN} / 0.0;", "division by 0"),
        ('process = hslider("f", 5000, 50, 2000, 1);', r"init = 5000 outside of \[50 2000\]"),
        ('process = hslider("f", 440, 440, 440, 1);', "f: the range 440 to 440 is empty"),
        ('process = hslider("f", 1e35, 0, 1e36, 1);', "f: the range 0 to 1e[+]36 is too large"),
        ('process = hslider("g", 1, 0, 2, 1) + hslider("g", 0, 0, 1, 1);', "2 controls are called 'g'"),
        ('process = hslider("", 1, 0, 2, 1) + hslider("", 0, 0, 1, 1);', "2 controls have no label"),
        (f"process = {GAIN} * (ma.isinf(exp(1e4)) + ma.isinf(log(0.0)));", "infinity and of minus infinity"),
        (f'process = {GAIN} * ffunction(int mine(), "mine.h", "");', "the foreign function mine is not supported"),
        (f'process = {GAIN} * (0, 0 : soundfile("a", 1) : !, !, _);', r"soundfile\('a'\) is not supported"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_told_by_one_line(text, words):
    with pytest.raises(FaustError, match=words) as caught:
        program(text)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_exp_is_a_warp():
    synth = program('process = hslider("g [scale:exp]", 1, 1, 2, 0.01);', num_samples=1)
    assert synth.space.warp == ("exp",)
    theta = np.linspace(0, 1, 5)[:, None]
    expected = np.log(np.exp(1) + (np.exp(2) - np.exp(1)) * theta)
    np.testing.assert_allclose(synth.space.to_physical(theta), expected, rtol=1e-6)
    np.testing.assert_allclose(synth.space.to_unit(expected), theta, atol=1e-6)


def test_what_is_too_large_for_jax_is_told_before_it_is_compiled(monkeypatch):
    long = program(f"process = no.noise * {GAIN} : @(100000000);", num_samples=10)
    with pytest.raises(FaustError, match=r"mine: too large for JAX with 1 derivatives: .*, of at most 1,073,741,824"):
        jax.jacfwd(long)(jnp.array([0.5]))
    monkeypatch.setattr("sonimatch.faust.program.BYTES", 1 << 20)
    with pytest.raises(FaustError, match=r"bytes of delay lines and tables.* the longest has 134,217,728 entries"):
        long(jnp.array([0.5]))
    small = program(f"process = no.noise * {GAIN} : fi.lowpass(5, 1000);", num_samples=10)
    assert jnp.isfinite(small(jnp.array([0.5]))).all()
    monkeypatch.setattr("sonimatch.faust.program.OPERATIONS", 50)
    with pytest.raises(FaustError, match=r"JAX with 1 derivatives: \d+ operations a sample, of at most 50"):
        jax.jacfwd(small)(jnp.array([0.5]))
