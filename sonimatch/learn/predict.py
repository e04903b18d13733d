"""A trained network is read back, guesses parameters, and its guesses are scored."""

from __future__ import annotations

import json
import os
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.typing import ArrayLike

from sonimatch.features import STFT
from sonimatch.learn.corpus import picture
from sonimatch.learn.data import DataError
from sonimatch.learn.recipe import RECIPES, Recipe
from sonimatch.learn.train import restored


class Scores(NamedTuple):
    """Of each guess, `[n]`: `p_loss`, `Σ (ν̃ - ν)²` in coordinates from -1 to 1; `jtfs`, the Euclidean distance in the
    feature of the recipe; `mss`, that of `multi_resolution`."""

    p_loss: np.ndarray
    jtfs: np.ndarray
    mss: np.ndarray


def load(folder: str | os.PathLike[str]) -> tuple[Any, Recipe]:
    """The network of a run, as it was at its lowest validation loss, set to guess, and what it was made for.

    `DataError` where the folder holds no run, one of another version, or one whose checkpoint is not whole.
    """
    place = Path(folder)
    try:
        held = json.loads((place / "settings.json").read_text(encoding="utf-8"))
        named, objective = held["name"], held["objective"]
    except OSError:
        raise DataError(f"{place} holds no trained network: it has no settings.json") from None
    except (ValueError, KeyError, TypeError):
        raise DataError(f"{place} holds no trained network: its settings.json is of something else") from None
    found = next((one for one in RECIPES if one.name == named), None)
    if found is None:
        raise DataError(f"{place} is of another version: it was made for {named!r}, which is unknown here")
    wanted = json.loads(json.dumps(found.settings(objective)))
    if other := sorted(name for name in wanted if held.get(name) != wanted[name]):
        raise DataError(f"{place} is of another version, which differs in: {', '.join(other)}; train it again")
    if not (place / "best").is_dir():
        raise DataError(f"{place} has no checkpoint yet: its first epoch did not end")
    model = restored(found.make(nnx.Rngs(0)), place / "best")
    model.eval()
    return model, found


def predict(model: Any, recipe: Recipe, audio: ArrayLike) -> np.ndarray:
    """The point `[P]` of the unit cube that a network guesses for a sound `[samples]` of the synth's rate and length.
    `ValueError` for another length."""
    samples = jnp.asarray(audio, jnp.float32)
    synth = recipe.synth
    if samples.shape != (synth.num_samples,):
        raise ValueError(f"the sound has shape {samples.shape}; {synth.name} has {synth.num_samples} samples")
    return _guesses(model, picture(recipe.picture, samples)[None])[0]


def _guesses(model: Any, pictures: ArrayLike) -> np.ndarray:
    return (np.clip(np.asarray(_asked(model, jnp.asarray(pictures))), -1, 1) + 1) / 2


@nnx.jit
def _asked(model: Any, pictures: jax.Array) -> jax.Array:
    return model(pictures)


def scores(model: Any, recipe: Recipe, rows: dict[str, np.ndarray], some: np.ndarray) -> Scores:
    """Of the guesses for the rows `some` of `Recipe.rows`; the sounds are rendered again."""
    batches = np.array_split(some, -(-len(some) // 64))
    guessed = np.concatenate([_guesses(model, rows["picture"][few]) for few in batches])
    true = (rows["nu"][some] + 1) / 2
    jtfs, mss = _distances(recipe.synth, recipe.phi, guessed, true)
    return Scores(4 * ((guessed - true) ** 2).sum(1), np.asarray(jtfs), np.asarray(mss))


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
