"""How results are told and written: rows as CSV and Markdown, points in physical units, strict JSON, figures."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sonimatch.cli.words import InputError

if TYPE_CHECKING:
    from sonimatch.answers import Around, Ranking
    from sonimatch.assessment import Assessment
    from sonimatch.plots import Figure
    from sonimatch.types import Loss, Search, Synth


def check_output(*paths: Path, make_folder: bool = False, spare: Sequence[Path] = ()) -> None:
    """Refuse output that cannot be written, or that would overwrite one of `spare`, before anything is computed."""
    import tempfile

    folder = paths[0].parent
    try:
        if make_folder:
            folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
        for path in filter(Path.exists, paths):
            if not path.is_file():
                raise InputError(f"cannot write {path}: it is {'a folder' if path.is_dir() else 'not a regular file'}")
            for kept in filter(Path.exists, spare):
                if path.samefile(kept):
                    raise InputError(f"{kept} would be overwritten by the result; choose another folder with -o")
    except OSError as error:
        raise InputError(f"cannot write to the folder {folder}: {error.strerror or error}") from None


def write_text(path: Path, text: str) -> None:
    from sonimatch.audio import replacing

    with replacing(path) as file:
        file.write(text.encode())


def json_text(value: Any) -> str:
    """Strict JSON: numbers that are not finite become null."""
    return json.dumps(_strict(value), indent=1, allow_nan=False) + "\n"


def write_json(path: Path, value: Any) -> None:
    write_text(path, json_text(value))


def _strict(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _strict(entry) for key, entry in value.items()}
    if hasattr(value, "tolist"):
        return _strict(value.tolist())
    if isinstance(value, list | tuple):
        return [_strict(entry) for entry in value]
    return None if isinstance(value, float) and not abs(value) < float("inf") else value


def save_figure(path: Path, figure: Figure) -> None:
    from sonimatch.audio import replacing

    with replacing(path) as file:
        figure.savefig(file, format="png", dpi=150)


def csv_text(rows: Sequence[Mapping[str, Any]]) -> str:
    import csv
    import io

    text = io.StringIO()
    table = csv.DictWriter(text, dict.fromkeys(name for row in rows for name in row), lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    return text.getvalue()


def markdown_text(rows: Sequence[Mapping[str, Any]]) -> str:
    def line(cells: Any) -> str:
        texts = (f"{cell:.4g}" if isinstance(cell, float) else str(cell).replace("|", r"\|") for cell in cells)
        return f"| {' | '.join(texts)} |\n"

    return "".join([line(rows[0]), line("---" for _ in rows[0]), *(line(row.values()) for row in rows)]) if rows else ""


def parameters(synth: Synth, theta: Any) -> dict[str, dict[str, Any]]:
    """The physical value and the unit of every parameter at `theta [P]`."""
    triples = zip(synth.space.names, synth.space.to_physical(theta).tolist(), synth.space.unit, strict=True)
    return {name: {"value": value, "unit": unit} for name, value, unit in triples}


def point_text(synth: Synth, theta: Any) -> str:
    return ", ".join(f"{name} = {p['value']:.5g} {p['unit']}".rstrip() for name, p in parameters(synth, theta).items())


def settings(thing: Loss | Search) -> dict[str, Any]:
    """The hyper-parameters of a loss or a search."""
    from dataclasses import asdict

    values = asdict(thing)  # pyright: ignore[reportArgumentType] (static values are dataclasses)
    return {name: value for name, value in values.items() if name != "name"}


def described(synth: Synth) -> dict[str, Any]:
    """What a synthesizer is, so that it can be told from another of its name."""
    import dataclasses

    return {
        "name": synth.name,
        "source_sha256": getattr(synth, "source_sha256", None),
        "sample_rate": synth.sample_rate,
        "num_samples": synth.num_samples,
        "space": dataclasses.asdict(synth.space),
    }


def attained(synth: Synth, worth: Assessment) -> dict[str, Any]:
    """What a match came to."""
    path, runs, draws = worth.kept.trajectory, worth.runs, worth.draws
    series = zip(runs.trajectory.theta[:, 0], runs.trajectory.value[:, 0], runs.value_best, runs.ok, strict=True)
    return {
        "loss_at_start": path.value[0],
        "loss_at_best": worth.kept.value_best,
        "step_of_best": worth.step,
        "loss_per_step": path.value,
        "start_kept": worth.start,
        "starts": [
            {"parameters": parameters(synth, theta), "loss_at_start": first, "loss_at_best": best, "ok": ok}
            for theta, first, best, ok in series
        ],
        "random_draws": {
            "number": len(draws.trajectory.value),
            "loss_at_best": draws.value_best,
            "parameters": parameters(synth, draws.theta_best),
        },
        **{name: getattr(worth, name) for name in ("loss_of_silence", "at_end", "unmoved", "without_gradient")},
        "objections": worth.objections,
    }


def ranked(ranking: Ranking) -> list[dict[str, Any]]:
    """What every synth came to, the nearest first, in the units of one loss."""
    return [
        {
            "name": one.synth.name,
            "ok": not one.objections,
            "loss": one.loss,
            "way": ranking.way(one.loss),
            "mss": one.mss,
            "parameters": parameters(one.synth, one.worth.kept.theta_best) if one.worth else None,
            "objections": one.objections,
        }
        for one in ranking.answers
    ]


def around(synth: Synth, near: Around) -> dict[str, Any]:
    """Candidates, and the interval of each parameter."""
    low, high = (parameters(synth, theta) for theta in (near.intervals.low, near.intervals.high))
    return {
        "candidates": [{"loss": each.loss, "parameters": parameters(synth, each.theta)} for each in near.candidates],
        "intervals": {
            name: {"low": low[name]["value"], "high": high[name]["value"], "unit": low[name]["unit"]} for name in low
        },
        "intervals_within_loss": near.intervals.within,
        "evaluations_around": {"candidates": near.evaluations, "intervals": near.intervals.evaluations},
    }


def file_sha256(path: Path) -> str:
    import hashlib

    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def version(package: str) -> str | None:
    from importlib import metadata

    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
