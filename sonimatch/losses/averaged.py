"""What a sound with noise is like on average: the mean feature over several noises."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from sonimatch.types import Feature, Loss


@dataclass(frozen=True)
class Averaged:
    """The distance of `loss`, to a candidate whose feature is the mean over the noises it is heard with.

    `feature` takes audio `[samples]`, as of a target, or `[k, samples]`, as of `synth.noises(k)`, and gives the mean of
    the k features, which is the expected feature but for a k-th of its variance: one fixed noise pulls the lowest loss
    to where that noise, and not the sound, fits the target. Each of the k renderings is one of the budget. All else is
    as in `loss`. Shown in notebooks/search_that_solves.md.
    """

    loss: Loss

    @property
    def name(self) -> str:
        return self.loss.name

    @property
    def sample_rate(self) -> int | None:
        return self.loss.sample_rate

    def feature(self, audio: jax.Array) -> Feature:
        each = jax.lax.map(self.loss.feature, jnp.atleast_2d(audio))
        return jax.tree.map(lambda leaf: leaf.mean(0), each)

    def distance(self, a: Feature, b: Feature) -> jax.Array:
        return self.loss.distance(a, b)
