"""What a study runs: synths × losses × trials, each trial drawn from the seed, its synth and its number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any, Literal
from zlib import crc32

import jax
import jax.numpy as jnp
import numpy as np

from sonimatch.losses import PAPER_LOSSES
from sonimatch.match import match_all
from sonimatch.metrics import MSS, PAPER_MSS
from sonimatch.search import RMSProp
from sonimatch.space import ParamSpace
from sonimatch.synths import SYNTHS
from sonimatch.types import Loss, Match, Problem, Search, Synth


class StudyError(ValueError):
    """A study that cannot be run or read as asked; the message names the file or the setting."""


@dataclass(frozen=True)
class Experiment:
    """Everything that a study is: nothing that changes a number is set elsewhere.

    Trial `i` of a synth has a target, a start and a noise of its own, drawn from `seed`, the name of the synth and
    `i` alone, so that it is the same in whatever order, company, process or year it is run. With `paired` (the
    default) the losses meet the same targets and starts; without, each draws its own, as in the published study.

    - `search`, `steps`: every trial is searched for `steps` updates.
    - `keep`: the point that is scored: the "last" one, as published, or the one of "best" (lowest) loss.
    - `score`: the multi-scale spectral distance of target and kept point.
    - `released_p_loss`: which `P_loss`.
    - `shared_noise`: target and candidate use the same pseudo-random noise, sample by sample. If not, the target's
      noise is its own.
    - `whole_targets`, `whole_starts`: parameters, as "synth.parameter", that are drawn as whole numbers: targets
      rounded down, starts from all whole numbers of the range.

    `ValueError` for settings that make no experiment. Shown in notebooks/experiment.md.
    """

    name: str
    synths: tuple[Synth, ...] = SYNTHS[:4]
    losses: tuple[Loss, ...] = PAPER_LOSSES
    search: Search = RMSProp()  # noqa: RUF009 (frozen)
    steps: int = 200
    trials: int = 300
    seed: int = 0
    keep: Literal["last", "best"] = "last"
    score: MSS = PAPER_MSS
    released_p_loss: bool = False
    paired: bool = True
    shared_noise: bool = True
    whole_targets: tuple[str, ...] = ()
    whole_starts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for setting, least in {"steps": 1, "trials": 1, "seed": 0}.items():
            if not getattr(self, setting) >= least:
                raise ValueError(f"{setting} is {getattr(self, setting)}; it must be at least {least}")
        if self.keep not in ("last", "best"):
            raise ValueError(f"keep is {self.keep!r}; it must be 'last' or 'best'")
        if not self.name or Path(self.name).name != self.name:
            raise ValueError(f"name is {self.name!r}; it must be the name of a file, without folders")
        for kind in ("synths", "losses"):
            names = [thing.name for thing in getattr(self, kind)]
            if not names or len({*names}) < len(names):
                raise ValueError(f"{kind} are {', '.join(names) or 'none'}; there must be some, of different names")
        known = {f"{synth.name}.{parameter}" for synth in SYNTHS + self.synths for parameter in synth.space.names}
        for name in self.whole_targets + self.whole_starts:
            if name not in known:
                raise ValueError(f"no parameter {name!r} (there are: {', '.join(sorted(known))})")

    @property
    def pairs(self) -> tuple[tuple[Synth, Loss], ...]:
        """Every synth with every loss, synth by synth."""
        return tuple((synth, loss) for synth in self.synths for loss in self.losses)

    @property
    def settings(self) -> dict[str, Any]:
        """All of it as plain values for JSON; a synth is its name, its rates and the hash of its program."""
        return {field.name: _plain(getattr(self, field.name)) for field in fields(self)}

    def draw(self, synth: Synth, loss: Loss, trials: Sequence[int]) -> Problem:
        """The problems of some trials, every array with a leading axis."""
        key = jax.random.fold_in(jax.random.key(self.seed), crc32(synth.name.encode()))
        if not self.paired:
            key = jax.random.fold_in(key, crc32(loss.name.encode()))
        names = [f"{synth.name}.{parameter}" for parameter in synth.space.names]
        whole = tuple(tuple(name in some for name in names) for some in (self.whole_targets, self.whole_starts))
        one = partial(_draw, synth, whole, self.shared_noise, key)
        return jax.tree.map(lambda *leaves: jnp.stack(leaves), *map(one, trials))

    def match(self, synth: Synth, loss: Loss, problems: Problem) -> Match:
        """What the search makes of the problems."""
        return match_all(synth, loss, problems, self.search, self.steps)


@partial(jax.jit, static_argnums=(0, 1, 2))
def _draw(synth: Any, whole: tuple[tuple[bool, ...], ...], shared_noise: bool, key: jax.Array, trial: int) -> Problem:
    target_key, start_key, noise_key, search_key = jax.random.split(jax.random.fold_in(key, trial), 4)
    truth, start = (synth.space.sample(key, 1)[0] for key in (target_key, start_key))
    low, high = np.array(synth.space.low), np.array(synth.space.high)
    rounded = synth.space.to_unit(jnp.floor(synth.space.to_physical(truth)))
    truth = jnp.where(np.array(whole[0]), jnp.clip(rounded, 0, 1), truth)
    drawn = synth.space.to_unit(low + jnp.minimum(jnp.floor(start * (high - low + 1)), high - low))
    start = jnp.where(np.array(whole[1]), jnp.clip(drawn, 0, 1), start)
    if shared_noise:
        target = synth(truth)
    else:
        target = synth.with_noise(truth, jax.random.randint(noise_key, (), 1, 2**31 - 1, jnp.int32))
    return Problem(target=target, theta_true=truth, theta_init=start, key=search_key)


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if hasattr(value, "source_sha256"):
        rates = {name: getattr(value, name) for name in ("sample_rate", "num_samples", "precision")}
        told = {"switches": _plain(value.switches)} if value.switches else {}
        told |= {} if value.table_slopes else {"table_slopes": False}
        return {"name": value.name, "sha256": value.source_sha256, "space": _plain(value.space)} | rates | told
    if isinstance(value, ParamSpace):  # without steps, as records had it before there were any
        new = () if any(value.quantised) else ("step", "quantised")
        return {"type": "ParamSpace"} | _plain({name: held for name, held in asdict(value).items() if name not in new})
    if hasattr(value, "__dataclass_fields__"):
        space = {"space": _plain(value.space)} if hasattr(value, "space") else {}
        return {"type": type(value).__name__} | _plain(asdict(value)) | space
    return value


def _different(experiment: Experiment, settings: Mapping[str, Any]) -> list[str]:
    """The settings that are not those of the experiment, the number of trials aside."""
    wanted = experiment.settings
    return [name for name in {**wanted, **settings} if name != "trials" and wanted.get(name) != settings.get(name)]
