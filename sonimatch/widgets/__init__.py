"""Elements for notebooks: live with a kernel, static in the pages of the book.

One is loaded when it is first used: a page without a kernel needs none of the packages that serve one.
"""

from importlib import import_module as _import_module
from typing import TYPE_CHECKING as _TYPE_CHECKING
from typing import Any as _Any

if _TYPE_CHECKING:
    from sonimatch.widgets.landscape_explorer import LandscapeExplorer
    from sonimatch.widgets.landscape_scrubber import LandscapeScrubber
    from sonimatch.widgets.listening_test import ListeningTest
    from sonimatch.widgets.metric_explorer import MetricExplorer
    from sonimatch.widgets.own_descent import OwnDescent
    from sonimatch.widgets.player import Players
    from sonimatch.widgets.ranking_bench import RankingBench
    from sonimatch.widgets.replay import Replay
    from sonimatch.widgets.search_table import SearchTable
    from sonimatch.widgets.side_by_side import SideBySide
    from sonimatch.widgets.synth_player import SynthPlayer

__all__ = [
    "LandscapeExplorer",
    "LandscapeScrubber",
    "ListeningTest",
    "MetricExplorer",
    "OwnDescent",
    "Players",
    "RankingBench",
    "Replay",
    "SearchTable",
    "SideBySide",
    "SynthPlayer",
]


def __getattr__(name: str) -> _Any:
    if name not in __all__:
        raise AttributeError(f"module 'sonimatch.widgets' has no attribute {name!r}")
    room = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).strip("_")
    return getattr(_import_module(f"sonimatch.widgets.{room.removesuffix('s') if name == 'Players' else room}"), name)
