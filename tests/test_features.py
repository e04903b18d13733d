import jax
import jax.numpy as jnp
import librosa
import numpy as np
import pytest
import scipy.ndimage
import scipy.signal

from sonimatch.features import CQT, PAPER_STFT, RELEASED_STFT, STFT, envelope, mel_filterbank

# Float32 against float64: an FFT of unit noise errs by about 1e-6; a tenfold margin.
F32 = {"atol": 1e-5, "rtol": 1e-5}


def numpy_stft(stft: STFT, audio: np.ndarray) -> np.ndarray:
    """The definition, one frame and one bin at a time."""
    audio = np.pad(audio.astype(np.float64), stft.pad, mode="reflect")
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(stft.window_length) / (stft.window_length - 1))
    used = min(stft.window_length, stft.fft_length)
    n = np.arange(used)
    frames = []
    for start in range(0, len(audio) - stft.window_length + 1, stft.hop_length):
        windowed = (window * audio[start : start + stft.window_length])[:used]
        bins = range(stft.fft_length // 2 + 1)
        frames.append([abs((windowed * np.exp(-2j * np.pi * f * n / stft.fft_length)).sum()) for f in bins])
    return np.array(frames) / (np.sqrt((window**2).sum()) if stft.normalize else 1)


@pytest.mark.parametrize(
    ("stft", "samples"),
    [
        (PAPER_STFT, 1500),
        (RELEASED_STFT, 1500),
        (STFT(64, 24, 128, 32), 500),  # a hop that does not divide the window
        (STFT(64, 100, 64, 0), 777),  # a hop longer than the window
        (STFT(50, 7, 33, 3, normalize=False), 200),  # an odd FFT, shorter than the window
        (STFT(64, 16, 64, 0), 64),  # exactly one frame
    ],
)
def test_stft_is_its_definition(stft, samples, rng):
    audio = rng.normal(size=samples).astype(np.float32)
    expected = numpy_stft(stft, audio)
    spectrogram = stft(audio)
    assert spectrogram.dtype == jnp.float32
    np.testing.assert_allclose(spectrogram, expected, **F32 if stft.normalize else {"atol": 1e-4})


def test_paper_stft_is_librosa(rng):
    audio = rng.normal(size=44100).astype(np.float32)
    window = np.hanning(600)
    full = librosa.stft(
        audio.astype(np.float64),
        n_fft=1024,
        hop_length=100,
        win_length=600,
        window=window,
        pad_mode="reflect",
    )
    assert PAPER_STFT(audio).shape == (442, 513)
    np.testing.assert_allclose(PAPER_STFT(audio), np.abs(full.T) / np.linalg.norm(window), **F32)


def test_released_stft_is_scipy_with_a_broken_window(rng):
    audio = rng.normal(size=44100).astype(np.float32)
    window = np.hanning(600)
    assert window[511] == pytest.approx(0.198, abs=1e-3)
    _, _, full = scipy.signal.stft(
        np.pad(audio.astype(np.float64), 256, mode="reflect"),
        window=window[:512], nperseg=512, noverlap=412, boundary=None, padded=False,
    )  # fmt: skip
    expected = np.abs(full.T[:441]) * window[:512].sum() / np.linalg.norm(window)
    assert np.linalg.norm(window) == pytest.approx(14.99, abs=5e-3)
    assert RELEASED_STFT(audio).shape == (441, 257)
    np.testing.assert_allclose(RELEASED_STFT(audio), expected, **F32)


def test_white_noise_has_its_own_power_in_every_scale(rng):
    audio = 3 * rng.normal(size=44100).astype(np.float32)
    for length in (512, 4096):
        power = np.square(jax.jit(STFT(length, 100, length, length // 2))(audio))[:, 1:-1].mean()
        assert power == pytest.approx(9, rel=0.05)  # about 86 independent frames of 255 bins or more


@pytest.mark.parametrize("stft", [PAPER_STFT, RELEASED_STFT])
def test_silence_has_value_and_derivatives_zero(stft, rng):
    silence, direction = jnp.zeros(2000), jnp.asarray(rng.normal(size=2000), jnp.float32)
    value, tangent = jax.jit(lambda x, d: jax.jvp(stft, (x,), (d,)))(silence, direction)
    gradient = jax.jit(jax.grad(lambda x: stft(x).sum()))(silence)
    for array in (value, tangent, gradient):
        np.testing.assert_array_equal(array, 0)


def test_stft_in_double(rng):
    with jax.enable_x64(True):
        audio = rng.normal(size=1500)
        assert PAPER_STFT(audio).dtype == jnp.float64
        np.testing.assert_allclose(PAPER_STFT(audio), numpy_stft(PAPER_STFT, audio), atol=1e-12)


@pytest.mark.parametrize(
    "audio",
    [jnp.zeros((2, 2000)), jnp.zeros(()), jnp.zeros(2000, int), jnp.zeros(2000, complex), jnp.zeros(300)],
)
def test_stft_refuses_what_is_not_a_sound(audio):
    with pytest.raises(ValueError, match=r"audio (is|has) .*(must be|needs at least)"):
        PAPER_STFT(audio)


def test_shortest_sound():
    shape = lambda stft, n: jax.eval_shape(stft, jax.ShapeDtypeStruct((n,), jnp.float32)).shape  # noqa: E731
    assert shape(PAPER_STFT, 301) == (4, 513)  # reflection needs one sample more than the padding
    assert shape(STFT(600, 100, 1024, 0), 600) == (1, 513)


@pytest.mark.parametrize("setting", ["window_length", "hop_length", "fft_length", "pad"])
def test_stft_refuses_settings_out_of_range(setting):
    with pytest.raises(ValueError, match=f"{setting} is -1; it must be at least"):
        STFT(**{setting: -1})


@pytest.mark.parametrize("frames", [5, 100])
def test_envelope_is_scipys_gaussian_filter(frames, rng):
    spectrogram = rng.uniform(size=(frames, 7)).astype(np.float32)
    expected = scipy.ndimage.gaussian_filter1d(spectrogram.sum(1), 3.0, mode="constant", radius=10)
    np.testing.assert_allclose(envelope(jnp.asarray(spectrogram)), expected, rtol=1e-5)


def test_envelope_refuses_bad_input():
    with pytest.raises(ValueError, match="frames, bins"):
        envelope(jnp.zeros(10))
    with pytest.raises(ValueError, match="sigma_frames 0"):
        envelope(jnp.zeros((10, 4)), sigma_frames=0)


@pytest.mark.parametrize("fft_length", [512, 4096])
def test_mel_filterbank_is_librosas(fft_length):
    expected = librosa.filters.mel(sr=44100, n_fft=fft_length, n_mels=32, fmin=60, fmax=22050, htk=True, norm=None)
    bank = mel_filterbank(44100, fft_length, 32, 60, 22050)
    np.testing.assert_allclose(bank, expected.T, atol=1e-6)  # librosa returns float32
    assert (bank.max(0) > 0).all()


def test_mel_filterbank_refuses_an_empty_range():
    with pytest.raises(ValueError, match="f_min 60, f_max 30000"):
        mel_filterbank(44100, 512, 32, 60, 30000)


# The constant-Q transform

TRANSFORM = CQT(8192, f_min=100, n_bins=48, hop_length=256)


def test_cqt_is_its_definition(rng):
    """One frame and one bin at a time, at the beginning, in the middle and at the end."""
    audio = rng.normal(size=3000)
    found = np.asarray(TRANSFORM(jnp.asarray(audio, jnp.float32)))
    assert found.shape == (12, 48)
    q = 1 / np.tanh(np.log(2) / 12)  # (r + 1) / (r - 1) of r = 2^(2/12)
    for frame, k in ((0, 0), (0, 47), (6, 0), (6, 30), (11, 5), (11, 47)):
        hertz = 100 * 2 ** (k / 12)
        length = q * 8192 / hertz
        n = np.arange(-int(length / 2), int(length / 2) + 1)
        window = np.cos(np.pi * n / length) ** 2
        at = frame * 256 + n
        x = np.where((at >= 0) & (at < 3000), audio[np.clip(at, 0, 2999)], 0)
        value = np.abs((window * x * np.exp(-2j * np.pi * hertz * at / 8192)).sum()) * np.sqrt(length) / window.sum()
        assert found[frame, k] == pytest.approx(value, rel=1e-3)  # 2e-4 seen


def test_cqt_is_librosas_but_for_its_resampling(rng):
    audio = rng.normal(size=16_384).astype(np.float32)
    settings = {"fmin": 100, "n_bins": 48, "hop_length": 256, "sparsity": 0, "res_type": "soxr_vhq", "tuning": 0.0}
    theirs = np.abs(librosa.cqt(audio, sr=8192, **settings)).T
    ours = np.asarray(TRANSFORM(audio))
    assert np.linalg.norm(ours - theirs) < 0.04 * np.linalg.norm(theirs)
    assert ours.mean() == pytest.approx(theirs.mean(), rel=5e-3)


def test_cqt_has_a_derivative_at_silence_and_limits():
    gradient = jax.grad(lambda x: TRANSFORM(x).sum())(jnp.zeros(1000))
    np.testing.assert_array_equal(gradient, 0)
    with pytest.raises(ValueError, match=r"the highest bin reaches \d+ Hz"):
        CQT(8192)
    with pytest.raises(ValueError, match="hop_length is 0"):
        CQT(22_050, hop_length=0)
    with pytest.raises(ValueError, match="audio is"):
        TRANSFORM(jnp.zeros((2, 1000)))
