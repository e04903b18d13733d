"""`findings/`: what each script declares, and what its surprise means for this package."""

import re
import stat
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from sonimatch import Adam, RMSProp, audio
from sonimatch.faust import FaustSynth

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = sorted((ROOT / "findings").glob("*.sh"))
scripts = pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)


def fields(text: str) -> dict[str, str]:
    """The header of a script: `# Name: words`, and lines that begin with `#   ` go on."""
    header = text.partition("set -euo pipefail")[0].replace("\n#   ", " ")
    return dict(re.findall(r"^# ([A-Z][\w ]*): (.+)$", header, re.MULTILINE))


def pins(text: str) -> dict[str, str]:
    return dict(re.findall(r"(?<![\w=])([\w-]+)==(\d[\w.]*)", text))


@scripts
def test_a_finding_says_what_was_guessed_and_what_was_seen(path):
    header = fields(path.read_text(encoding="utf-8"))
    assert header.keys() - {"Test"} == {"Title", "Package", "Guess", "Seen", "For us"}
    assert all(header.values())


@scripts
def test_a_finding_stands_alone(path):
    """It installs pinned packages, the versions that its header names, in a folder of its own, and no `sonimatch`."""
    text = path.read_text(encoding="utf-8")
    assert text.startswith("#!/usr/bin/env bash\n")
    assert path.stat().st_mode & stat.S_IXUSR
    assert "set -euo pipefail" in text
    assert "mktemp -d" in text
    assert "trap 'rm -rf" in text
    assert "assert " in text
    assert "sonimatch" not in text
    assert len(text.splitlines()) <= 60
    installs = " ".join(re.findall(r"pip\" install ((?:.*\\\n)*.*)", text)).replace("\\\n", " ").split()
    packages = [word for word in installs if not word.startswith("-")]
    assert packages
    assert all("==" in word for word in packages), "each package is pinned"
    named = dict(re.findall(r"([\w-]+) (\d[\w.]*)", re.sub(r"\(.*?\)", "", fields(text)["Package"])))
    assert named
    assert named.items() <= pins(text).items()


@scripts
def test_the_test_that_a_finding_names_exists(path):
    where = fields(path.read_text(encoding="utf-8")).get("Test")
    if where:
        file, name = where.split("::")
        assert f"def {name}(" in (ROOT / file).read_text(encoding="utf-8")


def test_the_rules_can_be_broken():
    assert fields("# Title: A\n# Seen: b\n#   c\nset -euo pipefail\n# Guess: d") == {"Title": "A", "Seen": "b c"}
    assert pins("a==1.2 b-c==0.3.0 d>=1") == {"a": "1.2", "b-c": "0.3.0"}


# ------------------------------------------------------------------------------------------- what it means here


@pytest.mark.parametrize(
    "search", [RMSProp(), Adam(), RMSProp(clip_norm=0.01), RMSProp(clip_norm=None), Adam(clip_norm=None)], ids=str
)
def test_a_huge_gradient_is_clipped_not_lost(search):
    """findings/optax_clip.sh: the first move is the same for slopes of 1e2 and of 1e30, whose square overflows."""

    def move(slope):
        state = search.init(jnp.array([0.5, 0.5]), jax.random.key(0))
        after, _ = search.step(state, lambda theta: slope * (theta[0] - 0.5 * theta[1]), jax.random.key(0))
        return np.asarray(after[0] - state[0])

    assert np.abs(move(1e30)).min() > 0.01
    np.testing.assert_allclose(move(1e30), move(1e2), rtol=1e-5)


@pytest.mark.parametrize("size", [0.0, 1e-6, 0.6, 1.0, 1e3, 1e10])
def test_an_ordinary_gradient_is_clipped_as_optax_clips_it(size):
    gradient = size * jnp.array([0.8, -0.7, 1e-3])
    expected, _ = optax.clip_by_global_norm(1.0).update(gradient, optax.EmptyState())
    np.testing.assert_allclose(RMSProp()._clip(gradient, None), jax.tree.leaves(expected)[0], rtol=1e-6)


def first_sample(expression: str, value: float) -> tuple[float, float]:
    """Of a program with one slider `x`, in JAX and in native code."""
    text = f'x = hslider("x", 0, -8, 8, 0.1); process = {expression};'
    synth = FaustSynth("one", text, num_samples=1)
    theta = np.array([(value + 8) / 16])  # exact
    with jax.enable_x64(True):
        return float(synth(theta)[0]), float(synth.render_native(theta)[0])


@pytest.mark.parametrize("value", [-7.0, -7.5, -2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 4.5, 7.0, 7.25])
@pytest.mark.parametrize("expression", ["x % 3", "x, 3 : fmod", "x, 3 : remainder", "round(x)", "rint(x)"])
def test_remainders_and_halves_are_those_of_c(expression, value):
    """findings/faust_remainder_round.sh: the JAX text alone has the sign of the divisor and halves to even."""
    in_jax, native = first_sample(expression, value)
    assert abs(in_jax - native) < 1e-9


def test_rounding_just_below_a_half():
    below = float(np.nextafter(0.5, 0))
    synth = FaustSynth("below", f'process = round({below!r} + hslider("x", 0, 0, 1, 0.1));', num_samples=1)
    with jax.enable_x64(True):
        assert float(synth(np.zeros(1))[0]) == float(synth.render_native(np.zeros(1))[0]) == 0


@pytest.mark.parametrize("default", [0.3, 0.5, 0.7])
def test_the_default_of_a_number_entry_survives(default):
    """findings/faust_nentry.sh: libfaust's own architecture rounds it to a whole number of units."""
    synth = FaustSynth("entry", f'process = nentry("x", {default}, 0, 1, 0.1);', num_samples=1)
    assert synth.space.default == (default,)
    with jax.enable_x64(True):
        assert abs(float(synth(np.array([default]))[0]) - default) < 1e-9


def test_the_warp_of_a_log_slider_is_geometric():
    """findings/faust_sliders.sh: there, half-way from 1 to 10,000 Hz stands 9,248 Hz."""
    synth = FaustSynth("warp", 'process = hslider("f[scale:log]", 100, 1, 10000, 1);', num_samples=1)
    with jax.enable_x64(True):
        np.testing.assert_allclose(synth(np.array([0.5])), 100, rtol=1e-9)


def test_double_precision_stays_inside():
    """findings/faust_double_header.sh: the header of libfaust's text would switch the whole process."""
    synth = FaustSynth("inside", 'process = hslider("x", 0.1, 0, 1, 0.1);', num_samples=1, precision="double")
    assert synth(np.zeros(1)).dtype == jnp.float32
    assert jnp.asarray(0.1).dtype == jnp.float32


def test_resampled_silence_is_silent():
    """findings/soxr_dither.sh: 16-bit silence would come back with a quarter of its samples at -1 or 1."""
    samples = np.zeros(48_000, np.int16)
    samples[:4800] = np.random.default_rng(0).integers(-20_000, 20_000, 4800)
    target, notes = audio.prepare(samples, 48_000, 44_100, 44_100)
    assert any("resampled" in note for note in notes)
    assert not target[8820:].any()
