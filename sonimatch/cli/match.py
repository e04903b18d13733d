"""Find the parameters with which a synthesizer sounds like a recording: WAV, FLAC or OGG, any rate, mono or
more. It is mixed to mono, trimmed of silence and noise at the start, freed of a constant offset, resampled, cut or
padded to the length of the synthesizer, and scaled to a peak of 1; each change is told.
Writes match.json, match.wav and match.png. The match is a success ("ok" in match.json) when it is better than
the best of as many random draws and than silence; else the last lines say why not.
"""

from __future__ import annotations

import argparse
import platform
from pathlib import Path

from sonimatch.cli import told, words
from sonimatch.cli.words import FailedError, InputError

HELP = "find the parameters that sound like a recording"
EXAMPLES = """\
  sonimatch match trumpet.wav --synth add_sinesaw --loss SIMSE_Spec --starts 8 -o out
  sonimatch match wind.flac --synth ./my_synth.dsp --loss L1_Spec --bounded"""

_PACKAGES = ("sonimatch", "jax", "jaxlib", "numpy", "optax", "dawdreamer", "soundfile", "soxr")


def arguments(parser: argparse.ArgumentParser) -> None:
    whole = words.at_least
    parser.add_argument("target", metavar="TARGET", type=Path, help="the recording")
    parser.add_argument("--synth", metavar="S", required=True, help=words.SYNTH_HELP)
    parser.add_argument("--loss", metavar="L", required=True, help="a name from `sonimatch list`")
    parser.add_argument("--from", dest="start", metavar="S", type=words.seconds, default=0.0, help="begin there (0 s)")
    parser.add_argument("--seconds", metavar="S", type=words.seconds, help="use so much of TARGET (to its end)")
    parser.add_argument("--search", metavar="H", type=words.search_name, default="Race", help="the heuristic (Race)")
    budget = parser.add_mutually_exclusive_group()
    budget.add_argument(
        "--evaluations", metavar="N", type=whole(1), default=160,
        help="renderings of each search; the slope along a parameter counts as one more (160)",
    )  # fmt: skip
    budget.add_argument("--steps", metavar="N", type=whole(0), help="updates of each search, in place of evaluations")
    parser.add_argument("--seed", metavar="N", type=whole(0), default=0, help="the same seed, the same result (0)")
    parser.add_argument(
        "--starts", metavar="N", type=whole(1), default=1, help="random starts, in one batch; the best is kept (1)"
    )
    parser.add_argument("--bounded", action="store_true", help="keep a descent inside the parameters' ranges")
    parser.add_argument("--keep-silence", action="store_true", help="do not trim the start of TARGET")
    words.add_output_folder(parser)


def run(args: argparse.Namespace) -> None:
    from sonimatch import audio

    try:  # before anything is compiled: a wrong path is told at once
        samples, rate, length, seconds, read = audio.read_mono(args.target, args.start, args.seconds)
    except audio.AudioError as error:
        raise InputError(str(error)) from None
    synth, loss, search = words.synth(args.synth), words.loss(args.loss), words.search(args.search, args.bounded)
    if not len(synth.space):
        raise InputError(f"{synth.name} has no parameter to match")
    wanted, trim = (synth.sample_rate, synth.num_samples), not args.keep_silence
    try:
        target, changes = audio.prepare(samples, rate, *wanted, trim=trim, seconds=length)
    except audio.AudioError as error:
        raise InputError(f"{args.target}: {error}") from None
    changes = (*read, *changes)
    to_wav, to_png, to_json = (args.output / f"match.{kind}" for kind in ("wav", "png", "json"))
    told.check_output(to_wav, to_png, to_json, make_folder=True, spare=args.target)
    print(f"target: {args.target}, {seconds:.4g} s at {rate} Hz")
    print(*(f"  {change}" for change in changes or ["used as it is"]), sep="\n")
    starts = "1 random start" if args.starts == 1 else f"{args.starts} random starts"
    budget = f"{args.evaluations} evaluations" if args.steps is None else f"{args.steps} steps"
    print(f"{synth.name}, {loss.name}, {search.name}: {budget} from {starts}, seed {args.seed}", flush=True)

    import jax
    import numpy as np

    from sonimatch.assessment import assess
    from sonimatch.match import match
    from sonimatch.plots import match_figure
    from sonimatch.search import RandomSearch

    space = synth.space
    start_key, key = jax.random.split(jax.random.key(args.seed))
    init = space.sample(start_key, args.starts)
    aim = jax.numpy.asarray(target)
    try:
        found = match(synth, loss, aim, search, args.evaluations, steps=args.steps, init=init, key=key)
    except ValueError as error:  # a budget below one step, or a descent and a parameter without slopes
        raise InputError(str(error)) from None
    found = jax.device_get(found)
    worth = assess(synth, loss, aim, found, key=jax.random.fold_in(key, 1))
    theta, path = worth.kept.theta_best, worth.kept.trajectory
    sound = np.asarray(synth(theta))
    finite = bool(np.isfinite(worth.kept.value_best) and np.isfinite(sound).all())
    silent = finite and audio.is_silent(sound)
    kept_search = search if worth.start is not None else RandomSearch()
    record = {
        "ok": finite and not silent and worth.worked,
        "parameters": told.parameters(synth, theta) if finite else None,
        **told.attained(synth, worth),
        "target": {"file": str(args.target), "seconds": seconds, "sample_rate": rate, "changes": changes},
        "synth": told.described(synth),
        "loss": {"name": loss.name} | told.settings(loss),
        "search": {"name": kept_search.name} | told.settings(kept_search),
        "steps": found.trajectory.value.shape[1] - 1,
        "evaluations": int(found.evaluations[0]),
        "seed": args.seed,
        "versions": {"python": platform.python_version()} | {name: told.version(name) for name in _PACKAGES},
        "device": jax.default_backend(),
    }
    if finite:
        audio.write(to_wav, sound, synth.sample_rate)
        values, physical = np.where(np.isfinite(path.value), path.value, np.nan), space.to_physical(path.theta)
        told.save_figure(to_png, match_figure(target, sound, wanted[0], physical, values, space.names, space.unit))
    else:  # those of an earlier match would contradict the record
        to_wav.unlink(missing_ok=True)
        to_png.unlink(missing_ok=True)
    told.write_json(to_json, record)

    if broken := int((~found.ok).sum()):
        print(f"not finite somewhere on the way: {broken} of {starts}")
    if not finite:
        raise FailedError(f"no finite loss in {budget} from {starts}; see {to_json}")
    for name, value in told.parameters(synth, theta).items():
        remarks = "; ".join(worth.remarks(name))
        print(f"  {name} = {value['value']:.5g} {value['unit']}".rstrip() + (f" ({remarks})" if remarks else ""))
    print(worth.comparison)
    print(*(f"no success: {objection}" for objection in worth.objections), sep="\n", end="\n" * (not worth.worked))
    print(f"wrote {to_json}, {to_wav.name}, {to_png.name}")
    if silent:
        raise FailedError("the best sound found is silent")
