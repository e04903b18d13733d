"""A listening test: how similar is a match to its target?"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import traitlets

from sonimatch import listening
from sonimatch.audio import SILENCE_DB
from sonimatch.listening import Key
from sonimatch.plots import Figure, sounds_figure
from sonimatch.study import Experiment, Study, experiment_of
from sonimatch.widgets import element, page
from sonimatch.widgets.element import Element, program


class ListeningTest(Element):
    """Blinded pairs of target and match, `per_pair` of each synth and loss of a study, to be scored from 1 to 5.

    The sounds are computed where they are heard, at one level. No score counts before both have played to their end,
    nor for a pair that does not play, which the saved file names. The order is random and everybody's own; scores are
    kept in the browser, saved as JSON or CSV, and the files of several raters are compared in the page: agreement,
    tests and ranks, as `listening.analyse` has them, but no ICC. When every pair is scored the key can be opened: what
    each pair was, and mean and rank of the losses. With a kernel `ratings` are the scores so far, by the id of the
    pair, and `key` tells what a pair is.
    `experiment`: that of the study, when its programs are not of the package. For a folder that is sent to raters,
    without the key in it, see `listening.build`.
    Raises ValueError for a study whose targets have noise of their own, which a page cannot make, ListeningError for
    more trials than there are, and StudyError for a study whose parts have changed. Shown in notebooks/listening.md.
    """

    script = "listening_test.js"
    shared = ("statistics.js",)
    ratings = traitlets.Dict().tag(sync=True)

    def __init__(self, study: Study, per_pair: int = 1, seed: int = 0, experiment: Experiment | None = None) -> None:
        experiment = experiment or experiment_of(study.settings)
        if not experiment.shared_noise:
            raise ValueError(f"{experiment.name} has shared_noise = False; a page makes sounds with shared noise only")
        self.key, self.study, self.experiment = listening.draw(study, per_pair, seed), study, experiment
        places, synths = {synth.name: i for i, synth in enumerate(experiment.synths)}, experiment.synths
        sounds = {name: [places[item.synth], *self._points(name)] for name, item in self.key.items.items()}
        data: dict[str, Any] = {"id": self.key.test, "ids": sorted(sounds), "sounds": sounds, "key": self.key.record}
        data |= {"programs": [program(synth) for synth in synths]}  # pyright: ignore[reportArgumentType]
        super().__init__(data=data | _levels())

    def _points(self, name: str) -> list[list[float] | None]:
        """Target and match in the unit cube; None for a point that is not finite, which is silent."""
        item = self.key.items[name]
        trials = self.study.trials[item.synth, item.loss]
        points = (trials.theta_true[item.trial], trials.end[item.trial])
        return [point.tolist() if np.isfinite(point).all() else None for point in points]

    def sounds(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Target and match of the pair with the id `name`, `[samples]` each, as they are heard."""
        synth = self.experiment.synths[self.data["sounds"][name][0]]
        points = [None if point is None else np.array(point, np.float32) for point in self._points(name)]
        return listening.level(*(np.zeros(synth.num_samples) if point is None else synth(point) for point in points))

    def figure(self) -> Figure:
        first = self.data["ids"][0]
        rate = self.experiment.synths[self.data["sounds"][first][0]].sample_rate
        return sounds_figure(dict(zip(("target", "match"), self.sounds(first), strict=True)), rate)

    def sentence(self) -> str:
        return (
            f"A listening test of {len(self.data['ids'])} pairs of sounds; here is one of them. "
            "With scripts, they play and take a score from 1, no similarity, to 5, near identical."
        )

    def __repr__(self) -> str:
        return f"ListeningTest({len(self.ratings)} of {len(self.data['ids'])} pairs scored)"


def _levels() -> dict[str, float]:
    return {"rms": listening.RMS, "peak": listening.PEAK, "silence": 10 ** (SILENCE_DB / 20)}


_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Listening test</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ max-width: 46rem; margin: 1rem auto; padding: 0 0.75rem; font: 1rem/1.5 system-ui, sans-serif; }}
{style}
</style>
<script>
{theme}
</script>
</head>
<body>
<h1>Listening test</h1>
<p>Each pair is a target and a match that a program found for it.
How similar is the match to the target?
Use headphones, set the volume once, and do not change it after.
Hear both to the end; a pair that does not play takes no score.
The scores stay in this browser until you save the file; send that file back.</p>
<div class="sonimatch" data-element="ListeningTest">
<script type="application/json">{state}</script>
<div class="sonimatch-fallback"><p>This test needs a browser that runs scripts.</p></div>
</div>
<script>
{script}
</script>
</body>
</html>
"""


def rater_page(key: Key, kind: str = "flac") -> str:
    """The page of a test for its raters, whole, for a folder with the sounds; it has the ids of the pairs, no more.

    `kind` is how the names of the sounds end. Shown in notebooks/listening.md.
    """
    data = {"id": key.test, "ids": sorted(key.items), "folder": "sounds", "kind": kind} | _levels()
    script = element.scripts(*element.FIRST, *ListeningTest.shared, ListeningTest.script, "page.js")
    state = json.dumps({"data": data})
    return _PAGE.format(theme=page.THEME, style=element.page_style(), state=state, script=script)
