"""Files of sound: what is read, what becomes of it as a target, and what is written."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from sonimatch import audio
from sonimatch.audio import AudioError


def sine(rate: int, seconds: float = 1.0, frequency: float = 440.0, level: float = 0.5) -> np.ndarray:
    return (level * np.sin(2 * np.pi * frequency * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


# ------------------------------------------------------------------------------------------------- read


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize(
    ("suffix", "subtype", "tolerance"),
    [("wav", "FLOAT", 0), ("wav", "PCM_16", 2**-15), ("flac", "PCM_24", 2**-23), ("ogg", "VORBIS", 0.05)],
)
def test_reads_each_format_in_mono_and_stereo(tmp_path, suffix, subtype, tolerance, channels):
    written = np.stack([sine(22_050), sine(22_050, frequency=660)], axis=1)[:, :channels]
    path = tmp_path / f"sound.{suffix}"
    soundfile.write(path, written, 22_050, subtype=subtype)
    samples, rate = audio.read(path)
    assert samples.shape == written.shape
    assert samples.dtype == np.float32
    assert rate == 22_050
    np.testing.assert_allclose(samples, written, rtol=0, atol=tolerance)


def test_reads_a_path_given_as_text(tmp_path):
    soundfile.write(tmp_path / "sound.wav", sine(8_000), 8_000)
    assert audio.read(str(tmp_path / "sound.wav"))[1] == 8_000


def test_refuses_what_is_no_sound_file_and_names_it(tmp_path):
    def refused(name: str, reason: str) -> None:
        with pytest.raises(AudioError, match=reason) as error:
            audio.read(tmp_path / name)
        assert str(tmp_path / name) in str(error.value)
        assert "\n" not in str(error.value)

    refused("absent.wav", "No such file")
    (tmp_path / "folder.wav").mkdir()
    refused("folder.wav", "is a folder")
    (tmp_path / "empty.wav").touch()
    refused("empty.wav", r"empty \(0 bytes\)")
    for name in ("text.wav", "text.txt", "text.raw", "text.flac"):
        (tmp_path / name).write_text("This is not a sound, although it may be called one.\n" * 9)
        refused(name, "is not a sound file")
    soundfile.write(tmp_path / "none.wav", np.zeros((0, 2)), 44_100)
    refused("none.wav", "0 samples")
    soundfile.write(tmp_path / "whole.wav", sine(8_000), 8_000)
    (tmp_path / "header.wav").write_bytes((tmp_path / "whole.wav").read_bytes()[:20])
    refused("header.wav", "header.wav")


def test_refuses_a_device():
    with pytest.raises(AudioError, match="not a regular file"):
        audio.read("/dev/zero")


def wav(path: Path, size: int | None = None, cut: int = 0, **settings) -> np.ndarray:
    """A file of a second of sound, with the data size `size` in its header, and `cut` bytes missing at its end."""
    sound = np.stack([sine(8_000), sine(8_000, frequency=660)], 1)
    soundfile.write(path, sound, 8_000, **settings)
    content = bytearray(path.read_bytes())
    place = content.index(b"data") + 4
    if size is not None:
        content[place : place + 4] = size.to_bytes(4, "little")
    path.write_bytes(content[: len(content) - cut])
    return sound


@pytest.mark.parametrize("subtype", ["PCM_16", "FLOAT"])
def test_a_wav_that_was_not_closed_or_is_cut_short_gives_what_is_there(tmp_path, subtype):
    path, width = tmp_path / "sound.wav", {"PCM_16": 4, "FLOAT": 8}[subtype]
    sound = wav(path, size=0, subtype=subtype)
    np.testing.assert_allclose(audio.read(path)[0], sound, atol=2**-15)
    recording = audio.read_mono(path)
    np.testing.assert_allclose(recording.samples, sound.mean(1), atol=2**-15)
    assert recording.notes[0] == "its header says that it holds no sound; all that follows is taken"
    wav(path, cut=3_000 * width + 1, subtype=subtype)
    recording = audio.read_mono(path)
    np.testing.assert_allclose(recording.samples, sound[:4_999].mean(1), atol=2**-15)
    assert (
        recording.notes[0] == f"the file is cut short: {5_000 * width - 1} of {8_000 * width} bytes of sound are there"
    )
    for unknown in (2**32 - 1, 2**31 - 2**12):  # written to a pipe
        wav(path, size=unknown, subtype=subtype)
        assert audio.read_mono(path).notes == ("mixed 2 channels to mono",)
        assert len(audio.read(path)[0]) == 8_000


def test_a_stretch_is_read_and_told(tmp_path):
    path = tmp_path / "sound.wav"
    sound = np.arange(80_000, dtype=np.float32) / 80_000
    soundfile.write(path, np.stack([sound, 0 * sound], 1), 8_000, subtype="FLOAT")
    recording = audio.read_mono(path, start_seconds=2.5, seconds=1.25)
    np.testing.assert_array_equal(recording.samples, sound[20_000:30_000] / 2)
    assert recording[1:] == (
        8_000, 1.25, 10.0, ("taken from 2.5 s to 3.75 s, of 10 s", "mixed 2 channels to mono")
    )  # fmt: skip
    recording = audio.read_mono(path, start_seconds=9.5, seconds=3)
    np.testing.assert_array_equal(recording.samples, sound[76_000:] / 2)
    assert recording.seconds == 0.5
    for start, seconds in ((10, None), (11, 1), (-1, None), (0, 0), (0, -1)):
        with pytest.raises(AudioError, match=r"sound\.wav lasts 10 s; it has no stretch") as error:
            audio.read_mono(path, start, seconds)
        assert "\n" not in str(error.value)
    soundfile.write(path, np.stack([sound, -sound], 1), 8_000, subtype="FLOAT")
    with pytest.raises(AudioError, match="2 channels cancel each other"):
        audio.read_mono(path)


def test_no_more_is_read_than_a_target_needs(tmp_path):
    """The sound begins after 90 s of silence, and 60 s of it are read: a lead of noise, then a tone."""
    path, rate = tmp_path / "long.flac", 8_000
    noise = np.random.default_rng(0).normal(scale=0.002, size=60 * rate)
    tone = sine(rate, 1.0)
    sound = np.concatenate([np.zeros(90 * rate), noise[: 30 * rate], np.tile(tone, 60)])
    soundfile.write(path, sound, rate)
    recording = audio.read_mono(path)
    assert (recording.rate, recording.file_seconds) == (rate, 180.0)
    assert 60 * rate <= len(recording.samples) < 60 * rate + 65_536
    skipped = 180 - recording.seconds
    assert recording.notes == (f"passed over {skipped:.4g} s of silence at the start",)
    assert 80 < skipped <= 90
    target, notes = audio.prepare(recording.samples, rate, rate, rate, seconds=recording.seconds)
    assert notes[0].startswith(f"trimmed {120 - skipped:.3g} s of noise at the start")
    assert "cut from 60 s to 1 s" in notes
    np.testing.assert_allclose(np.abs(np.fft.rfft(target)).argmax(), 440)
    late = np.concatenate([noise, tone, tone])  # so late that too little of it was read
    target, notes = audio.prepare(late[: 60 * rate + 100], rate, rate, rate, seconds=62.0)
    assert "padded" not in " ".join(notes)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the kernel does not tell the most memory taken")
def test_the_memory_of_reading_does_not_depend_on_the_length(tmp_path):
    """20 minutes of stereo: under 300 MB at the most, in a process of its own, 85 of which are the libraries'."""
    path = tmp_path / "long.wav"
    block = np.random.default_rng(0).normal(scale=0.1, size=(44_100 * 20, 2)).astype(np.float32)
    with soundfile.SoundFile(path, "w", 44_100, 2, "PCM_16") as file:
        for _ in range(60):
            file.write(block)
    program = (
        "import re, sys; from sonimatch import audio; r = audio.read_mono(sys.argv[1]);"
        "audio.prepare(r.samples, r.rate, 44_100, 44_100, seconds=r.seconds);"
        "print(len(r.samples), re.search(r'VmHWM:\\s+(\\d+) kB', open('/proc/self/status').read())[1])"
    )
    done = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True, check=True)
    read, most_kb = map(int, done.stdout.split())
    assert 60 * 44_100 <= read < 62 * 44_100
    assert most_kb < 300_000


# ------------------------------------------------------------------------------------------------- prepare


@pytest.mark.parametrize("rate", [48_000, 8_000])
def test_resampling_keeps_frequency_and_level(rate):
    target, notes = audio.prepare(sine(rate, 1.5, level=0.5), rate, 44_100, 44_100)
    assert target.shape == (44_100,)
    assert target.dtype == np.float32
    assert np.abs(np.fft.rfft(target)).argmax() == 440
    middle = target[4_410:-4_410]
    assert np.sqrt(2 * np.mean(np.square(middle, dtype=np.float64))) == pytest.approx(1, rel=0.01)
    assert f"resampled from {rate} Hz to 44100 Hz" in notes
    assert "cut from 1.5 s to 1 s" in notes
    assert np.abs(target).max() == 1


def test_resampling_keeps_the_level_beside_another_sine():
    both = sine(48_000, level=0.4) + sine(48_000, frequency=1_000, level=0.1)
    spectrum = np.abs(np.fft.rfft(audio.prepare(both, 48_000, 44_100, 44_100)[0]))
    assert spectrum[1_000] / spectrum[440] == pytest.approx(0.25, rel=1e-3)


def test_what_would_alias_is_gone():
    low = sine(48_000, level=0.5)
    target, _ = audio.prepare(low + sine(48_000, frequency=23_500, level=0.5), 48_000, 44_100, 44_100)
    spectrum = np.abs(np.fft.rfft(target))
    assert spectrum[20_600] < 1e-3 * spectrum[440]  # 44100 - 23500


def test_a_target_that_fits_is_used_as_it_is():
    sound = sine(8_000)
    sound /= np.abs(sound).max()
    target, notes = audio.prepare(sound, 8_000, 8_000, 8_000)
    assert notes == ()
    np.testing.assert_array_equal(target, sound)


def test_mixes_the_mean_of_the_channels():
    left, right = sine(8_000), sine(8_000, frequency=1_000)
    target, notes = audio.prepare(np.stack([left, right], 1), 8_000, 8_000, 8_000)
    mean = (left + right) / 2
    np.testing.assert_allclose(target, mean / np.abs(mean).max(), atol=1e-6)
    assert notes[0] == "mixed 2 channels to mono"


def test_pads_with_silence_and_cuts_at_the_end():
    sound = sine(8_000, 0.5)
    target, notes = audio.prepare(sound, 8_000, 8_000, 8_000)
    np.testing.assert_allclose(target[:4_000], sound / np.abs(sound).max(), atol=1e-6)
    assert not target[4_000:].any()
    assert "padded with silence from 0.5 s to 1 s" in notes
    target, notes = audio.prepare(sound, 8_000, 8_000, 1_000)
    np.testing.assert_allclose(target, sound[:1_000] / np.abs(sound[:1_000]).max(), atol=1e-6)
    assert "cut from 0.5 s to 0.125 s" in notes


def test_trims_silence_at_the_start_unless_told_otherwise():
    sound = sine(8_000, 1.0, frequency=441)
    late = np.concatenate([np.zeros(2_000, np.float32), sound])
    trimmed, notes = audio.prepare(late, 8_000, 8_000, 4_000)
    np.testing.assert_allclose(trimmed, (sound / np.abs(sound).max())[1:4_001], atol=1e-3)  # sin(0) is silent, too
    assert "trimmed 0.25 s of silence at the start (below -60 dB of the peak)" in notes
    kept, notes = audio.prepare(late, 8_000, 8_000, 4_000, trim=False)
    assert not kept[:2_000].any()
    assert not any("trimmed" in note for note in notes)
    shortly, notes = audio.prepare(late[1_960:], 8_000, 8_000, 4_000)  # 5 ms are no silence
    assert not shortly[:40].any()
    assert not any("trimmed" in note for note in notes)


def band_noise(rng, rate: int = 44_100, seconds: float = 1.0) -> np.ndarray:
    """Noise between 60 and 500 Hz with a peak of 1, as a band-pass synthesizer makes it."""
    spectrum = np.fft.rfft(rng.uniform(-1, 1, round(seconds * rate)))
    frequency = np.fft.rfftfreq(round(seconds * rate), 1 / rate)
    sound = np.fft.irfft(spectrum * (frequency > 60) / (1 + (frequency / 500) ** 4))
    return sound / np.abs(sound).max()


SOUNDS = {
    "noise": band_noise,
    "hiss": lambda rng: rng.uniform(-1, 1, 44_100),
    "tone": lambda _: sine(44_100, level=1.0),
    "hit": lambda _: sine(44_100, frequency=180) * np.exp(-8 * np.arange(44_100) / 44_100),
    "swell": lambda rng: rng.uniform(-1, 1, 44_100) * np.sin(np.pi * np.arange(44_100) / 44_100) ** 2,
}


@pytest.mark.parametrize("kind", SOUNDS)
@pytest.mark.parametrize("offset", [0.1, -0.03])
def test_a_constant_offset_is_removed_and_told(kind, offset, rng):
    """Within 1 % of full scale, the sound's own mean; the offset is 3 % or more of it."""
    sound = SOUNDS[kind](rng)
    target, plain = audio.prepare(sound, 44_100, 44_100, 44_100)
    shifted, notes = audio.prepare(sound + offset, 44_100, 44_100, 44_100)
    told = [note for note in notes if note.startswith("removed a constant offset of ")]
    assert len(told) == 1
    assert float(told[0].split()[-1]) == pytest.approx(offset, abs=0.01)
    assert not [note for note in plain if "offset" in note]
    assert np.abs(shifted - target).max() < 0.01


@pytest.mark.parametrize("offset", [0.0, 0.001, 0.1, -0.4])
@pytest.mark.parametrize("level_db", [-np.inf, -70, -50, -45])
@pytest.mark.parametrize("kind", ["noise", "hiss", "tone", "hit"])
def test_the_lead_is_trimmed_whatever_its_offset_and_noise(kind, level_db, offset, rng):
    """What is cut ends within 2 ms of where the sound begins: no attack is lost, and no lead is left."""
    lead = 13_000
    noisy = 10 ** (level_db / 20) * rng.normal(size=lead + 44_100) + offset
    noisy[lead:] += SOUNDS[kind](rng)
    onset, _ = audio.onset_of(noisy, 44_100)
    assert abs(onset - lead) < 88
    _, notes = audio.prepare(noisy, 44_100, 44_100, 44_100)
    assert any(note.startswith("trimmed 0.29") for note in notes)


@pytest.mark.parametrize("rate", [8_000, 44_100, 96_000])
def test_noise_fades_and_soft_beginnings_are_no_lead(rate, rng):
    """Nothing over 10 ms is trimmed from sounds that begin softly or are noise throughout."""
    t = np.arange(2 * rate) / rate
    hiss, floor = rng.normal(size=2 * rate) / 4, 0.001 * rng.normal(size=2 * rate)
    two_hits = sine(rate, 2.0) * (0.02 * np.exp(-20 * t) + (t > 0.5) * np.exp(-8 * abs(t - 0.5)))
    for sound in (
        hiss,
        0.003 * hiss,
        hiss * t,
        hiss * np.minimum(1, 9 * t) ** 2,
        hiss * abs(np.sin(6 * t)),
        sine(rate, 2.0) * t + floor,
        two_hits,
    ):
        _, notes = audio.prepare(sound, rate, rate, rate)
        assert not [note for note in notes if "trimmed" in note]


def test_a_constant_is_no_sound(tmp_path):
    for constant in (np.full(8_000, 0.25), np.full((8_000, 2), [0.5, -0.25])):
        with pytest.raises(AudioError, match=r"the sound is a constant, 0\.[12]"):
            audio.prepare(constant, 8_000, 8_000, 8_000)
    late = np.concatenate([np.full(8_000, 0.1), sine(8_000)])
    with pytest.raises(AudioError, match=r"the first 0\.25 s, .* are silent"):
        audio.prepare(late, 8_000, 8_000, 2_000, trim=False)


def test_scaling_is_told():
    target, notes = audio.prepare(0.5 * np.sign(sine(8_000)[1:4_001]), 8_000, 8_000, 4_000)
    assert np.abs(target).max() == 1
    assert notes[-1] == "scaled from a peak of 0.5 to a peak of 1 (+6.0 dB)"
    _, notes = audio.prepare(2 * np.sign(sine(8_000)[1:4_001]), 8_000, 8_000, 4_000)
    assert notes[-1] == "scaled from a peak of 2 to a peak of 1 (-6.0 dB)"


def test_refuses_what_cannot_be_a_target():
    sound = sine(8_000)
    for bad in (np.nan, np.inf):
        broken = sound.copy()
        broken[[7, 9]] = bad
        with pytest.raises(AudioError, match="2 of 8000 samples are not finite"):
            audio.prepare(broken, 8_000, 8_000, 8_000)
    with pytest.raises(AudioError, match=r"lasts 0\.01 s; at least 0\.05 s is needed"):
        audio.prepare(sound[:80], 8_000, 8_000, 8_000)
    for silent in (np.zeros(8_000), 1e-5 * sound):
        with pytest.raises(AudioError, match="the sound is silent"):
            audio.prepare(silent, 8_000, 8_000, 8_000)
    with pytest.raises(AudioError, match="2 channels cancel each other"):
        audio.prepare(np.stack([sound, -sound], 1), 8_000, 8_000, 8_000)
    with pytest.raises(AudioError, match=r"the first 0\.25 s, .* are silent"):
        audio.prepare(np.concatenate([np.zeros(8_000), sound]), 8_000, 8_000, 2_000, trim=False)


def test_shortest_target():
    assert audio.prepare(sine(8_000, 0.05), 8_000, 8_000, 8_000)[0].any()
    click = np.zeros(8_000)
    click[-1] = 1  # the onset is so late that too little would be left
    assert audio.prepare(click, 8_000, 8_000, 8_000)[0].argmax() == 399


def test_is_silent():
    assert audio.is_silent([])
    assert audio.is_silent([0.0, 3.1e-5])
    assert not audio.is_silent([0.0, -3.3e-5])


# ------------------------------------------------------------------------------------------------- write


def test_wav_comes_back_bit_for_bit_and_beyond_full_scale(tmp_path, rng):
    path = tmp_path / "sound.wav"
    for written in (rng.normal(size=1_000).astype(np.float32), rng.normal(size=(1_000, 2)).astype(np.float32)):
        audio.write(path, written, 44_100)
        assert soundfile.info(path).subtype == "FLOAT"
        samples, rate = audio.read(path)
        assert rate == 44_100
        np.testing.assert_array_equal(samples.squeeze(), written)
        before = path.read_bytes()
        audio.write(path, written, 44_100)
        assert path.read_bytes() == before


def test_flac_comes_back_to_16_bits_and_clips(tmp_path):
    path = tmp_path / "sound.flac"
    written = 3 * sine(8_000)
    audio.write(path, written, 8_000)
    assert (soundfile.info(path).format, soundfile.info(path).subtype) == ("FLAC", "PCM_16")
    np.testing.assert_allclose(audio.read(path)[0][:, 0], written.clip(-1, 1), rtol=0, atol=2**-14)


@pytest.mark.parametrize("name", ["sound.wav", "sound.flac"])
def test_nothing_is_left_when_writing_fails(tmp_path, monkeypatch, name):
    path = tmp_path / name
    audio.write(path, sine(8_000), 8_000)
    before = path.read_bytes()

    def half(file, *_, **__):
        file.write(b"half a sound")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("scipy.io.wavfile.write", lambda file, *_: half(file))
    monkeypatch.setattr(soundfile, "write", half)
    with pytest.raises(OSError, match="No space left"):
        audio.write(path, sine(8_000, frequency=1), 8_000)
    assert [*tmp_path.iterdir()] == [path]
    assert path.read_bytes() == before
    path.unlink()
    with pytest.raises(OSError, match="No space left"):
        audio.write(path, sine(8_000), 8_000)
    assert not [*tmp_path.iterdir()]


def test_no_reader_sees_half_a_file(tmp_path):
    path = tmp_path / "text"
    path.write_bytes(b"old")
    with audio.replacing(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert [*tmp_path.iterdir()] == [path]


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "file").write_bytes(b"old")
    (tmp_path / "link").symlink_to("file")
    with audio.replacing(tmp_path / "link") as file:
        file.write(b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_bytes() == b"new"


def test_refuses_what_cannot_be_written(tmp_path):
    path = tmp_path / "sound.wav"
    with pytest.raises(AudioError, match="NaN or infinite"):
        audio.write(path, [0.0, np.nan], 8_000)
    with pytest.raises(AudioError, match="no samples"):
        audio.write(path, [], 8_000)
    with pytest.raises(FileNotFoundError):
        audio.write(tmp_path / "absent" / "sound.wav", [0.0, 1.0], 8_000)
    with pytest.raises(FileExistsError, match="not a regular file"):
        audio.write(tmp_path, [0.0, 1.0], 8_000)
    with pytest.raises(FileExistsError, match="not a regular file"):
        audio.write(Path("/dev/null"), [0.0, 1.0], 8_000)
    assert not [*tmp_path.iterdir()]
