"""The command line: `sonimatch list`, `render`, `match` and `landscape`.

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
from collections.abc import Sequence
from difflib import get_close_matches
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    import numpy as np

    from sonimatch.plots import Figure
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
        "  sonimatch landscape --synth hp_noise --loss all -o out\n\n"
        "exit status: 0 done, 1 failed, 2 wrong input, 130 interrupted",
        formatter_class=_Help,
    )
    parser.add_argument(
        "--version", action="version", version=f"sonimatch {_version('sonimatch') or '(not installed)'}"
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def command(run: Any, name: str, text: str, description: str, examples: str) -> argparse.ArgumentParser:
        added = commands.add_parser(
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
    except KeyboardInterrupt:
        return _complain(130, "interrupted")
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
