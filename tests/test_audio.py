"""Files of sound: what is read, what becomes of it as a target, and what is written."""

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
