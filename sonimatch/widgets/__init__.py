"""Elements for notebooks: live with a kernel, static in the pages of the book."""

from sonimatch.widgets.landscape_explorer import LandscapeExplorer
from sonimatch.widgets.landscape_scrubber import LandscapeScrubber
from sonimatch.widgets.listening_test import ListeningTest
from sonimatch.widgets.own_descent import OwnDescent
from sonimatch.widgets.player import Players
from sonimatch.widgets.ranking_bench import RankingBench
from sonimatch.widgets.replay import Replay
from sonimatch.widgets.search_table import SearchTable
from sonimatch.widgets.synth_player import SynthPlayer

__all__ = [
    "LandscapeExplorer",
    "LandscapeScrubber",
    "ListeningTest",
    "OwnDescent",
    "Players",
    "RankingBench",
    "Replay",
    "SearchTable",
    "SynthPlayer",
]
