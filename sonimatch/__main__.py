"""The command line: `sonimatch list`, `render`, `match`, `landscape`, `study` and `listen`.

Exit status: 0 done, 1 it failed, 2 what the user gave was wrong, 130 interrupted; errors are one line on stderr.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import io
import json
import os
import platform
import sys
import tempfile
from collections.abc import Mapping, Sequence
from datetime import timedelta
from difflib import get_close_matches
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    import numpy as np

    from sonimatch.plots import Figure
    from sonimatch.study import Experiment, Study
    from sonimatch.types import Loss, Search, Synth

_PACKAGES = ("sonimatch", "jax", "jaxlib", "numpy", "optax", "dawdreamer", "soundfile", "soxr")


class InputError(Exception):
    """What the user gave cannot be used."""


class FailedError(Exception):
    """The computation came to nothing."""


# ------------------------------------------------------------------------------------------------- the commands


def _list(_: argparse.Namespace) -> None:
    from sonimatch.losses import LOSSES
    from sonimatch.search import SEARCHES
    from sonimatch.synths import SYNTHS

    print("Synths (or the path of a .dsp file of yours):")
    for synth in SYNTHS:
        space = synth.space
        alone = "   (one parameter: for landscapes)" if len(space) == 1 else ""
        print(f"  {synth.name}   {synth.num_samples / synth.sample_rate:g} s at {synth.sample_rate} Hz{alone}")
        for name, low, high, unit, warp, default in zip(
            space.names, space.low, space.high, space.unit, space.warp, space.default, strict=True
        ):
            print(f"    {name:12} {low:g} to {high:g} {unit}".ljust(38) + f"{warp}, default {default:g}")
    for title, things in (("Losses", LOSSES), ("Searches", SEARCHES)):
        print(f"\n{title}:")
        for thing in things:
            print(f"  {thing.name}")
            for name, value in _settings(thing).items():
                print(f"    {name:15} {json.dumps(value)}")


def _render(args: argparse.Namespace) -> None:
    if args.output.suffix.lower() != ".wav":
        raise InputError(f"-o {args.output}: a sound is written as WAV; the file name must end in .wav")
    synth = _synth(args.synth)
    theta = _theta(synth, args.values)
    _check_output(args.output)

    from sonimatch import audio

    sound = _sound(synth, theta)
    audio.write(args.output, sound, synth.sample_rate)
    seconds = synth.num_samples / synth.sample_rate
    print(f"{args.output}: {synth.name}, {_text(synth, theta)}; {seconds:g} s at {synth.sample_rate} Hz")
    if audio.is_silent(sound):
        print("the sound is silent")


def _match(args: argparse.Namespace) -> None:
    from sonimatch import audio

    try:
        samples, rate = audio.read(args.target)  # before anything is compiled: a wrong path is told at once
    except audio.AudioError as error:
        raise InputError(str(error)) from None
    synth, loss = _synth(args.synth), _loss(args.loss)
    try:
        target, changes = audio.prepare(samples, rate, synth.sample_rate, synth.num_samples, trim=not args.keep_silence)
    except audio.AudioError as error:
        raise InputError(f"{args.target}: {error}") from None
    to_wav, to_png, to_json = (args.output / f"match.{kind}" for kind in ("wav", "png", "json"))
    _check_output(to_wav, to_png, to_json, make_folder=True, spare=args.target)
    print(f"target: {args.target}, {len(samples) / rate:.4g} s at {rate} Hz")
    for change in changes or ["used as it is"]:
        print(f"  {change}")
    starts = "1 random start" if args.starts == 1 else f"{args.starts} random starts"
    print(f"{synth.name}, {loss.name}: {args.steps} steps from {starts}, seed {args.seed}", flush=True)

    import jax
    import numpy as np

    from sonimatch.match import match
    from sonimatch.plots import match_figure
    from sonimatch.search import RMSProp

    search = RMSProp(bounded=args.bounded)
    start_key, key = jax.random.split(jax.random.key(args.seed))
    init = synth.space.sample(start_key, args.starts)
    found = jax.device_get(match(synth, loss, jax.numpy.asarray(target), search, args.steps, init=init, key=key))
    kept = _lowest(found.value_best)
    theta, values = found.theta_best[kept], found.trajectory.value[kept]
    sound = _sound(synth, theta)
    finite = bool(np.isfinite(found.value_best[kept]) and np.isfinite(sound).all())
    silent = finite and audio.is_silent(sound)
    record = {
        "ok": finite and not silent,
        "parameters": _parameters(synth, theta) if finite else None,
        "loss_at_start": values[0],
        "loss_at_best": found.value_best[kept],
        "step_of_best": _lowest(values),
        "loss_per_step": values,
        "start_kept": kept,
        "starts": [
            {"parameters": _parameters(synth, init[n]), "loss_at_start": series[0], "loss_at_best": best, "ok": ok}
            for n, (series, best, ok) in enumerate(zip(found.trajectory.value, found.value_best, found.ok, strict=True))
        ],
        "target": {"file": str(args.target), "seconds": len(samples) / rate, "sample_rate": rate, "changes": changes},
        "synth": {
            "name": synth.name,
            "source_sha256": getattr(synth, "source_sha256", None),
            "sample_rate": synth.sample_rate,
            "num_samples": synth.num_samples,
            "space": dataclasses.asdict(synth.space),
        },
        "loss": {"name": loss.name} | _settings(loss),
        "search": {"name": search.name} | _settings(search),
        "steps": args.steps,
        "seed": args.seed,
        "versions": {"python": platform.python_version()} | {name: _version(name) for name in _PACKAGES},
        "device": jax.default_backend(),
    }
    if finite:
        audio.write(to_wav, sound, synth.sample_rate)
        path = synth.space.to_physical(found.trajectory.theta[kept])
        shown = np.where(np.isfinite(values), values, np.nan)
        _save(
            to_png,
            match_figure(target, sound, synth.sample_rate, path, shown, synth.space.names, synth.space.unit),
        )
    else:  # those of an earlier match would contradict the record
        to_wav.unlink(missing_ok=True)
        to_png.unlink(missing_ok=True)
    with audio.replacing(to_json) as file:
        file.write((json.dumps(_strict(record), indent=1, allow_nan=False) + "\n").encode())

    if broken := int((~found.ok).sum()):
        print(f"not finite somewhere on the way: {broken} of {starts}")
    if not finite:
        raise FailedError(f"no finite loss in {args.steps} steps from {starts}; see {to_json}")
    for name, point in zip(synth.space.names, theta, strict=True):
        value, unit = _parameters(synth, theta)[name].values()
        print(f"  {name} = {value:.5g} {unit}".rstrip() + ("" if 0 < point < 1 else " (at the end of its range)"))
    print(
        f"loss: {values[0]:.6g} at the start, {found.value_best[kept]:.6g} at the best, step {record['step_of_best']}"
    )
    print(f"wrote {to_json}, {to_wav.name}, {to_png.name}")
    if silent:
        raise FailedError("the best sound found is silent")


def _landscape(args: argparse.Namespace) -> None:
    from sonimatch.losses import LOSSES

    synth = _synth(args.synth)
    losses = LOSSES if args.loss == "all" else (_loss(args.loss, "all"),)
    names = synth.space.names
    if args.parameter is None and len(names) > 1:
        raise InputError(f"{synth.name} has {len(names)} parameters; choose one with --parameter ({', '.join(names)})")
    free = names[0] if args.parameter is None else _nearest("parameter", args.parameter, names)
    column = names.index(free)
    theta = _theta(synth, args.target)
    to_csv = {loss.name: args.output / f"{synth.name}_{free}_{loss.name}.csv" for loss in losses}
    to_png = args.output / f"{synth.name}_{free}_{args.loss}.png"
    _check_output(*to_csv.values(), to_png, make_folder=True)
    print(f"{synth.name}: {free} at {args.num} points; target: {_text(synth, theta)}", flush=True)

    import numpy as np

    from sonimatch import audio
    from sonimatch.landscape import landscape
    from sonimatch.plots import landscape_figure

    target = synth(theta)
    label = f"{free} ({synth.space.unit[column]})" if synth.space.unit[column] else free
    curves = {}
    for loss in losses:
        found = landscape(synth, loss, target, parameters=(free,), num=args.num, theta=theta)
        unit, value, gradient = found.theta[:, column], found.value, found.gradient[:, column]
        physical = np.asarray(synth.space.to_physical(found.theta))[:, column]
        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        table.writerow([label, "unit value", "loss", "gradient per unit value"])
        table.writerows(zip(physical, unit, value, gradient, strict=True))
        with audio.replacing(to_csv[loss.name]) as file:
            file.write(text.getvalue().encode())
        finite = np.isfinite(value) & np.isfinite(gradient)
        if not finite.any():
            raise FailedError(f"{loss.name} is nowhere finite; see {to_csv[loss.name]}")
        broken = "" if finite.all() else f"; not finite at {np.count_nonzero(~finite)} points"
        lowest = _lowest(value)
        print(f"  {loss.name}: lowest {value[lowest]:.6g} at {physical[lowest]:.6g}{broken}", flush=True)
        curves[loss.name] = (physical, np.where(finite, value, np.nan), np.where(finite, gradient, np.nan))
    _save(to_png, landscape_figure(curves, label, float(synth.space.to_physical(theta)[column])))
    print(f"wrote {to_png}, {', '.join(path.name for path in to_csv.values())}")


# ------------------------------------------------------------------------------------------------- studies


def _study_run(args: argparse.Namespace) -> None:
    from sonimatch import study

    experiment = _experiment(args)
    path = args.output / f"{experiment.name}.npz"
    _check_output(path, make_folder=True)
    print(
        f"{experiment.name}: {len(experiment.synths)} synths × {len(experiment.losses)} losses × "
        f"{experiment.trials} trials of {experiment.steps} steps, seed {experiment.seed}",
        flush=True,
    )
    try:
        found = study.run(experiment, args.output, workers=args.workers)
    except study.StudyError as error:
        raise InputError(str(error)) from None
    except KeyboardInterrupt:
        raise KeyboardInterrupt("interrupted; the same command continues") from None
    print(f"{path}: {_origin(found.provenance)}; SHA-256 {found.checksum}")


def _study_status(args: argparse.Namespace) -> None:
    from sonimatch import study

    if not (found := study.status(args.output)):
        raise InputError(f"{args.output} holds no study")
    for path, settings, provenance, done, damaged in found:
        if settings:
            print(f"{path}: {_origin(provenance) if provenance else 'not finished; `study run` continues it'}")
            for (synth, loss), number in done.items():
                print(f"  {synth}, {loss}: {number} of {settings['trials']} trials")
        for message in damaged:
            print(message + ("; `study run` runs it again" if settings else ""))


def _study_report(args: argparse.Namespace) -> None:
    study = _record(args.record)
    names = ("report.md", "summary.csv", "kruskal_wallis.csv", "ranks.csv", "P_loss.png", "MSS.png", "steps.png")
    _check_output(*(args.output / name for name in names), make_folder=True)

    from sonimatch import plots, stats

    summary = study.summary()
    shown = [
        {
            "synth": row["synth"],
            "loss": row["loss"],
            "trials": row["trials"],
            "P-loss at the start": f"{row['P_loss_start']:.4f}",
            "P-loss": f"{row['P_loss']:.4f} ± {row['P_loss_se']:.4f}",
            "MSS": f"{row['MSS']:.4f} ± {row['MSS_se']:.4f}",
            "solved": f"{row['solved']:.1%}",
            "out of range": row["out_of_range"],
            "not finite": row["not_finite"],
            "no score": row["no_score"],
        }
        for row in summary
    ]
    tests, ranks, notes, figures = [], [], [], []
    metrics: dict[Any, str] = {"P_loss": "P-loss", "MSS": "MSS"}
    for metric, name in metrics.items():
        means, published = {}, {}
        for synth in study.synths:
            try:
                scores = {loss: study.scores(synth, loss, metric) for loss in study.losses}
                test = stats.kruskal_wallis([*scores.values()])
                ranking, raw = stats.rank_losses(scores), stats.rank_losses(scores, resamples=0)
            except ValueError as error:
                notes.append(f"{synth}, {name}: no test and no ranks: {error}.")
                continue
            tests.append({"synth": synth, "metric": name, "H": test.H, "p": test.p})
            ranks.append({"synth": synth, "metric": name, "ranked": "means, as published"} | ranking)
            ranks.append({"synth": synth, "metric": name, "ranked": "trials"} | raw)
            means[synth] = {
                loss: stats.bootstrap_means(score, seed=i) for i, (loss, score) in enumerate(scores.items())
            }
            published[synth] = ranking
        if means:
            figures.append(f"{metric}.png")
            _save(args.output / figures[-1], plots.violins_figure(means, published, f"bootstrapped mean {name}"))
    if study.is_thinned:
        notes.append("The record has the ends of the paths only: no figure of the steps.")
    else:
        curves = {synth: {loss: study.P_loss(synth, loss, "path") for loss in study.losses} for synth in study.synths}
        figures.append("steps.png")
        _save(args.output / "steps.png", plots.progress_figure(curves))

    tables = {"summary.csv": summary, "kruskal_wallis.csv": tests, "ranks.csv": ranks}
    for file, rows in tables.items():
        _write_text(args.output / file, _csv(rows))
    text = f"""# {study.settings["name"]}

{args.record.name}: {_origin(study.provenance)}; SHA-256 `{study.checksum}`.

## Scores

Means ± standard errors of the finite scores; solved: the share of trials that end with a P-loss of 0.05 or less.
Out of range: the trial ended with a parameter outside its range. Not finite: a loss or gradient on the way. No score:
the MSS is not finite.

{_markdown(shown)}
## Differences between the losses

Kruskal–Wallis on the trials; a score that is not finite counts as the worst of its pair.

{_markdown(tests)}
## Ranks

Scott–Knott effect size difference, 1 is best: of 1000 bootstrapped means (as published), and of the trials themselves.

{_markdown(ranks)}
"""
    _write_text(args.output / "report.md", "\n\n".join([text.rstrip(), *notes]) + "\n")
    print(_markdown(shown), end="")
    for note in notes:
        print(note)
    print(f"wrote {args.output / 'report.md'}, {', '.join([*names[1:4], *figures])}")


def _study_verify(args: argparse.Namespace) -> None:
    from sonimatch import study

    record = _record(args.record)
    presets = {preset.name: preset for preset in study.PRESETS}
    try:
        experiment = presets.get(record.settings["name"]) or study.experiment_of(record.settings)
        rows = study.verify(record, experiment, args.per_pair, args.seed)
    except study.StudyError as error:
        raise InputError(f"{args.record} cannot be run again: {error}") from None
    print(_markdown([row._asdict() for row in rows]), end="")
    if all(row.equal for row in rows):
        print(f"equal to the last bit: {len(rows)} trials")
        return
    bad = [row for row in rows if not (row.early <= _EARLY and row.score <= _SCORE)]
    if bad:
        raise FailedError(f"{args.record} is not what its experiment gives: {len(bad)} of {len(rows)} trials differ")
    print(f"equal within rounding: {len(rows)} trials, over the first ten steps and in their score")


def _study_export(args: argparse.Namespace) -> None:
    study = _record(args.record)
    _check_output(args.csv, spare=args.record)

    import numpy as np

    rows = []
    for (synth, loss), trials in study.trials.items():
        space = study.space(synth)
        points = [np.asarray(space.to_physical(theta)) for theta in (trials.theta_true, trials.start, trials.end)]
        P_loss = [study.P_loss(synth, loss, when) for when in ("start", "end")]
        best = np.where(np.isfinite(trials.value), trials.value, np.inf).min(1)
        for i, kept in enumerate(trials.kept):
            row = {"synth": synth, "loss": loss, "trial": i}
            for column, (name, unit) in enumerate(zip(space.names, space.unit, strict=True)):
                row[f"parameter_{column}"] = f"{name} ({unit})" if unit else name
                row |= {f"{what}_{column}": point[i, column] for what, point in zip(_POINTS, points, strict=True)}
            row |= {"P_loss_start": P_loss[0][i], "P_loss_end": P_loss[1][i], "MSS": trials.MSS[i]}
            row |= {"value_start": trials.value[i, 0], "value_end": trials.value[i, kept]}
            row |= {} if study.is_thinned else {"value_best": best[i]}
            row |= {"ok": int(trials.ok[i]), "out_of_range": int(trials.out_of_range[i])}
            rows.append(row)
    _write_text(args.csv, _csv(rows))
    print(f"wrote {args.csv}: {len(rows)} trials")


# ------------------------------------------------------------------------------------------------- listening


def _listen_build(args: argparse.Namespace) -> None:
    record = _record(args.study)

    from sonimatch import listening
    from sonimatch.study import StudyError

    try:
        from sonimatch.widgets.listening_test import rater_page
    except ImportError as error:
        raise InputError(f"the page of the test needs {error.name}; install sonimatch[book]") from None
    _check_output(args.output / listening.KEY, make_folder=True)

    kind = "opus" if args.opus else "flac"
    try:
        key = listening.build(record, args.output, rater_page, args.per_pair, args.seed, kind)
    except (StudyError, listening.ListeningError) as error:
        raise InputError(str(error)) from None
    raters, secret = args.output / listening.FOLDER, args.output / listening.KEY
    size = sum(path.stat().st_size for path in raters.rglob("*") if path.is_file()) / 1e6
    print(
        f"{raters}: {len(key.items)} pairs of sounds, {size:.1f} MB; send this folder to the raters, who open its "
        f"index.html and send a file back\n"
        f"{secret}: the key, which says what each sound is; keep it, and show it to no rater\n"
        f"put the raters' files beside the key, then: sonimatch listen score {args.output}"
    )


def _listen_score(args: argparse.Namespace) -> None:
    from sonimatch import listening

    paths = [path for word in args.files for path in (sorted(word.glob("*.json")) if word.is_dir() else [word])]
    try:
        read = [listening.read(path) for path in paths]
        keys = [found for found in read if isinstance(found, listening.Key)]
        if args.key:
            found = listening.read(args.key)
            keys = [found] if isinstance(found, listening.Key) else []
        if len(keys) != 1:
            raise InputError(f"there are {len(keys)} keys; name the one that `listen build` wrote with --key")
        ratings = [found for found in read if isinstance(found, listening.Ratings)]
        found = listening.analyse(ratings, keys[0])
    except listening.ListeningError as error:
        raise InputError(str(error)) from None
    if args.csv:
        _check_output(args.csv)
        items = keys[0].items
        rows = [
            {"rater": one.rater, "item": name} | items[name]._asdict() | {"score": score}
            for one in ratings
            for name, score in one.scores.items()
        ]
        _write_text(args.csv, _csv(rows))
    for one in ratings:
        broken = f"; {len(one.failed)} did not play" if one.failed else ""
        print(f"{one.rater}: {len(one.scores)} of {len(keys[0].items)} pairs of sounds scored{broken}")
    if found.left_out:
        print(f"left out: {found.left_out} pairs of sounds that not everybody scored")
    print()
    for title, rows in (
        ("Agreement of the raters; value, 95 % interval and p of its absence", found.agreement),
        ("Do the losses differ? Kruskal–Wallis on all scores, as published, and on one score per sound", found.tests),
        ("Mean scores and ranks, 1 is best: of bootstrapped means, as published, and of sounds", found.ranks),
    ):
        if rows:
            print(f"{title}\n\n{_markdown(rows)}")


_EARLY, _SCORE = 1e-3, 1e-2  # what rounding of another machine may change
_POINTS = ("true", "start", "end")


def _experiment(args: argparse.Namespace) -> Experiment:
    """The preset with what the words change; a change changes the name too, so that no record is taken for another."""
    from sonimatch import study

    presets = {preset.name: preset for preset in study.PRESETS}
    preset = presets[_nearest("preset", args.preset.lower(), tuple(presets))]
    synths, losses = _pairs(args.pairs, preset)
    numbers = {name: getattr(args, name) for name in ("trials", "steps", "seed") if getattr(args, name) is not None}
    paired, shared = preset.paired and not args.unpaired, preset.shared_noise and not args.independent_noise
    changed = dataclasses.replace(preset, synths=synths, losses=losses, paired=paired, shared_noise=shared, **numbers)
    words = {
        f"{changed.trials}x{changed.steps}": (changed.trials, changed.steps) != (preset.trials, preset.steps),
        f"seed{changed.seed}": changed.seed != preset.seed,
        "unpaired": paired != preset.paired,
        "independent": shared != preset.shared_noise,
        "-".join(synth.name for synth in synths): synths != preset.synths,
        "-".join(loss.name for loss in losses): losses != preset.losses,
    }
    return dataclasses.replace(changed, name="-".join([preset.name, *(word for word, said in words.items() if said)]))


def _pairs(text: str | None, preset: Experiment) -> tuple[tuple[Synth, ...], tuple[Loss, ...]]:
    """The synths and losses of `SYNTH:LOSS`, `SYNTH` and `LOSS`, between commas."""
    synths, losses = {synth.name: synth for synth in preset.synths}, {loss.name: loss for loss in preset.losses}
    words = text.split(",") if text else []
    pairs = [tuple(word.split(":", 1)) for word in words if ":" in word]
    alone = [_nearest("synth or loss", word, (*synths, *losses)) for word in words if ":" not in word]
    wanted = {(_nearest("synth", synth, tuple(synths)), _nearest("loss", loss, tuple(losses))) for synth, loss in pairs}
    if alone or not words:
        some_synths, some_losses = ([word for word in alone if word in known] for known in (synths, losses))
        wanted |= {(synth, loss) for synth in some_synths or synths for loss in some_losses or losses}
    rows, columns = ([name for name in known if any(name in pair for pair in wanted)] for known in (synths, losses))
    if missing := [f"{synth}:{loss}" for synth in rows for loss in columns if (synth, loss) not in wanted]:
        raise InputError(
            f"--pairs {text}: a study has every synth with every loss; {', '.join(missing)} would be missing: "
            f"add them, or run one study for each synth"
        )
    return tuple(synths[name] for name in rows), tuple(losses[name] for name in columns)


def _record(path: Path) -> Study:
    from sonimatch import study

    try:
        return study.load(path)
    except study.StudyError as error:
        raise InputError(str(error)) from None


def _origin(provenance: Mapping[str, Any]) -> str:
    """When, where and from what a study was made."""
    time, core_time = (timedelta(seconds=round(provenance[name])) for name in ("seconds", "core_seconds"))
    commit = f"commit {provenance['commit']}" if provenance["commit"] else "no commit"
    return f"finished {provenance['finished']}, {time} of work ({core_time} of processors), {commit}"


def _csv(rows: Sequence[Mapping[str, Any]]) -> str:
    text = io.StringIO()
    table = csv.DictWriter(text, list(dict.fromkeys(name for row in rows for name in row)), lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    return text.getvalue()


def _markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    def line(cells: Any) -> str:
        return f"| {' | '.join(f'{cell:.4g}' if isinstance(cell, float) else str(cell) for cell in cells)} |\n"

    return "".join([line(rows[0]), line("---" for _ in rows[0]), *(line(row.values()) for row in rows)]) if rows else ""


def _write_text(path: Path, text: str) -> None:
    from sonimatch.audio import replacing

    with replacing(path) as file:
        file.write(text.encode())


# ------------------------------------------------------------------------------------------------- what they share


def _nearest(kind: str, name: str, legal: Sequence[str], also: str = "") -> str:
    """`name` if it is legal; else the error tells the nearest legal name, and all of them."""
    if name in legal:
        return name
    near = get_close_matches(name.lower(), {known.lower(): known for known in legal}, 1, cutoff=0.4)
    hint = "".join(f"; did you mean {known!r}?" for known in legal if known.lower() in near)
    raise InputError(f"no {kind} {name!r}{hint} (there are: {', '.join(legal)}{also})")


def _synth(name: str) -> Synth:
    from sonimatch.faust import FaustSynth
    from sonimatch.synths import SYNTHS

    catalogue = {synth.name: synth for synth in SYNTHS}
    if name in catalogue or not (name.endswith(".dsp") or os.sep in name):
        return catalogue[_nearest("synth", name, tuple(catalogue), "; or the path of a .dsp file")]
    try:
        return FaustSynth.from_faust(name)
    except OSError as error:
        raise InputError(f"{name} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InputError(f"{name} is not a Faust program: it is not text") from None
    except ValueError as error:
        raise InputError(str(error)) from None


def _loss(name: str, *also: str) -> Loss:
    from sonimatch.losses import LOSSES

    losses = {loss.name: loss for loss in LOSSES}
    return losses[_nearest("loss", name, (*losses, *also))]


def _theta(synth: Synth, pairs: Sequence[str]) -> Any:
    """The point `[P]` of `name=value` words; parameters that are not named keep their default."""
    values: dict[str, float] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not (name and equals):
            raise InputError(f"{pair!r} is not name=value")
        if name in values:
            raise InputError(f"{name} is given twice")
        try:
            values[_nearest("parameter", name, synth.space.names)] = float(text)
        except ValueError:
            raise InputError(f"{pair!r}: {text!r} is not a number") from None
    try:
        return synth.space.theta(values)
    except ValueError as error:
        raise InputError(str(error)) from None


def _sound(synth: Synth, theta: Any) -> np.ndarray:
    import jax
    import numpy as np

    return np.asarray(jax.device_get(synth(theta)))


def _parameters(synth: Synth, theta: Any) -> dict[str, dict[str, Any]]:
    """The physical value and the unit of every parameter at `theta [P]`."""
    triples = zip(synth.space.names, synth.space.to_physical(theta).tolist(), synth.space.unit, strict=True)
    return {name: {"value": value, "unit": unit} for name, value, unit in triples}


def _text(synth: Synth, theta: Any) -> str:
    return ", ".join(f"{name} = {p['value']:.5g} {p['unit']}".rstrip() for name, p in _parameters(synth, theta).items())


def _lowest(values: np.ndarray) -> int:
    """The index of the lowest finite value; the first where none is finite."""
    import numpy as np

    return int(np.where(np.isfinite(values), values, np.inf).argmin())


def _save(path: Path, figure: Figure) -> None:
    from sonimatch.audio import replacing

    with replacing(path) as file:
        figure.savefig(file, format="png", dpi=150)


def _settings(thing: Loss | Search) -> dict[str, Any]:
    settings = dataclasses.asdict(thing)  # pyright: ignore[reportArgumentType] (static values are dataclasses)
    return {name: value for name, value in settings.items() if name not in ("name", "evals_per_step")}


def _strict(value: Any) -> Any:
    """`value` in the types of strict JSON: numbers that are not finite become null."""
    if isinstance(value, dict):
        return {key: _strict(entry) for key, entry in value.items()}
    if hasattr(value, "tolist"):
        return _strict(value.tolist())
    if isinstance(value, list | tuple):
        return [_strict(entry) for entry in value]
    return None if isinstance(value, float) and not abs(value) < float("inf") else value


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _check_output(*paths: Path, make_folder: bool = False, spare: Path | None = None) -> None:
    """Refuse output that cannot be written, or that would overwrite the file `spare`, before anything is computed."""
    folder = paths[0].parent
    try:
        if make_folder:
            folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
        for path in filter(Path.exists, paths):
            if not path.is_file():
                raise InputError(f"cannot write {path}: it is {'a folder' if path.is_dir() else 'not a regular file'}")
            if spare and path.samefile(spare):
                raise InputError(f"{spare} would be overwritten by the result; choose another folder with -o")
    except OSError as error:
        raise InputError(f"cannot write to the folder {folder}: {error.strerror or error}") from None


# ------------------------------------------------------------------------------------------------- the parser


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message} (see {self.prog} --help)\n")


class _Help(argparse.RawDescriptionHelpFormatter):
    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=30)


def _at_least(low: int, high: int = 2**32 - 1) -> Any:
    def whole(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None
        if not low <= number <= high:
            raise argparse.ArgumentTypeError(f"{number} is out of range: {low} to {high}")
        return number

    return whole


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="sonimatch",
        description="Find the parameters with which a synthesizer sounds like a recording.",
        epilog="examples:\n"
        "  sonimatch list\n"
        "  sonimatch render bp_noise lp_cut=700 hp_cut=60 -o tone.wav\n"
        "  sonimatch match tone.wav --synth bp_noise --loss SIMSE_Spec -o out\n"
        "  sonimatch landscape --synth hp_noise --loss all -o out\n"
        "  sonimatch study run --preset paper -o results\n"
        "  sonimatch listen build --study results/paper.npz -o listening\n\n"
        "exit status: 0 done, 1 failed, 2 wrong input, 130 interrupted",
        formatter_class=_Help,
    )
    parser.add_argument(
        "--version", action="version", version=f"sonimatch {_version('sonimatch') or '(not installed)'}"
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def command(
        run: Any, name: str, text: str, description: str, examples: str, among: Any = commands
    ) -> argparse.ArgumentParser:
        added = among.add_parser(
            name,
            help=text,
            description=description,
            epilog=f"examples:\n{examples}",
            formatter_class=_Help,
        )
        added.set_defaults(run=run)
        return added

    synth_help = "a name from `sonimatch list`, or the path of a Faust program (.dsp)"
    command(
        _list,
        "list",
        "show the synthesizers, losses and searches",
        "Show the synthesizers with their parameters, ranges, units, warps and defaults, the losses and the searches.",
        "  sonimatch list",
    )

    render = command(
        _render,
        "render",
        "render a synthesizer to a WAV file",
        "Render a synthesizer to a 32-bit float WAV file. Parameters that are not named keep their default.",
        "  sonimatch render bp_noise lp_cut=700 hp_cut=60 -o tone.wav\n"
        "  sonimatch render ./my_synth.dsp -o default.wav",
    )
    render.add_argument("synth", metavar="SYNTH", help=synth_help)
    render.add_argument("values", metavar="name=value", nargs="*", help="a parameter and its value, in its unit")
    render.add_argument("-o", "--output", metavar="FILE.wav", type=Path, required=True, help="the file to write")

    match = command(
        _match,
        "match",
        "find the parameters that sound like a recording",
        "Find the parameters with which a synthesizer sounds like a recording: WAV, FLAC or OGG, any rate, mono or\n"
        "more. It is mixed to mono, trimmed of silence at the start, resampled, cut or padded to the length of the\n"
        "synthesizer, and scaled to a peak of 1; each change is told.\n"
        "Writes match.json, match.wav and match.png.",
        "  sonimatch match trumpet.wav --synth add_sinesaw --loss SIMSE_Spec --starts 8 -o out\n"
        "  sonimatch match wind.flac --synth ./my_synth.dsp --loss L1_Spec --bounded",
    )
    match.add_argument("target", metavar="TARGET", type=Path, help="the recording")
    match.add_argument("--synth", metavar="S", required=True, help=synth_help)
    match.add_argument("--loss", metavar="L", required=True, help="a name from `sonimatch list`")
    match.add_argument("--steps", metavar="N", type=_at_least(0), default=200, help="updates of each search (200)")
    match.add_argument("--seed", metavar="N", type=_at_least(0), default=0, help="the same seed, the same result (0)")
    match.add_argument(
        "--starts", metavar="N", type=_at_least(1), default=1, help="random starts, in one batch; the best is kept (1)"
    )
    match.add_argument("--bounded", action="store_true", help="keep the search inside the parameters' ranges")
    match.add_argument("--keep-silence", action="store_true", help="do not trim silence at the start of TARGET")
    match.add_argument("-o", "--output", metavar="DIR", type=Path, default=Path(), help="the folder to write to (.)")

    landscape = command(
        _landscape,
        "landscape",
        "draw a loss over one parameter",
        "Compute a loss and its gradient over the range of one parameter, for a target of known parameters.\n"
        "Writes a CSV file a loss and one PNG file. The gradient is per unit of the unit value, which runs from 0 to\n"
        "1 over the range.",
        "  sonimatch landscape --synth hp_noise --loss all -o out\n"
        "  sonimatch landscape --synth hp_noise --loss L1_Spec --target cut=3000 --num 401 -o out\n"
        "  sonimatch landscape --synth bp_noise --parameter lp_cut --loss all -o out",
    )
    landscape.add_argument("--synth", metavar="S", required=True, help=synth_help)
    landscape.add_argument("--loss", metavar="L", required=True, help="a name from `sonimatch list`, or all")
    landscape.add_argument("--parameter", metavar="NAME", help="the free parameter, if the synthesizer has several")
    landscape.add_argument(
        "--target",
        metavar="name=value",
        nargs="+",
        default=[],
        help="parameters of the target, which those that are not free keep (their defaults)",
    )
    landscape.add_argument("--num", metavar="N", type=_at_least(2), default=201, help="points on the curve (201)")
    landscape.add_argument(
        "-o", "--output", metavar="DIR", type=Path, default=Path(), help="the folder to write to (.)"
    )

    study = command(
        None,
        "study",
        "run the published study, or a part of it, and read its records",
        "Run the published study, or a part of it: every synth with every loss, many trials each. Read its records.",
        "  sonimatch study run --trials 20 --steps 50 -o results\n"
        "  sonimatch study report results/paper-20x50.npz -o out",
    )
    studies = study.add_subparsers(title="commands", metavar="COMMAND", required=True)
    record_help = "a record that `study run` wrote"

    run = command(
        _study_run,
        "run",
        "run a study, or continue it",
        "Run a study and write DIR/NAME.npz. It can be interrupted or killed at any moment: the same command\n"
        "continues it, and gives the same result to the last bit. NAME is that of the preset, followed by what\n"
        "differs from it: trials and steps as 20x50, seed1, unpaired, independent, and the chosen synths and losses.",
        "  sonimatch study run\n"
        "  sonimatch study run --preset released --unpaired --workers 4\n"
        "  sonimatch study run --trials 20 --steps 50               (writes results/paper-20x50.npz)\n"
        "  sonimatch study run --pairs bp_noise,L1_Spec,SIMSE_Spec\n"
        "  sonimatch study run --pairs bp_noise:L1_Spec,noise_am:L1_Spec",
        studies,
    )
    run.add_argument(
        "--preset", metavar="P", default="paper", help="paper, the published text, or released, its code (paper)"
    )
    run.add_argument("--trials", metavar="N", type=_at_least(1), help="trials of each pair (those of the preset)")
    run.add_argument("--steps", metavar="N", type=_at_least(1), help="updates of each trial (those of the preset)")
    run.add_argument("--seed", metavar="N", type=_at_least(0), help="other targets and starts (that of the preset)")
    run.add_argument(
        "--pairs", metavar="A,B,...", help="SYNTH:LOSS, SYNTH or LOSS, between commas; together a full table (all)"
    )
    run.add_argument("--unpaired", action="store_true", help="every loss draws targets and starts of its own")
    run.add_argument("--independent-noise", action="store_true", help="targets have noise of their own")
    run.add_argument("--workers", metavar="N", type=_at_least(1), help="processes of one core each (all cores)")
    results = {"metavar": "DIR", "type": Path, "default": Path("results")}
    run.add_argument("-o", "--output", **results, help="the folder of records (results)")

    status = command(
        _study_status,
        "status",
        "tell what a folder holds",
        "Tell for every study in DIR, finished or not, how many trials of each pair are done, and what is damaged.",
        "  sonimatch study status -o results",
        studies,
    )
    status.add_argument("-o", "--output", **results, help="the folder of records (results)")

    report = command(
        _study_report,
        "report",
        "write the tables and figures of a record",
        "Write the tables of a record (report.md; summary, kruskal_wallis and ranks as CSV) and its figures: the\n"
        "bootstrapped means coloured by rank (P_loss.png, MSS.png), and the P-loss over the steps (steps.png).",
        "  sonimatch study report results/paper.npz -o out",
        studies,
    )
    report.add_argument("record", metavar="RECORD.npz", type=Path, help=record_help)
    report.add_argument("-o", "--output", metavar="DIR", type=Path, default=Path(), help="the folder to write to (.)")

    verify = command(
        _study_verify,
        "verify",
        "run a random sample of a record again",
        "Run a random sample of a record again and compare: all to the last bit, as on the machine that made it; or\n"
        f"within rounding, that is parameters within {_EARLY:g} of their range over the first ten steps and scores\n"
        f"within {_SCORE:.0%}. Exit status 1 otherwise. For records whose synths, losses and search the package has.",
        "  sonimatch study verify results/paper.npz --per-pair 2 --seed 1",
        studies,
    )
    verify.add_argument("record", metavar="RECORD.npz", type=Path, help=record_help)
    verify.add_argument("--per-pair", metavar="N", type=_at_least(1), default=1, help="trials of each pair (1)")
    verify.add_argument("--seed", metavar="N", type=_at_least(0), default=0, help="another sample (0)")

    export = command(
        _study_export,
        "export",
        "write the trials of a record as a table",
        "Write a CSV file with a row for each trial: target, start and end in physical units (at the nearer end of\n"
        "the range where they lie outside), P-loss and loss value at start and end, the lowest value if the record\n"
        "has it, and the MSS.",
        "  sonimatch study export results/paper.npz --csv paper.csv",
        studies,
    )
    export.add_argument("record", metavar="RECORD.npz", type=Path, help=record_help)
    export.add_argument("--csv", metavar="FILE", type=Path, required=True, help="the file to write")

    listen = command(
        None,
        "listen",
        "make a listening test of a record, and read what the raters say",
        "Make a listening test of a record, a folder that can be sent to raters, and read what they say.",
        "  sonimatch listen build --study results/paper.npz -o listening\n  sonimatch listen score listening",
    )
    listens = listen.add_subparsers(title="commands", metavar="COMMAND", required=True)

    build = command(
        _listen_build,
        "build",
        "write the folder for the raters, and the key",
        "Sample trials of a record and write DIR/listening_test, the folder for the raters: a page that works\n"
        "from the disk and the sounds of target and match, at one level, under random names; and DIR/key.json, which\n"
        "says what each of them is, for nobody but the experimenter. For records whose synths, losses and search the\n"
        "package has.",
        "  sonimatch listen build --study results/paper.npz --per-pair 40 --seed 0 -o listening",
        listens,
    )
    build.add_argument("--study", metavar="RECORD.npz", type=Path, required=True, help=record_help)
    build.add_argument(
        "--per-pair", metavar="N", type=_at_least(1), default=40, help="trials of each pair (40, as published)"
    )
    build.add_argument("--seed", metavar="N", type=_at_least(0), default=0, help="another sample (0)")
    build.add_argument("--opus", action="store_true", help="smaller files, not quite the sounds (FLAC)")
    build.add_argument("-o", "--output", metavar="DIR", type=Path, required=True, help="the folder to write to")

    score = command(
        _listen_score,
        "score",
        "agreement of the raters, tests and ranks",
        "Read the files that raters saved and the key: rank correlation of each two raters, Kendall's W and ICC(3,1),\n"
        "for all sounds and by synth; whether the losses differ; mean score and rank of each loss.",
        "  sonimatch listen score listening\n"
        "  sonimatch listen score listening/*.json --csv scores.csv\n"
        "  sonimatch listen score anna.json ben.json --key listening/key.json",
        listens,
    )
    score.add_argument("files", metavar="FILE", type=Path, nargs="+", help="ratings, or a folder of them")
    score.add_argument("--key", metavar="KEY", type=Path, help="the key (the one among the files)")
    score.add_argument("--csv", metavar="FILE", type=Path, help="also write every score with its synth, loss and trial")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line `argv` (default: the process's) and return the exit status.

    Raises SystemExit, with status 2, when the words do not parse, and with status 0 after `--help`.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a file name or a unit may not fit the terminal
    parser = _parser()
    args, rest = parser.parse_known_args(argv)
    if "values" in args:  # argparse stops collecting at an option: render SYNTH -o FILE.wav name=value
        args.values += [word for word in rest if not word.startswith("-")]
        rest = [word for word in rest if word.startswith("-")]
    if rest:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    try:
        args.run(args)
        sys.stdout.flush()
        return 0
    except BrokenPipeError:  # nobody reads on: `sonimatch list | head -1`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except KeyboardInterrupt as error:
        return _complain(130, str(error) or "interrupted")
    except InputError as error:
        return _complain(2, str(error))
    except FailedError as error:
        return _complain(1, str(error))
    except Exception as error:
        return _complain(1, f"failed: {type(error).__name__}: {error}")


def _complain(status: int, message: str) -> int:
    print(f"sonimatch: {' '.join(message.split())}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
