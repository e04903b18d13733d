"""Files of sound: read any recording, make it a target, write what was found.

Nothing else in the package opens an audio file.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

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

READ_SECONDS = 60.0
"""As much of a recording is read for a target, in seconds, from where it is not silent."""

_BLOCK = 65_536  # frames


class AudioError(ValueError):
    """A file that is no sound, a sound that cannot be a target, or a sound that cannot be written."""


class Recording(NamedTuple):
    """The beginning of a stretch of a sound file: `samples [n]` in mono (float32, full scale 1.0) at `rate` (Hz).

    The stretch lasts `seconds`, the whole file `file_seconds`; `notes` says what was done, a line each.
    """

    samples: np.ndarray
    rate: int
    seconds: float
    file_seconds: float
    notes: tuple[str, ...]


def read(path: str | os.PathLike[str]) -> tuple[np.ndarray, int]:
    """The samples `[n, channels]` (float32, full scale 1.0) and the sample rate (Hz) of a sound file.

    WAV, FLAC, OGG, and what else libsndfile knows, in any rate and any number of channels.
    Of a WAV file that ends before its header says so, or whose header was never filled in, what is there.
    Raises AudioError, with the path, when there is no such file, it is a folder, it is empty, it cannot be
    read, it is no sound file, or it has no samples.
    Shown in notebooks/your_own_sound.md.
    """
    with _opened(path) as (file, _):
        return file.read(dtype="float32", always_2d=True), file.samplerate


def read_mono(
    path: str | os.PathLike[str],
    start_seconds: float = 0.0,
    seconds: float | None = None,
    at_most_seconds: float = READ_SECONDS,
) -> Recording:
    """Read no more of a file than a target needs: its stretch of `seconds` (default: to the end) from `start_seconds`.

    It is read in blocks, each mixed to mono (the mean of the channels), so that the memory taken does not depend on
    the length of the file: without the silence (to the last bit) that it may begin with, at most `at_most_seconds`.
    Raises AudioError as `read` does, and when the stretch is not in the file or the channels cancel each other.
    """
    with _opened(path) as (file, notes):
        rate, frames = file.samplerate, file.frames
        first = round(start_seconds * rate)
        if not 0 <= first < frames or (seconds is not None and seconds <= 0):
            length = "" if seconds is None else f" of {seconds:g} s"
            raise AudioError(
                f"{path} lasts {frames / rate:.4g} s; it has no stretch{length} from {start_seconds:g} s on"
            )
        last = frames if seconds is None else min(frames, first + max(1, round(seconds * rate)))
        if last - first < frames:
            notes.append(f"taken from {first / rate:.4g} s to {last / rate:.4g} s, of {frames / rate:.4g} s")
        if file.channels > 1:
            notes.append(f"mixed {file.channels} channels to mono")
        file.seek(first)
        skipped, parts, loudest = 0, [np.zeros(0, np.float32)], 0.0
        for block in file.blocks(_BLOCK, frames=last - first, dtype="float32", always_2d=True):
            if len(parts) == 1 and first + skipped + len(block) < last and not np.ptp(block, axis=0).any():
                skipped += len(block)
                continue
            parts.append(block.mean(axis=1))
            loudest = max(loudest, float(np.ptp(block, axis=0).max()))
            if sum(map(len, parts)) >= at_most_seconds * rate:
                break
        samples = np.concatenate(parts)
        if loudest > 2 * 10 ** (SILENCE_DB / 20) and _is_constant(samples):
            raise AudioError(f"{path}: {_cancelled(file.channels)}")
        if skipped:
            notes.append(f"passed over {skipped / rate:.4g} s of silence at the start")
    return Recording(samples, rate, (last - first - skipped) / rate, frames / rate, tuple(notes))


@contextmanager
def _opened(path: str | os.PathLike[str]) -> Iterator[tuple[soundfile.SoundFile, list[str]]]:
    """A sound file that has samples, and what there is to say about it; its errors become AudioErrors."""
    path = Path(path)
    try:
        if path.is_dir():
            raise AudioError(f"{path} is a folder, not a sound file")
        if path.exists() and not path.is_file():
            raise AudioError(f"{path} is not a regular file")
        with _Wav(path) as stream:
            if not stream.bytes:
                raise AudioError(f"{path} is empty (0 bytes)")
            with soundfile.SoundFile(stream if stream.unfilled else path) as file:
                if not file.frames:
                    raise AudioError(f"{path} holds no sound (0 samples)")
                yield file, stream.notes
    except OSError as error:
        raise AudioError(f"{path} cannot be read: {error.strerror}") from None
    except (soundfile.LibsndfileError, TypeError) as error:  # TypeError: headerless data, named .raw
        reason = getattr(error, "error_string", "it has no header").rstrip(".")
        raise AudioError(f"{path} is not a sound file that can be read ({reason})") from None


class _Wav(io.FileIO):
    """A file whose WAV header, if it has one, promises as many bytes of sound as there are when it promises none.

    A recorder that was switched off leaves a 0 there. Source: Microsoft and IBM, "Multimedia programming interface and
    data specifications 1.0", 1991: chunks of four letters, a size, and as many bytes, padded to an even number.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.bytes, self.unfilled, self.notes = os.fstat(self.fileno()).st_size, 0, []
        if super().read(4) == b"RIFF":
            self.seek(12)
            while len(head := super().read(8)) == 8:
                size, there = int.from_bytes(head[4:], "little"), self.bytes - self.tell()
                if head[:4] == b"data":
                    if size == 0 < there:
                        self.unfilled, self.size = self.tell() - 4, min(there, 2**32 - 1).to_bytes(4, "little")
                        self.notes.append("its header says that it holds no sound; all that follows is taken")
                    elif there < size < 2**31 - 2**16:  # about 2^31 and 2^32 - 1 stand for: not known beforehand
                        self.notes.append(f"the file is cut short: {there} of {size} bytes of sound are there")
                    break
                self.seek(size + size % 2, os.SEEK_CUR)
        self.seek(0)

    def readinto(self, buffer: Any) -> int:
        start, view = self.tell(), memoryview(buffer).cast("B")
        count = super().readinto(view)
        for place in range(max(start, self.unfilled), min(start + count, self.unfilled + 4) if self.unfilled else 0):
            view[place - start] = self.size[place - self.unfilled]
        return count


def prepare(
    samples: ArrayLike,
    rate: int,
    target_rate: int,
    num_samples: int,
    *,
    trim: bool = True,
    seconds: float | None = None,
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Make a recording a target: audio `[num_samples]` (float32, peak 1.0) at `target_rate` (Hz), and what was done.

    `samples [n, channels]` or `[n]` at `rate` (Hz) are mixed to mono (the mean of the channels), trimmed of silence
    and noise at the start (`trim`: a synthesizer sounds from its first sample on, and a lead of over 10 ms would be
    matched too; see `onset_of`), freed of a constant offset, resampled (soxr, high quality), cut or padded with
    silence at the end, and scaled to a peak of 1.
    `seconds`: the length of the recording when `samples` is only its beginning.
    Each change that was needed is told in one line of the second result.

    Raises AudioError when samples are NaN or infinite, the sound lasts less than `MIN_SECONDS`, or it is silent or
    constant.
    Shown in notebooks/your_own_sound.md.
    """
    samples = np.atleast_2d(np.asarray(samples, np.float32).T).T
    n, channels = samples.shape
    length = n / rate if seconds is None else seconds
    wanted = num_samples / target_rate
    notes = []
    if bad := np.count_nonzero(~np.isfinite(samples)):
        raise AudioError(f"{bad} of {samples.size} samples are not finite (NaN or infinite)")
    if n / rate < MIN_SECONDS:
        raise AudioError(f"the sound lasts {n / rate:.3g} s; at least {MIN_SECONDS:g} s is needed")

    audio = samples[:, 0] if channels == 1 else samples.mean(axis=1, dtype=np.float64)
    _refuse_silence(samples, "the sound")
    if _is_constant(audio):
        raise AudioError(_cancelled(channels))
    if channels > 1:
        notes.append(f"mixed {channels} channels to mono")

    if trim:
        onset, lead = onset_of(audio, rate)
        left = wanted if length > n / rate else MIN_SECONDS  # of a recording that goes on there is enough
        onset = min(onset, n - round(left * rate))
        if onset / rate > 0.01:
            audio, length = audio[onset:], length - onset / rate
            notes.append(f"trimmed {onset / rate:.3g} s of {lead}")

    audio = audio[: int((wanted + 0.1) * rate) + 1]  # a little more than needed, for the filter of the resampler
    offset = _offset(audio[: max(1, round(wanted * rate))])
    if offset:
        audio = audio - offset
        notes.append(f"removed a constant offset of {offset:.3g}")
    if rate != target_rate:
        audio = soxr.resample(audio, rate, target_rate, quality="HQ")
        notes.append(f"resampled from {rate} Hz to {target_rate} Hz")
    audio = np.pad(audio[:num_samples], (0, max(0, num_samples - len(audio))))
    if abs(length - wanted) * target_rate >= 1:
        change = "cut" if length > wanted else "padded with silence"
        notes.append(f"{change} from {length:.4g} s to {wanted:.4g} s")

    _refuse_silence(audio, f"the first {wanted:.3g} s, all that the synthesizer's length can hold,")
    peak = np.abs(audio).max()
    if abs(peak - 1) > 1e-6:
        notes.append(f"scaled from a peak of {peak:.3g} to a peak of 1 ({-20 * np.log10(peak):+.1f} dB)")
    return (audio / peak).astype(np.float32), tuple(notes)


def onset_of(audio: np.ndarray, rate: int) -> tuple[int, str]:
    """Where the sound in `audio [n]` begins, as an index, and what comes before it, in words.

    Silence ends where the sound first leaves the level at which it begins (any constant) by more than `ONSET_DB` of its
    peak. If the level (of frames of 10 ms, without their mean) then stays even for 50 ms or longer, over 30 dB below
    the loudest frame, and rises within 20 ms by over 12 dB above all before, that lead was noise, and the sound begins
    where it first exceeds the lead's peak by half. What fades in is too slow for that and stays whole.
    """
    frame = max(1, round(0.01 * rate))
    rest = np.abs(audio - np.median(audio[:frame]))
    onset = int((rest > 10 ** (ONSET_DB / 20) * rest.max()).argmax())
    if onset + 8 * frame > len(audio):
        return onset, f"silence at the start (below {ONSET_DB:g} dB of the peak)"
    frames = audio[onset:][: (len(audio) - onset) // frame * frame].reshape(-1, frame)
    level = 20 * np.log10(frames.std(axis=1) + 1e-12)
    before = np.maximum.accumulate(level)[4:-3]  # the lead's loudest frame, for a rise that begins in frame 5 and later
    rises = (np.maximum(level[6:-1], level[7:]) > before + 12) & (before < level.max() - 30)
    lead = 5 + int(rises.argmax())
    if rises.any() and before[lead - 5] - np.median(level[:lead]) < 6:
        noise = frames[:lead]
        rest = np.abs(audio[onset + lead * frame :] - noise.mean())
        peak = np.abs(noise - noise.mean()).max()
        text = f"noise at the start ({np.median(level[:lead]) - level.max():.0f} dB of the sound's level)"
        return onset + lead * frame + int((rest > 1.5 * peak).argmax()), text
    return onset, f"silence at the start (below {ONSET_DB:g} dB of the peak)"


def _offset(audio: np.ndarray) -> float:
    """The mean of `audio [n]` if it is that of a constant offset, else 0.

    It is when it exceeds -80 dB of the peak and five standard errors, from the means of eight parts: what swings
    has a mean, too, and another in each part.
    """
    mean = float(audio.mean(dtype=np.float64))
    parts = np.array([part.mean(dtype=np.float64) for part in np.array_split(audio, 8)])
    error = parts.std(ddof=1) / np.sqrt(len(parts))
    return mean if abs(mean) > max(1e-4 * np.abs(audio - mean).max(), 5 * error) else 0.0


def is_silent(audio: ArrayLike) -> bool:
    """Whether no sample of `audio` exceeds `SILENCE_DB`."""
    return bool(np.abs(np.asarray(audio)).max(initial=0) <= 10 ** (SILENCE_DB / 20))


def _is_constant(audio: np.ndarray) -> bool:
    return is_silent(audio - audio.mean(axis=0, dtype=np.float64).astype(audio.dtype))


def _cancelled(channels: int) -> str:
    return f"the {channels} channels cancel each other when mixed to mono: what is left is silent"


def _refuse_silence(audio: np.ndarray, what: str) -> None:
    verb = "are" if what.endswith(",") else "is"
    if is_silent(audio):
        raise AudioError(f"{what} {verb} silent (no sample above {SILENCE_DB:g} dB of full scale)")
    if _is_constant(audio):
        raise AudioError(f"{what} {verb} a constant, {audio.mean():.3g}, and no sound")


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
