"""Files of sound: read any recording, make it a target, write what was found.

Nothing else in the package opens an audio file.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile
import soxr
from numpy.typing import ArrayLike

MIN_SECONDS = 0.05
"""The shortest sound that can be a target, in seconds."""

SILENCE_DB = -90.0
"""A sound that never exceeds this level (decibels relative to full scale, 1.0) is silence."""

ONSET_DB = -60.0
"""A sound begins where it first exceeds this level, in decibels relative to its own peak."""


class AudioError(ValueError):
    """A file that is no sound, a sound that cannot be a target, or a sound that cannot be written."""


def read(path: str | os.PathLike[str]) -> tuple[np.ndarray, int]:
    """The samples `[n, channels]` (float32, full scale 1.0) and the sample rate (Hz) of a sound file.

    WAV, FLAC, OGG, and what else libsndfile knows, in any rate and any number of channels.
    Raises AudioError, with the path, when there is no such file, it is a folder, it is empty, it cannot be
    read, it is no sound file, or it has no samples.
    Shown in notebooks/your_own_sound.md.
    """
    path = Path(path)
    try:
        if path.is_dir():
            raise AudioError(f"{path} is a folder, not a sound file")
        if path.exists() and not path.is_file():
            raise AudioError(f"{path} is not a regular file")
        with path.open("rb") as file:
            if not file.read(1):
                raise AudioError(f"{path} is empty (0 bytes)")
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except OSError as error:
        raise AudioError(f"{path} cannot be read: {error.strerror}") from None
    except (soundfile.LibsndfileError, TypeError) as error:  # TypeError: headerless data, named .raw
        reason = getattr(error, "error_string", "it has no header").rstrip(".")
        raise AudioError(f"{path} is not a sound file that can be read ({reason})") from None
    if not len(samples):
        raise AudioError(f"{path} holds no sound (0 samples)")
    return samples, rate


def prepare(
    samples: ArrayLike, rate: int, target_rate: int, num_samples: int, *, trim: bool = True
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Make a recording a target: audio `[num_samples]` (float32, peak 1.0) at `target_rate` (Hz), and what was done.

    `samples [n, channels]` or `[n]` at `rate` (Hz) are mixed to mono (the mean of the channels), trimmed of the
    silence at the start (`trim`: a synthesizer sounds from its first sample on, and a lead of over 10 ms below
    `ONSET_DB` would be matched too), resampled (soxr, high quality), cut or padded with silence at the end, and
    scaled to a peak of 1.
    Each change that was needed is told in one line of the second result.

    Raises AudioError when samples are NaN or infinite, the sound lasts less than `MIN_SECONDS`, or it is silent.
    Shown in notebooks/your_own_sound.md.
    """
    samples = np.atleast_2d(np.asarray(samples, np.float32).T).T
    n, channels = samples.shape
    wanted = num_samples / target_rate
    notes = []
    if bad := np.count_nonzero(~np.isfinite(samples)):
        raise AudioError(f"{bad} of {samples.size} samples are not finite (NaN or infinite)")
    if n / rate < MIN_SECONDS:
        raise AudioError(f"the sound lasts {n / rate:.3g} s; at least {MIN_SECONDS:g} s is needed")

    audio = samples.mean(axis=1, dtype=np.float64)
    _refuse_silence(samples, "the sound is silent")
    _refuse_silence(audio, f"the {channels} channels cancel each other when mixed to mono: what is left is silent")
    if channels > 1:
        notes.append(f"mixed {channels} channels to mono")

    loud = np.abs(audio) > 10 ** (ONSET_DB / 20) * np.abs(audio).max()
    onset = min(int(loud.argmax()), n - round(MIN_SECONDS * rate))
    if trim and onset / rate > 0.01:
        audio = audio[onset:]
        notes.append(f"trimmed {onset / rate:.3g} s of silence at the start (below {ONSET_DB:g} dB of the peak)")

    seconds = len(audio) / rate
    audio = audio[: int((wanted + 0.1) * rate) + 1]  # a little more than needed, for the filter of the resampler
    if rate != target_rate:
        audio = soxr.resample(audio, rate, target_rate, quality="HQ")
        notes.append(f"resampled from {rate} Hz to {target_rate} Hz")
    audio = np.pad(audio[:num_samples], (0, max(0, num_samples - len(audio))))
    if abs(seconds - wanted) * target_rate >= 1:
        change = "cut" if seconds > wanted else "padded with silence"
        notes.append(f"{change} from {seconds:.4g} s to {wanted:.4g} s")

    _refuse_silence(audio, f"the first {wanted:.3g} s, all that the synthesizer's length can hold, are silent")
    peak = np.abs(audio).max()
    if abs(peak - 1) > 1e-6:
        notes.append(f"scaled from a peak of {peak:.3g} to a peak of 1 ({-20 * np.log10(peak):+.1f} dB)")
    return (audio / peak).astype(np.float32), tuple(notes)


def is_silent(audio: ArrayLike) -> bool:
    """Whether no sample of `audio` exceeds `SILENCE_DB`."""
    return bool(np.abs(np.asarray(audio)).max(initial=0) <= 10 ** (SILENCE_DB / 20))


def _refuse_silence(audio: np.ndarray, message: str) -> None:
    if is_silent(audio):
        raise AudioError(f"{message} (no sample above {SILENCE_DB:g} dB of full scale)")


def write(path: str | os.PathLike[str], audio: ArrayLike, rate: int) -> None:
    """Write audio `[n]` or `[n, channels]` at `rate` (Hz) as a 32-bit float WAV file, whole or not at all.

    When `path` ends in `.flac` it is a 16-bit FLAC file instead, which clips beyond full scale; in `.opus`, an Ogg Opus
    file at 48000 Hz, about 70 kbit/s, which alters the sound a little.

    The same sound gives the same bytes, but for Opus; values beyond full scale (1.0) are kept.
    Raises AudioError when there are no samples or some are NaN or infinite, and OSError when the file cannot be
    written.
    Shown in notebooks/your_own_sound.md.
    """
    from scipy.io import wavfile  # libsndfile would put the time of day into the file

    audio = np.asarray(audio, np.float32)
    if not audio.size or not np.isfinite(audio).all():
        raise AudioError(f"{path}: {'NaN or infinite samples' if audio.size else 'no samples'} cannot be written")
    with replacing(path) as file:
        if str(path).endswith(".flac"):
            soundfile.write(file, audio, rate, format="FLAC", subtype="PCM_16")
        elif str(path).endswith(".opus"):
            soundfile.write(file, soxr.resample(audio, rate, 48_000), 48_000, format="OGG", subtype="OPUS")
        else:
            wavfile.write(file, rate, audio)


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """A file to write to that takes the place of `path` when the block ends without an error, and else vanishes.

    No reader ever sees half a file.
    Raises OSError when it cannot be written.
    """
    path = Path(path).resolve()
    if path.exists() and not path.is_file():
        raise FileExistsError(f"{path} is there and is not a regular file")
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            yield file
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
