"""A listening test of a study: blinded pairs of sounds, a folder for the raters, and what their scores say.

A pair is a target and the match that a search under some loss found for it. Raters score its similarity from 1 (no
similarity) to 5 (near identical), and do not know which synth, loss and trial they hear. The key knows.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from tqdm import tqdm

from sonimatch import audio, stats
from sonimatch.study import Experiment, Study, experiment_of

SCALE = (1, 2, 3, 4, 5)
"""The scores: 1 = no similarity, 5 = near identical."""

RMS, PEAK = 0.1, 0.7
"""The level of every sound of a test, as root mean square, and the peak that none exceeds; full scale is 1."""

FOLDER, KEY = "listening_test", "key.json"
"""What `build` writes: the raters' folder, and the key."""

_KEY, _RATINGS = "sonimatch listening key", "sonimatch listening ratings"


class ListeningError(ValueError):
    """A test that cannot be built, or a file that is neither its key nor ratings; the message names it."""


class Item(NamedTuple):
    """What a pair of sounds is."""

    synth: str
    loss: str
    trial: int


@dataclass(frozen=True)
class Key:
    """Which pair of sounds is which: `items` by their id, in no order, of the test `test` of the study `study`."""

    test: str
    study: str
    checksum: str
    seed: int
    synths: tuple[str, ...]
    losses: tuple[str, ...]
    items: Mapping[str, Item]

    @property
    def record(self) -> dict[str, Any]:
        """What the file of the key says."""
        return {"kind": _KEY, **vars(self), "items": {name: item._asdict() for name, item in self.items.items()}}


@dataclass(frozen=True)
class Ratings:
    """The scores that a rater gave in a test, 1 to 5, by the id of the pair; and why other pairs did not play."""

    test: str
    rater: str
    scores: Mapping[str, int]
    failed: Mapping[str, str] = field(default_factory=dict)


def draw(study: Study, per_pair: int = 40, seed: int = 0) -> Key:
    """A random sample of `per_pair` trials of each synth and loss, each pair by itself, with random ids.

    Whoever has the study, the seed and this function has the key: it blinds, it does not lock.
    Raises ListeningError when there are fewer trials. Shown in notebooks/listening.md.
    """
    rng, items = np.random.default_rng(seed), []
    for (synth, loss), trials in study.trials.items():
        if not 1 <= per_pair <= len(trials.ok):
            raise ListeningError(f"{per_pair} trials of each pair are asked for; the study has {len(trials.ok)}")
        sample = rng.choice(len(trials.ok), per_pair, replace=False)
        items += [Item(synth, loss, int(trial)) for trial in sorted(sample)]
    test, *ids = (f"{number:08x}" for number in rng.choice(2**32, len(items) + 1, replace=False))
    named = dict(sorted(zip(ids, items, strict=True)))
    return Key(test, study.settings["name"], study.checksum, seed, study.synths, study.losses, named)


def level(target: ArrayLike, match: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Both sounds `[samples]` at the root mean square `RMS`; at less, and both alike, where a peak would exceed `PEAK`.

    So nobody scores the volume. Silence stays silent, and samples that are not finite become 0. Shown in
    notebooks/listening.md.
    """
    sounds = [np.nan_to_num(np.asarray(x, float), nan=0.0, posinf=0.0, neginf=0.0) for x in (target, match)]
    sounds = [x if audio.is_silent(x) else x * (RMS / np.sqrt(np.mean(x**2))) for x in sounds]
    gain = min(1.0, PEAK / max(1e-9, *(np.abs(x).max() for x in sounds)))
    a, b = ((gain * x).astype(np.float32) for x in sounds)
    return a, b


def build(
    study: Study,
    folder: str | os.PathLike[str],
    page: Callable[[Key, str], str],
    per_pair: int = 40,
    seed: int = 0,
    kind: Literal["flac", "opus"] = "flac",
    experiment: Experiment | None = None,
    progress: bool = True,
) -> Key:
    """Write a listening test: `folder/listening_test` for the raters, and `folder/key.json` for the experimenter alone.

    The raters' folder has the page `index.html`, `page(key, kind)`, and the sounds, levelled, in files named by the id
    of their pair: 16-bit FLAC, some 50 kB a second, or Opus, 9 kB, which alters them a little and which older versions
    of Safari do not play. `experiment`: that of the study, when its programs are not of the package.
    Raises ListeningError when the folder has the key of another test, and StudyError for a study that cannot be run
    again. Shown in notebooks/listening.md.
    """
    key, folder = draw(study, per_pair, seed), Path(folder)
    experiment = experiment or experiment_of(study.settings)
    if (folder / KEY).is_file() and read(folder / KEY) != key:
        raise ListeningError(f"{folder / KEY} is the key of another test; choose another folder")
    (folder / FOLDER / "sounds").mkdir(parents=True, exist_ok=True)
    with audio.replacing(folder / KEY) as file:
        file.write((json.dumps(key.record, indent=1) + "\n").encode())
    pairs = {(synth.name, loss.name): (synth, loss) for synth, loss in experiment.pairs}
    for name, item in tqdm(key.items.items(), disable=not progress, unit="pair"):
        synth, loss = pairs[item.synth, item.loss]
        trials = study.trials[item.synth, item.loss]
        own = None if experiment.shared_noise else experiment.draw(synth, loss, [item.trial]).target[0]
        target = synth(trials.theta_true[item.trial]) if own is None else own
        match = synth(trials.end[item.trial])
        for which, sound in zip(("target", "match"), level(target, match), strict=True):
            audio.write(folder / FOLDER / "sounds" / f"{name}-{which}.{kind}", sound, synth.sample_rate)
    with audio.replacing(folder / FOLDER / "index.html") as file:
        file.write(page(key, kind).encode())
    return key


def read(path: str | os.PathLike[str]) -> Key | Ratings:
    """A key that `build` wrote, or the ratings that a rater saved.

    Raises ListeningError for a file that is neither, or whose scores are none.
    """
    try:
        record = json.loads(Path(path).read_text(encoding="utf-8-sig"))
        kind = record["kind"]
        if kind == _KEY:
            items = {name: Item(**item) for name, item in record["items"].items()}
            synths, losses = tuple(record["synths"]), tuple(record["losses"])
            return Key(record["test"], record["study"], record["checksum"], record["seed"], synths, losses, items)
        if kind != _RATINGS:
            raise ListeningError(f"{path} is neither a key nor ratings: its kind is {kind!r}")
        failed = {rating["item"]: str(rating["failed"]) for rating in record["ratings"] if rating.get("failed")}
        given = [rating for rating in record["ratings"] if not rating.get("failed")]
        scores = {rating["item"]: rating["score"] for rating in given}
        if not scores:
            raise ListeningError(f"{path} has no ratings{f': {len(failed)} pairs did not play' if failed else ''}")
        if len(scores) < len(given):
            raise ListeningError(f"{path} scores a pair twice")
        for name, score in scores.items():
            if type(score) is not int or score not in SCALE:
                raise ListeningError(f"{path} gives {name} the score {score!r}; it must be one of {SCALE}")
        if not (rater := " ".join(record["rater"].split())):
            raise ListeningError(f"{path} names no rater")
        return Ratings(record["test"], rater, scores, failed)
    except OSError as error:
        raise ListeningError(f"{path} cannot be read: {error.strerror}") from None
    except (KeyError, TypeError, AttributeError, UnicodeDecodeError, json.JSONDecodeError):
        raise ListeningError(f"{path} is neither a key nor ratings") from None


class Analysis(NamedTuple):
    """What the raters say, in rows: `agreement` between each two of them and among all, over all pairs of sounds and by
    synth; `tests`, whether the losses differ, by synth; `ranks`, mean score and rank of each loss.

    Only what everybody scored counts; `left_out` is the number of other pairs. A number that cannot be computed, as
    between raters who are constant, is NaN.
    """

    agreement: list[dict[str, Any]]
    tests: list[dict[str, Any]]
    ranks: list[dict[str, Any]]
    left_out: int


def analyse(ratings: Sequence[Ratings], key: Key) -> Analysis:
    """Agreement of the raters, Kruskal–Wallis tests between the losses, and ranks; 1 is the best.

    Tests and ranks come in two kinds: `pooled`, as published, takes every score of every rater for itself, and ranks
    1000 bootstrapped means; `per sound` first adds up the scores of a sound, and ranks these sums as they are, which is
    right for two raters who heard the same sounds (see `stats.kruskal_wallis`). No agreement is stated for one rater.

    Raises ListeningError for ratings of another test, two files of one rater, or pairs that the key does not know.
    Shown in notebooks/listening.md.
    """
    if not ratings:
        raise ListeningError("there are no ratings")
    for before, one in enumerate(ratings):
        if one.test != key.test:
            raise ListeningError(f"{one.rater} rated the test {one.test}; the key is of {key.test}")
        if unknown := set(one.scores) - set(key.items):
            raise ListeningError(f"{one.rater} scored {min(unknown)}, which the key does not know")
        for other in ratings[:before]:
            if one.rater == other.rater:
                raise ListeningError(f"there are two files of the rater {one.rater!r}")
            if one.rater.casefold() == other.rater.casefold():
                raise ListeningError(
                    f"{one.rater!r} and {other.rater!r} differ by case alone: one rater or two? Rename one"
                )
    names = sorted(set.intersection(*(set(one.scores) for one in ratings)))
    left_out = len(set.union(*(set(one.scores) for one in ratings))) - len(names)

    def scores(synth: str | None = None, loss: str | None = None) -> np.ndarray:
        """`[sounds, raters]`."""
        some = [(name, key.items[name]) for name in names]
        some = [name for name, item in some if synth in (None, item.synth) and loss in (None, item.loss)]
        return np.array([[one.scores[name] for one in ratings] for name in some], float).reshape(-1, len(ratings))

    def number(function: Callable[..., Any], *x: Any) -> Any:
        try:
            return function(*x)
        except ValueError:  # too few, or constant
            return stats.Agreement(np.nan, np.nan, (np.nan, np.nan))

    agreement, tests, ranks = [], [], []
    for synth in (None, *key.synths) if len(ratings) > 1 else ():
        table = scores(synth)
        row = {"synth": synth or "all", "sounds": len(table)}
        for a, b in combinations(range(len(ratings)), 2):
            found = number(stats.spearman, table[:, a], table[:, b])
            who = f"{ratings[a].rater}, {ratings[b].rater}"
            agreement.append({**row, "raters": who, "measure": "Spearman"} | _coefficient(found))
        for measure, function in {"Kendall's W": stats.kendall_w, "ICC(3,1)": stats.icc3}.items():
            agreement.append({**row, "raters": "all", "measure": measure} | _coefficient(number(function, table)))
    for synth in key.synths:
        heard = {loss: table for loss in key.losses if len(table := scores(synth, loss))}
        if len(heard) < 2:
            continue
        pooled = [table.ravel() for table in heard.values()]
        sums = [table.sum(1) for table in heard.values()]  # whole numbers: the means of three raters would be rounded
        H, H_sums = (stats.kruskal_wallis(x) for x in (pooled, sums))
        row = {"synth": synth, "H, pooled": H.H, "p, pooled": H.p}
        tests.append(row | {"H, per sound": H_sums.H, "p, per sound": H_sums.p})
        means = [stats.bootstrap_means(x, seed=i) for i, x in enumerate(pooled)]
        published = stats.scott_knott_esd(np.stack(means, 1))
        alike = len({len(x) for x in sums}) == 1 and len(sums[0]) > 1
        own = stats.scott_knott_esd(np.stack(sums, 1)) if alike else [None] * len(sums)
        for loss, table, one, other in zip(heard, heard.values(), published, own, strict=True):
            row = {"synth": synth, "loss": loss, "sounds": len(table), "mean": float(table.mean())}
            ranks.append(row | {"rank, pooled": int(one), "rank, per sound": None if other is None else int(other)})
    return Analysis(agreement, tests, ranks, left_out)


def _coefficient(found: stats.Agreement) -> dict[str, float]:
    return {"value": found.value, "low": found.interval[0], "high": found.interval[1], "p": found.p}
