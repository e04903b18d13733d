"""Elements for notebooks: live with a kernel, static in the pages of the book."""

from sonimatch.widgets.player import Players
from sonimatch.widgets.synth_player import SynthPlayer

__all__ = ["Players", "SynthPlayer"]
