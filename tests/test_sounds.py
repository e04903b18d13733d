"""The sound that the book matches is what its script makes."""

import importlib.util
import wave
from pathlib import Path

import numpy as np

SOUNDS = Path(__file__).resolve().parents[1] / "notebooks" / "sounds"


def test_the_surf_is_what_its_script_makes():
    """At most one step of 16 bits apart: `sin`, `tan` and `exp` may differ in their last digit between machines."""
    spec = importlib.util.spec_from_file_location("make_surf", SOUNDS / "make_surf.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    with wave.open(str(SOUNDS / "surf.wav")) as file:
        assert (file.getnchannels(), file.getframerate(), file.getsampwidth()) == (2, script.RATE, 2)
        stored = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2)
    made = script.surf()
    assert made.shape == stored.shape
    assert np.abs(made.astype(int) - stored).max() <= 1
    assert (SOUNDS / "surf.wav").stat().st_size < 200_000
