"""How good guesses are: in parameters, and in what is heard."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.typing import ArrayLike

from sonimatch.features import STFT


class Scores(NamedTuple):
    """Guesses `theta [n, P]` in the unit cube, and of each, `[n]`: `p_loss`, `Σ (ν̃ - ν)²` in coordinates from -1 to 1;
    `jtfs`, the Euclidean distance in the feature of the recipe; `mss`, that of `multi_resolution`."""

    theta: np.ndarray
    p_loss: np.ndarray
    jtfs: np.ndarray
    mss: np.ndarray


def guesses(model: Any, pictures: ArrayLike) -> np.ndarray:
    """What a network says to pictures `[n, H, W]`, `[n, P]`."""
    pictures = np.asarray(pictures)
    few = np.array_split(pictures, -(-len(pictures) // 64))
    return np.concatenate([np.asarray(_asked(model, some)) for some in few])


@nnx.jit
def _asked(model: Any, pictures: ArrayLike) -> jax.Array:
    return model(pictures)


def scores(synth: Any, phi: Any, guessed: np.ndarray, true: np.ndarray) -> Scores:
    """Of guesses `[n, P]` beside true points `[n, P]` of the unit cube, whose sounds are rendered."""
    jtfs, mss = _distances(synth, phi, guessed, true)
    return Scores(guessed, 4 * ((guessed - true) ** 2).sum(1), np.asarray(jtfs), np.asarray(mss))


@partial(jax.jit, static_argnums=(0, 1))
def _distances(synth: Any, phi: Any, guessed: jax.Array, true: jax.Array) -> tuple[jax.Array, jax.Array]:
    def one(pair: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        ours, theirs = map(synth, pair)
        return jnp.linalg.norm(phi(ours) - phi(theirs)), multi_resolution(theirs, ours)

    return jax.lax.map(one, (guessed, true))


def multi_resolution(target: jax.Array, candidate: jax.Array) -> jax.Array:
    """Mean over three STFTs of `||A - B|| / ||A||`, in the Euclidean norm, and `mean |log A - log B|`, with A of the
    target: windows of 600, 1200 and 240 samples, 120, 240 and 50 between them, FFTs of 1024, 2048 and 512. Source:
    Yamamoto et al., "Parallel WaveGAN", 2020; Han et al. 2024 score by it, as the package `auraloss` has it."""
    total = jnp.zeros(())
    for window, hop, fft in ((600, 120, 1024), (1200, 240, 2048), (240, 50, 512)):
        stft = STFT(window, hop, fft, window // 2, normalize=False)
        a, b = (jnp.maximum(stft(sound), 1e-4) for sound in (target, candidate))
        total += jnp.linalg.norm(a - b) / jnp.linalg.norm(a) + jnp.abs(jnp.log(a) - jnp.log(b)).mean()
    return total / 3
