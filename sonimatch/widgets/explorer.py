"""A synthesizer under the hand: move its parameters, hear and see what they do."""

from __future__ import annotations

import os

import jax.numpy as jnp
import numpy as np
from IPython.display import display

from sonimatch.plots import sounds_figure
from sonimatch.types import Synth
from sonimatch.widgets.player import Players


class SynthExplorer:
    """Sliders for the parameters of `synth`, with the sound and its spectrogram at that setting.

    `values` are the physical values to begin with; parameters that are not named start at their default.
    With a kernel the sliders are live; in a page of the book the element shows the beginning.
    Raises ValueError for an unknown name or a value out of range.
    """

    def __init__(self, synth: Synth, **values: float) -> None:
        self.synth = synth
        self.theta = synth.space.theta(values)

    def set(self, **values: float) -> None:
        """Move to physical values; what is not named stays."""
        space = self.synth.space
        here = dict(zip(space.names, map(float, space.to_physical(self.theta)), strict=True))
        self.theta = space.theta(here | values)

    @property
    def audio(self) -> np.ndarray:
        """The sound at the current setting, `[num_samples]`."""
        return np.asarray(self.synth(jnp.asarray(self.theta)))

    @property
    def label(self) -> str:
        space = self.synth.space
        values = space.to_physical(self.theta)
        return ", ".join(
            f"{name} {value:.4g} {unit}".rstrip()
            for name, value, unit in zip(space.names, values, space.unit, strict=True)
        )

    def show(self) -> None:
        """Display the sound and its picture at the current setting."""
        audio = self.audio
        display(Players({self.label: audio}, self.synth.sample_rate))
        display(sounds_figure({self.label: audio}, self.synth.sample_rate))

    def _ipython_display_(self) -> None:
        if "SONIMATCH_SOUNDS" in os.environ:
            self.show()
            return
        import ipywidgets

        space = self.synth.space
        start = space.to_physical(self.theta)
        sliders = {
            name: ipywidgets.FloatSlider(
                value=float(value),
                min=low,
                max=high,
                step=(high - low) / 1000,
                description=f"{name} ({unit})" if unit else name,
                continuous_update=False,
                style={"description_width": "initial"},
            )
            for name, value, low, high, unit in zip(space.names, start, space.low, space.high, space.unit, strict=True)
        }

        def moved(**values: float) -> None:
            self.set(**values)
            self.show()

        display(ipywidgets.VBox(list(sliders.values())), ipywidgets.interactive_output(moved, sliders))
