"""One loop for all training: phases of epochs, checkpoints, and the same result after a kill."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

import jax
import numpy as np
import optax
import orbax.checkpoint as ocp
from flax import nnx
from tqdm import tqdm

from sonimatch.audio import replacing
from sonimatch.learn.data import DataError, opened

PATIENCE, REDUCED = 3, 0.1  # the rate is reduced after so many epochs without a lower validation loss


@dataclass(frozen=True)
class Phase:
    """So many epochs with one objective, as `sonimatch.learn.objective` has them.

    - `optimizer`: "adam", or "clipped": momentum 0.965, weight decay of a tenth of the rate, and every step
      clipped at 0.04 of it (algorithm 1 of Han et al. 2024; with their ε of 1e-15 it is the sign of the momentum).
    - `rate`: at the beginning; multiplied by 0.1 after three epochs without a lower validation loss.
    - `damping`, `relaxed`: λ at the beginning, multiplied by `relaxed` after an epoch with a lower validation loss.
    - `steps`: batches in an epoch; `None`: as many as hold each row of the training set once.

    The validation loss is that of the objective without damping, so that λ alone cannot lower it.
    """

    objective: Callable[..., jax.Array]
    epochs: int
    optimizer: Literal["adam", "clipped"] = "adam"
    rate: float = 1e-3
    damping: float = 0.0
    relaxed: float = 0.2
    steps: int | None = None

    def __post_init__(self) -> None:
        if self.optimizer not in ("adam", "clipped"):
            raise ValueError(f"optimizer is {self.optimizer!r}; it must be 'adam' or 'clipped'")
        for name, low in {"epochs": 1, "rate": 0, "damping": 0, "relaxed": 0, "steps": 1}.items():
            if getattr(self, name) is not None and not getattr(self, name) >= low:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least {low}")

    def transformation(self) -> optax.GradientTransformation:
        """What turns gradients into steps; its rate can be set from step to step."""
        if self.optimizer == "adam":
            return optax.inject_hyperparams(optax.adam)(learning_rate=self.rate)
        return optax.inject_hyperparams(_clipped)(learning_rate=self.rate)


def _clipped(learning_rate: float) -> optax.GradientTransformation:
    return optax.chain(
        optax.ema(0.965, debias=False),
        optax.scale(1e15),
        optax.clip(0.04),
        optax.add_decayed_weights(0.1),
        optax.scale_by_learning_rate(learning_rate),
    )


def train(
    make: Callable[[nnx.Rngs], nnx.Module],
    phases: Sequence[Phase],
    rows: Mapping[str, np.ndarray],
    parts: Mapping[str, np.ndarray],
    folder: str | os.PathLike[str],
    *,
    settings: Mapping[str, Any],
    batch: int = 64,
    seed: int = 0,
    watch: Callable[[Any], Mapping[str, float]] | None = None,
    progress: bool = True,
) -> tuple[Any, list[dict[str, float]]]:
    """Train `make(rngs)` phase after phase: the model as it was at its lowest validation loss in the last phase, and
    the history, an entry for each epoch.

    An epoch is batches of `batch` rows of `parts["training"]`, drawn in an order of its own, and then the loss of
    `parts["validation"]`. After each epoch all is kept in `folder`: weights, optimizer,
    rate and damping. The same call goes on from there, and since order and dropout of an epoch are drawn from `seed`
    and its number, the result is that of a run that was never stopped. `watch(model)`, numbers by name after an epoch,
    are added to its entry. `settings`, plain values for JSON, say what is
    trained; a folder with others, or with anything else, is refused (`DataError`).
    """
    place = opened(folder, {**settings, "batch": batch, "seed": seed})
    model = make(nnx.Rngs(params=seed, dropout=seed))
    history = _history(place)
    total = sum(phase.epochs for phase in phases)
    with tqdm(
        total=total, initial=len(history), disable=not progress, desc=place.name, unit="epoch", leave=False
    ) as bar:
        before = 0
        for number, phase in enumerate(phases):
            if len(history) < before + phase.epochs:
                _phase(model, phase, number, before, rows, parts, place, history, (batch, seed), watch, bar)
            before += phase.epochs
    return restored(model, place / "best"), history


def _phase(
    model: Any, phase: Phase, number: int, before: int, rows: Mapping[str, np.ndarray], parts: Mapping[str, np.ndarray],
    place: Path, history: list[dict[str, float]], how: tuple[int, int],
    watch: Callable[[Any], Mapping[str, float]] | None, bar: Any,
) -> None:  # fmt: skip
    """The epochs of a phase that are not in the history yet, which is added to."""
    batch, seed = how
    optimizer = nnx.Optimizer(model, phase.transformation(), wrt=nnx.Param)
    rate, damping, lowest, waited = phase.rate, phase.damping, np.inf, 0
    if history:
        restored(model, place / f"{len(history):05d}" / "model")
    if len(history) > before:
        restored(optimizer, place / f"{len(history):05d}" / "optimizer")
        rate, damping, lowest, waited = (history[-1][name] for name in ("rate", "damping", "lowest", "waited"))
    loss = partial(_loss, phase.objective)
    training, validation = parts["training"], parts["validation"]
    for epoch in range(len(history), before + phase.epochs):
        rng = np.random.default_rng((seed, epoch))
        nnx.reseed(model, dropout=int(rng.integers(2**31)))
        optimizer.opt_state.hyperparams["learning_rate"][...] = rate
        model.train()
        values = []
        for some in _batches(rng, training, batch, phase.steps):
            some_rows = {name: array[some] for name, array in rows.items()}
            values.append(step(phase.objective, model, optimizer, some_rows, damping))
        model.eval()
        checked = [(loss(model, {name: array[some] for name, array in rows.items()}), len(some))
                   for some in np.array_split(validation, -(-len(validation) // batch))]  # fmt: skip
        value = float(np.average([float(v) for v, _ in checked], weights=[n for _, n in checked]))
        lower, used = value < lowest, (rate, damping)
        lowest, waited = (value, 0) if lower else (lowest, waited + 1)
        damping = damping * phase.relaxed if lower else damping
        rate, waited = (rate * REDUCED, 0) if waited >= PATIENCE else (rate, waited)
        history.append({
            "epoch": epoch + 1, "phase": number, "training": float(np.mean(values)), "validation": value,
            "rate_used": used[0], "damping_used": used[1], "rate": rate, "damping": damping, "lowest": lowest,
            "waited": waited, **(watch(model) if watch else {}),
        })  # fmt: skip
        _keep(model, optimizer, place, history, lower or epoch == before)  # of this phase, even if it is NaN
        bar.update()
        bar.set_postfix({name: f"{history[-1][name]:.3g}" for name in ("training", "validation")})


@partial(nnx.jit, static_argnums=0)
def step(objective: Any, model: Any, optimizer: Any, rows: Any, damping: Any) -> jax.Array:
    """One step of a model and its optimizer, both changed in place: the loss before it."""
    value, gradient = nnx.value_and_grad(lambda model: objective(model, rows, damping))(model)
    optimizer.update(model, gradient)
    return value


@partial(nnx.jit, static_argnums=0)
def _loss(objective: Any, model: Any, rows: Any) -> jax.Array:
    return objective(model, rows)


def _batches(rng: np.random.Generator, training: np.ndarray, batch: int, steps: int | None) -> np.ndarray:
    """`[steps, batch]`: rows in a new order, again and again if need be; what is left over at the end is left out."""
    number = len(training) // batch if steps is None else steps
    rounds = -(-number * batch // len(training))
    order = np.concatenate([rng.permutation(training) for _ in range(rounds)])
    return order[: number * batch].reshape(number, batch)


# ------------------------------------------------------------------------------------------------- checkpoints


def _history(place: Path) -> list[dict[str, float]]:
    note = place / "history.json"
    return json.loads(note.read_text(encoding="utf-8")) if note.is_file() else []


def _pure(node: Any) -> Any:
    """All arrays of a model or an optimizer but the random keys, which each epoch draws anew."""
    return nnx.to_pure_dict(nnx.filter_state(nnx.state(node), nnx.Not(nnx.RngState)))


def _keep(model: Any, optimizer: Any, place: Path, history: list[dict[str, float]], best: bool) -> None:
    """Weights first, then the history, which says how far they go: a kill between the two costs an epoch."""
    last = place / f"{len(history):05d}"
    for path, node in [(last / "model", model), (last / "optimizer", optimizer), (place / "best", model)][: 2 + best]:
        with ocp.StandardCheckpointer() as saver:
            saver.save(path.resolve(), _pure(node), force=True)
        with replacing(_list(path)) as file:
            file.write(json.dumps(_digests(path)).encode())
    with replacing(place / "history.json") as file:
        file.write(json.dumps(history).encode())
    for old in place.glob("[0-9]" * 5):
        if old != last:
            shutil.rmtree(old)


def _list(path: Path) -> Path:
    return path.with_name(f"{path.name}.json")


def _digests(path: Path) -> dict[str, str]:
    """The SHA-256 of every file of a checkpoint, by its path within."""
    files = sorted(file for file in path.rglob("*") if file.is_file())
    return {file.relative_to(path).as_posix(): sha256(file.read_bytes()).hexdigest() for file in files}


def restored(node: Any, path: Path) -> Any:
    """The same object with the arrays of a checkpoint. `DataError` where it is not whole, or of another network.

    That it is whole is known before Orbax reads it, whose reading of what is not may go on after its error.
    """
    try:
        listed = json.loads(_list(path).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise DataError(f"{path} holds no checkpoint: the list of its files, {_list(path).name}, is missing") from None
    held = _digests(path)
    if damaged := sorted(name for name in listed if held.get(name) != listed[name]):
        raise DataError(f"{path} is damaged: {damaged[0]} is missing or not as it was written")
    pure = _pure(node)
    try:
        with ocp.StandardCheckpointer() as saver:
            found = saver.restore(path.resolve(), jax.tree.map(ocp.utils.to_shape_dtype_struct, pure))
    except (ValueError, KeyError) as error:
        raise DataError(f"{path} holds no checkpoint of this network: {str(error).splitlines()[0]}") from None
    nnx.update(node, found)
    return node
