"""The study: synths × losses × trials, drawn, run, stored and read back.

An `Experiment` says everything that is run. `run` does it chunk by chunk, on all cores, and can be killed at any
moment and called again; the outcome is one file, a `Study`, and its `report`.
"""

from sonimatch.study.experiment import Experiment, StudyError
from sonimatch.study.presets import PAPER, PRESETS, RACE, RELEASED, experiment_of
from sonimatch.study.record import METRICS, Report, Study, Trials, origin, report
from sonimatch.study.run import Rerun, run, solve, verify
from sonimatch.study.storage import Status, load, save, status

__all__ = [
    "METRICS",
    "PAPER",
    "PRESETS",
    "RACE",
    "RELEASED",
    "Experiment",
    "Report",
    "Rerun",
    "Status",
    "Study",
    "StudyError",
    "Trials",
    "experiment_of",
    "load",
    "origin",
    "report",
    "run",
    "save",
    "solve",
    "status",
    "verify",
]
