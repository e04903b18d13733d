"""A trained network is read back and asked."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.typing import ArrayLike

from sonimatch.learn.corpus import picture
from sonimatch.learn.data import DataError
from sonimatch.learn.recipe import RECIPES, Recipe
from sonimatch.learn.scores import guesses
from sonimatch.learn.train import restored


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
    return recipe.points(guesses(model, picture(recipe.picture, samples)[None]))[0]
