"""What the words of a command mean: numbers, synths, losses, parameters; and how wrong ones are told."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sonimatch import _HOME

if TYPE_CHECKING:
    from sonimatch.faust import FaustSynth
    from sonimatch.study import Study
    from sonimatch.types import Loss, Search, Synth

SYNTH_HELP = "a name from `sonimatch list`, or the path of a Faust program (.dsp)"
RECORD_HELP = "a record that `study run` wrote"


class InputError(Exception):
    """What the user gave cannot be used: exit status 2."""


class FailedError(Exception):
    """The computation came to nothing: exit status 1."""


def at_least(low: int, high: int = 2**32 - 1) -> Callable[[str], int]:
    """The type of an argument that is a whole number from `low` to `high`."""

    def whole(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None
        if not low <= number <= high:
            raise argparse.ArgumentTypeError(f"{number} is out of range: {low} to {high}")
        return number

    return whole


def seconds(text: str) -> float:
    """The type of an argument that is a time in seconds."""
    try:
        number = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds") from None
    if not 0 <= number < 1e9:
        raise argparse.ArgumentTypeError(f"{text} is out of range: 0 or more seconds")
    return number


def add_output_folder(
    parser: argparse.ArgumentParser, default: str = ".", what: str = "the folder to write to"
) -> None:
    parser.add_argument("-o", "--output", metavar="DIR", type=Path, default=Path(default), help=f"{what} ({default})")


def nearest(kind: str, name: str, legal: Sequence[str], also: str = "") -> str:
    """`name` if it is legal; else the error tells the nearest legal name, and all of them."""
    if name in legal:
        return name
    from difflib import get_close_matches

    near = get_close_matches(name.lower(), {known.lower(): known for known in legal}, 1, cutoff=0.4)
    hint = "".join(f"; did you mean {known!r}?" for known in legal if known.lower() in near)
    raise InputError(f"no {kind} {name!r}{hint} (there are: {', '.join(legal)}{also})")


def synth_name(word: str) -> str:
    """The type of an argument that names a synth of the catalogue, or a `.dsp` file; known before JAX is loaded."""
    if word.endswith(".dsp") or os.sep in word:
        return word
    return nearest("synth", word, _public("synths"), "; or the path of a .dsp file")


def loss_name(word: str, *also: str) -> str:
    """The type of an argument that names a loss; `also` are other words that are legal there."""
    return nearest("loss", word, (*_public("losses"), *also))


def loss_name_or_all(word: str) -> str:
    return loss_name(word, "all")


def search_name(word: str) -> str:
    """The type of an argument that names a search."""
    return nearest("search", word, _public("search"))


def search(name: str, bounded: bool) -> Search:
    """The search of a name, at its default settings, a descent kept inside the ranges if it is to be `bounded`."""
    from dataclasses import replace

    from sonimatch.search import SEARCHES
    from sonimatch.search.descent import Descent

    found = {search.name: search for search in SEARCHES}[name]
    if not bounded:
        return found
    if not isinstance(found, Descent):
        raise InputError(f"--bounded: {name} stays inside the ranges by itself; the option is for descents")
    return replace(found, bounded=True)


def _public(room: str) -> tuple[str, ...]:
    table, *names = _HOME[room].split()
    return tuple(name for name in names if not name.endswith(table))


def add_synth_settings(parser: argparse.ArgumentParser, seconds_too: bool = True) -> None:
    """How a synth sounds: its switches, how long and at which rate."""
    parser.add_argument(
        "--switch", metavar="NAME=VALUE", action="append", default=[],
        help="a checkbox, 0 or 1, or the seconds that a button is held (buttons: for ever, checkboxes: 0)",
    )  # fmt: skip
    if seconds_too:
        parser.add_argument("--seconds", metavar="S", type=seconds, default=1.0, help="the length of the sound (1)")
        parser.add_argument("--rate", metavar="HZ", type=at_least(1000, 384_000), default=44_100, help="(44100)")


def synth(name: str, args: argparse.Namespace | None = None) -> FaustSynth:
    """The synth of a name in the catalogue, or of a `.dsp` file, with the settings that `args` have for it."""
    from dataclasses import replace

    from sonimatch import synths
    from sonimatch.faust import FaustSynth

    name = synth_name(name)
    changes: dict[str, Any] = {}
    if args is None:
        args = argparse.Namespace(switch=[])
    if args.switch:
        changes["switches"] = dict(_pair(word) for word in args.switch)
    if rate := getattr(args, "rate", None):
        changes |= {"sample_rate": rate, "num_samples": max(1, round(args.seconds * rate))}
    try:
        found = getattr(synths, name) if name in _public("synths") else FaustSynth.from_faust(name)
        return replace(found, **changes) if changes else found
    except OSError as error:
        raise InputError(f"{name} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InputError(f"{name} is not a Faust program: it is not text") from None
    except ValueError as error:
        raise InputError(str(error)) from None


def catalogue() -> tuple[FaustSynth, ...]:
    """Every synth of the catalogue."""
    from sonimatch.synths import SYNTHS

    return SYNTHS


def losses(name: str) -> tuple[Loss, ...]:
    """The loss of a name, or with `all` those of the published study."""
    from sonimatch.losses import PAPER_LOSSES

    return PAPER_LOSSES if name == "all" else (loss(name),)


def loss(name: str) -> Loss:
    """The loss of a name."""
    from sonimatch.losses import LOSSES

    return {loss.name: loss for loss in LOSSES}[loss_name(name)]


def _pair(word: str) -> tuple[str, float]:
    """A name and a number of `name=number`."""
    name, equals, text = word.partition("=")
    if not (name and equals):
        raise InputError(f"{word!r} is not name=value")
    try:
        return name, float(text)
    except ValueError:
        raise InputError(f"{word!r}: {text!r} is not a number") from None


def theta(synth: Synth, pairs: Sequence[str]) -> Any:
    """The point `[P]` of `name=value` words; parameters that are not named keep their default."""
    values: dict[str, float] = {}
    for pair in pairs:
        name, value = _pair(pair)
        if name in values:
            raise InputError(f"{name} is given twice")
        values[nearest("parameter", name, synth.space.names)] = value
    try:
        return synth.space.theta(values)
    except ValueError as error:
        raise InputError(str(error)) from None


def record(path: Path) -> Study:
    """The study of a file."""
    from sonimatch import study

    try:
        return study.load(path)
    except study.StudyError as error:
        raise InputError(str(error)) from None
