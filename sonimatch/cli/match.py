"""Find the synthesizer and the parameters that sound like a recording: WAV, FLAC or OGG, any rate, mono or
more. It is mixed to mono, trimmed of silence and noise at the start, freed of a constant offset, resampled, cut or
padded to the length of the synthesizer, and scaled to a peak of 1; each change is told.
Without --synth every synthesizer of the catalogue is tried, and they are ranked by their loss, which compares.
Writes match.json, match.wav (the answer), match-2.wav and on (other candidates), match-target.wav (as prepared),
match.png, match.dsp (the program with the answer as its defaults) and report.html, a page to hear and see it all.
The match is a success ("ok" in match.json) when it is better than the best of its random draws and than
silence; else the last lines say why not. It is called a match ("matched") when it has also gone 90 % of the way
from a typical random setting to the target itself.
"""

from __future__ import annotations

import argparse
import json
import platform
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sonimatch.cli import told, words
from sonimatch.cli.words import FailedError, InputError

if TYPE_CHECKING:
    from sonimatch.answers import Ranking

HELP = "find the synthesizer and the parameters that sound like a recording"
EXAMPLES = """\
  sonimatch match tone.wav -o out
  sonimatch match trumpet.wav --synth add_sinesaw --loss SIMSE_Spec --starts 8 --candidates 5 -o out
  sonimatch match wind.flac --synth ./my_synth.dsp --search RMSProp --bounded
  sonimatch match --continue out/match.json --evaluations 1000"""

_PACKAGES = ("sonimatch", "jax", "jaxlib", "numpy", "optax", "dawdreamer", "soundfile", "soxr")
_PROBLEM: dict[str, Any] = {"synth": None, "loss": "Marginals", "start": 0.0, "seconds": None, "keep_silence": False}
_SEARCHED: dict[str, Any] = {"search": "Race", "bounded": False, "seed": 0, "starts": 1, "candidates": 3}
_BUDGET: dict[str, Any] = {"evaluations": None, "steps": None}
_OWN = re.compile(r"report\.html|match(-\d+|-target)?\.(wav|png|dsp|json)")


def arguments(parser: argparse.ArgumentParser) -> None:
    whole = words.at_least
    parser.add_argument("target", metavar="TARGET", type=Path, nargs="?", help="the recording")
    parser.add_argument("--synth", metavar="S", type=words.synth_name, help=f"{words.SYNTH_HELP} (each of the list)")
    parser.add_argument("--loss", metavar="L", type=words.loss_name, help="a name from `sonimatch list` (Marginals)")
    parser.add_argument("--from", dest="start", metavar="S", type=words.seconds, help="begin there (0 s)")
    parser.add_argument("--seconds", metavar="S", type=words.seconds, help="use so much of TARGET (to its end)")
    parser.add_argument("--search", metavar="H", type=words.search_name, help="the heuristic (Race)")
    budget = parser.add_mutually_exclusive_group()
    budget.add_argument(
        "--evaluations", metavar="N", type=whole(1),
        help="renderings of each search; the slope along a parameter counts as one more (80 for each "
        "parameter, and at least 160; without --synth 96, and then so many for the two nearest)",
    )  # fmt: skip
    budget.add_argument("--steps", metavar="N", type=whole(0), help="updates of each search, in place of evaluations")
    parser.add_argument("--seed", metavar="N", type=whole(0), help="the same seed, the same result (0)")
    parser.add_argument(
        "--starts", metavar="N", type=whole(1), help="random starts, in one batch; the best is kept (1)"
    )
    parser.add_argument(
        "--candidates", metavar="N", type=whole(1, 99),
        help="so many distinct answers at most: each differs from every better one in some parameter by a tenth of its "
        "range or more (3)",
    )  # fmt: skip
    parser.add_argument("--bounded", action="store_true", default=None, help="keep a descent inside the ranges")
    parser.add_argument("--keep-silence", action="store_true", default=None, help="do not trim the start of TARGET")
    parser.add_argument(
        "--continue", dest="earlier", metavar="match.json", type=Path,
        help="go on from the best point of an earlier match, with its target, synth, loss and settings, and write to "
        "its folder",
    )  # fmt: skip
    words.add_output_folder(parser)
    parser.set_defaults(output=None)


def run(args: argparse.Namespace) -> None:
    earlier = _continued(args) if args.earlier else None
    if args.target is None:
        raise InputError("TARGET is required: the recording, or --continue with the record of an earlier match")
    for name, default in (_PROBLEM | _SEARCHED | _BUDGET).items():
        if getattr(args, name) is None:
            setattr(args, name, default)

    from sonimatch import audio

    try:  # before anything is compiled: a wrong path is told at once
        samples, rate, length, seconds, read = audio.read_mono(args.target, args.start, args.seconds)
    except audio.AudioError as error:
        raise InputError(str(error)) from None
    synths = [words.synth(args.synth)] if args.synth else [*words.catalogue()]
    loss, search = words.loss(args.loss), words.search(args.search, args.bounded)
    if not len(synths[0].space):
        raise InputError(f"{synths[0].name} has no parameter to match")
    wanted, trim = (synths[0].sample_rate, synths[0].num_samples), not args.keep_silence
    try:
        target, changes = audio.prepare(samples, rate, *wanted, trim=trim, seconds=length)
    except audio.AudioError as error:
        raise InputError(f"{args.target}: {error}") from None
    file = {"file": str(args.target), "sha256": told.file_sha256(args.target)}
    loss_record = {"name": loss.name} | told.settings(loss)
    if earlier:
        _refuse_misfits(
            args.earlier, earlier, {"target": file, "synth": told.described(synths[0]), "loss": loss_record}
        )
    changes = (*read, *changes)
    folder = args.output or (args.earlier.parent if args.earlier else Path("."))
    candidates = [f"match-{number}.wav" for number in range(2, args.candidates + 1)]
    files = ("match.json", "match.wav", "match.png", "match.dsp", "match-target.wav", *candidates, "report.html")
    to = {name: folder / name for name in files}
    told.check_output(*to.values(), make_folder=True, spare=(args.target, *([Path(args.synth)] if args.synth else [])))
    before = _refuse_foreign(folder, files)
    print(f"target: {args.target}, {seconds:.4g} s at {rate} Hz")
    print(*(f"  {change}" for change in changes or ["used as it is"]), sep="\n")
    starts = "1 random start" if args.starts == 1 else f"{args.starts} random starts"
    starts = starts if not earlier else "the best point of the earlier match" + f" and {starts}" * (args.starts > 1)

    import jax
    import numpy as np

    from sonimatch.answers import FINALISTS, LOOK, answer, around, rank, ranking
    from sonimatch.faust import FaustSynth
    from sonimatch.faust.preset import preset
    from sonimatch.match import budget
    from sonimatch.search import RandomSearch

    who = synths[0].name if len(synths) == 1 else f"{len(synths)} synths"
    paid = f"{args.evaluations} evaluations" if args.steps is None else f"{args.steps} steps"
    if args.evaluations is args.steps is None:
        paid = f"{budget(len(synths[0].space)) if len(synths) == 1 else LOOK} evaluations"
        paid += f", the nearest {FINALISTS} 80 a parameter and {budget(1)} or more," if len(synths) > 1 else ""
    print(f"{who}, {loss.name}, {search.name}: {paid} from {starts}, seed {args.seed}", flush=True)

    settings = {name: getattr(args, name) for name in ("steps", "starts", "seed")}
    if len(synths) > 1:
        try:
            ranked = rank(synths, loss, target, search, args.evaluations, **settings)
        except ModuleNotFoundError as error:  # no evosax
            raise InputError(str(error)) from None
        _tell(ranked)
        if ranked.answers[0].worth is None:
            raise FailedError(f"no synth could be searched; {synths[0].name}: {ranked.answers[0].error}")
    else:
        settings["first"] = np.clip(earlier["theta"], 0, 1) if earlier else None
        try:
            one = answer(synths[0], loss, target, search, args.evaluations, **settings)
        except (ValueError, ModuleNotFoundError) as error:  # a budget below one step, no slopes, or no evosax
            raise InputError(str(error)) from None
        ranked = ranking([one], loss, target)
    best, synth = ranked.answers[0], ranked.answers[0].synth
    worth, sound, space = best.worth, best.sound, synth.space
    assert worth
    assert isinstance(synth, FaustSynth)
    near = written = None
    found, theta, path = worth.runs, worth.kept.theta_best, worth.kept.trajectory
    finite = bool(np.isfinite(worth.kept.value_best) and np.isfinite(sound).all())
    kept_search = search if worth.start is not None else RandomSearch()
    given = {name: getattr(args, name) for name in (_PROBLEM | _SEARCHED | _BUDGET)} | {
        "synth": args.synth or synth.name
    }
    record = {
        "ok": not best.objections,
        "parameters": told.parameters(synth, theta) if finite else None,
        "theta": theta if finite else None,
        **told.attained(synth, worth),
        "matched": ranked.matched,
        "verdict": ranked.verdict,
        "mss": best.mss,
        "synths": told.ranked(ranked),
        "target": file | {"seconds": seconds, "sample_rate": rate, "changes": changes},
        "synth": told.described(synth),
        "loss": loss_record,
        "search": {"name": kept_search.name} | told.settings(kept_search),
        "steps": found.trajectory.value.shape[1] - 1,
        "evaluations": int(found.evaluations[0]),
        "evaluations_before": earlier["evaluations_before"] + earlier["evaluations"] if earlier else 0,
        "seed": args.seed,
        "words": given,
        "versions": {"python": platform.python_version()} | {name: told.version(name) for name in _PACKAGES},
        "device": jax.default_backend(),
    }
    made: set[str] = {"match.json"}

    def draw() -> None:
        from sonimatch.plots import match_figure

        values, physical = np.where(np.isfinite(path.value), path.value, np.nan), space.to_physical(path.theta)
        sheet = match_figure(target, sound, wanted[0], physical, values, space.names, space.unit)
        told.save_figure(to["match.png"], sheet)

    drawing, picture = ThreadPoolExecutor(1), None  # while the next evaluations are made
    if finite:
        audio.write(to["match.wav"], sound, synth.sample_rate)
        audio.write(to["match-target.wav"], target, synth.sample_rate)
        picture = drawing.submit(draw)
        made |= {"match.wav", "match-target.wav", "match.png"}
    if best.sounds:
        from sonimatch.widgets.match_report import match_report

        near = around(ranked, loss, target, args.candidates)
        written = preset(synth, theta)
        told.write_text(to["match.dsp"], written.text)
        for number, each in enumerate(near.candidates[1:], 2):
            audio.write(to[f"match-{number}.wav"], each.sound, synth.sample_rate)
            made.add(f"match-{number}.wav")
        record |= told.around(synth, near) | {"not_in_dsp": written.left}
        record["theta"] = near.candidates[(near.better or 1) - 1].theta  # from where to go on
        facts = {
            "target": f"{args.target}, {seconds:.4g} s at {rate} Hz; {'; '.join(changes) or 'used as it is'}",
            "search": f"{who}, {loss.name}, {search.name}: {paid} from {starts}, seed {args.seed}",
            "evaluations": near.told(ranked),
            "to go on": f"sonimatch match --continue {to['match.json']}",
            "made with": ", ".join(f"{name} {number}" for name, number in record["versions"].items() if number),
        }
        told.write_text(
            to["report.html"], match_report(args.target.name, target, ranked, loss.name, near, written, facts)
        )
        made |= {"match.dsp", "report.html"}
    if picture:
        picture.result()
    for name in before - made:  # what an earlier match left would contradict the record
        (folder / name).unlink(missing_ok=True)
    told.write_json(to["match.json"], record | {"files": sorted(made)})

    if broken := int((~found.ok).sum()):
        print(f"not finite somewhere on the way: {broken} of {starts}")
    if not finite:
        raise FailedError(f"no finite loss in {paid} from {starts}; see {to['match.json']}")
    for name, value in record["parameters"].items():
        span = record["intervals"][name] if best.sounds else None
        told_span = f", {span['low']:.4g} to {span['high']:.4g}" if span else ""
        remarks = "; ".join(worth.remarks(name))
        number = f"  {name} = {value['value']:.5g} {value['unit']}".rstrip()
        print(number + told_span + (f" ({remarks})" if remarks else ""))
    print(worth.comparison)
    print(*(f"no success: {objection}" for objection in worth.objections), sep="\n", end="\n" * (not worth.worked))
    if near and written:
        print(*ranked.verdict, sep="; ")
        if near.better:
            print(f"candidate {near.better} is nearer than the answer; --continue goes on from it")
        if written.left:
            print(f"not in match.dsp, for its default cannot be changed alone there: {', '.join(written.left)}")
    print(f"wrote {to['match.json']}, {', '.join(sorted(made - {'match.json'}))}")
    if not best.sounds:
        raise FailedError("the best sound found is silent")


def _continued(args: argparse.Namespace) -> dict[str, Any]:
    """The earlier record; its words become those of `args`, but for what is given anew."""
    taken = {"--from" if name == "start" else f"--{name.replace('_', '-')}" for name in _PROBLEM if getattr(args, name)}
    if taken:
        raise InputError(f"{', '.join(sorted(taken))}: --continue takes it from {args.earlier}")
    try:
        record = json.loads(args.earlier.read_text(encoding="utf-8"))
        given, file = record["words"], record["target"]["file"]
        if record["theta"] is None:
            raise InputError(f"{args.earlier}: nothing was found to go on from")
        if args.evaluations is args.steps is None:
            args.evaluations, args.steps = given["evaluations"], given["steps"]
        if args.search is None and args.bounded is None:
            args.bounded = given["bounded"]
        args.seed = given["seed"] + 1 if args.seed is None else args.seed
        for name in (*_PROBLEM, "search", "starts", "candidates"):
            if getattr(args, name) is None:
                setattr(args, name, given[name])
        args.target = args.target or Path(file)
        return record
    except OSError as error:
        raise InputError(f"{args.earlier} cannot be read: {error.strerror}") from None
    except (KeyError, TypeError, UnicodeDecodeError, json.JSONDecodeError):
        raise InputError(f"{args.earlier} is no record of a match that can be continued") from None


def _refuse_misfits(path: Path, earlier: dict[str, Any], now: dict[str, Any]) -> None:
    """Refuse to go on with another target, synth or loss than those of the record."""
    for what, thing in now.items():
        for name, value in json.loads(told.json_text(thing)).items():
            if name != "file" and earlier[what].get(name) != value:
                was = earlier[what].get(name)
                raise InputError(f"{path} does not fit: the {what} is another, {name} was {was} and is {value}")


def _refuse_foreign(folder: Path, files: tuple[str, ...]) -> set[str]:
    """The files that an earlier match left in the folder; refuse to write over any other."""
    try:
        listed = json.loads((folder / "match.json").read_text(encoding="utf-8"))["files"]
    except (OSError, ValueError, KeyError, TypeError):
        listed = ()
    own = {"match.json", "match.wav", "match.png", *(name for name in listed if _OWN.fullmatch(str(name)))}
    if foreign := sorted(name for name in files if (folder / name).exists() and name not in own):
        raise InputError(f"{folder / foreign[0]} is there and is of no earlier match; choose another folder with -o")
    return own


def _tell(ranked: Ranking) -> None:
    wide = max(len(one.synth.name) for one in ranked.answers)
    for one in ranked.answers:
        score = f"loss {one.loss:<9.4g} {100 * ranked.way(one.loss):4.0f} %   MSS {one.mss:.3g}" if one.sounds else ""
        print(f"  {one.synth.name:{wide}}  {score}{'; '.join(('', *one.objections)) if score else one.objections[0]}")
