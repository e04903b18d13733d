"""Elements for notebooks: live with a kernel, static in the pages of the book."""

from sonimatch.widgets.explorer import SynthExplorer
from sonimatch.widgets.player import Players

__all__ = ["Players", "SynthExplorer"]
