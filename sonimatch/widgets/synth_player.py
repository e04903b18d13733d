"""A synthesizer under the hand: move its parameters, hear and see what they do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import traitlets
from numpy.typing import ArrayLike

from sonimatch.faust import FaustSynth
from sonimatch.plots import Figure, sounds_figure
from sonimatch.widgets.element import Element, compact, in_the_cube, program, settings_text, start

_VIEWS = ("waveform", "spectrum", "spectrogram")


class SynthPlayer(Element):
    """Sliders for the parameters of `synth`, its sound, waveform, spectrum and spectrogram.

    The sound is computed where it is heard, by the WebAssembly of the same program. `values` are the physical values
    to begin with; parameters that are not named start at their default. `target` stands beside it for an A/B
    comparison: physical values, or audio `[num_samples]`. `views` names the pictures to show. With a kernel
    `theta`, in the unit cube, follows the sliders, and moves them.
    Raises ValueError for an unknown name or picture, a value out of range, or a target of another length or not finite.
    Shown in notebooks/bp_noise.md.
    """

    script = "synth_player.js"

    def __init__(
        self,
        synth: FaustSynth,
        target: Mapping[str, float] | ArrayLike | None = None,
        *,
        views: Sequence[str] = _VIEWS,
        **values: float,
    ) -> None:
        if unknown := [view for view in views if view not in _VIEWS]:
            raise ValueError(f"no picture {unknown[0]!r} (there are: {', '.join(_VIEWS)})")
        data: dict[str, Any] = {"id": synth.name, "views": list(views)}
        audio = None
        if isinstance(target, Mapping):
            data["target"] = start(synth.space, target)
        elif target is not None:
            audio = np.asarray(target, np.float32)
            if audio.shape != (synth.num_samples,):
                raise ValueError(f"target must have shape ({synth.num_samples},) for {synth.name}, not {audio.shape}")
            if not np.isfinite(audio).all():
                raise ValueError(f"target must be finite; {np.sum(~np.isfinite(audio))} of its samples are not")
            data["audio"] = compact(audio)
        data["program"] = program(synth, audio)
        self.synth = synth
        super().__init__(data=data, theta=start(synth.space, values))

    @traitlets.validate("theta")
    def _valid_theta(self, proposal: Any) -> list[float]:
        return in_the_cube(self.synth.space, proposal["value"])

    @property
    def audio(self) -> np.ndarray:
        """The sound at the current setting, `[num_samples]`."""
        return np.asarray(self.synth(np.array(self.theta, np.float32)))

    def set(self, **values: float) -> None:
        """Move to physical values; what is not named stays."""
        space = self.synth.space
        here = zip(space.names, map(float, space.to_physical(np.array(self.theta, np.float32))), strict=True)
        self.theta = start(space, dict(here) | values)

    def figure(self) -> Figure:
        return sounds_figure({settings_text(self.synth.space, self.theta): self.audio}, self.synth.sample_rate)

    def sentence(self) -> str:
        return f"{self.synth.name} at {settings_text(self.synth.space, self.theta)}; with scripts, its sliders play."
