"""Find the parameters with which a synthesizer sounds like a recording: WAV, FLAC or OGG, any rate, mono or
more. It is mixed to mono, trimmed of silence at the start, resampled, cut or padded to the length of the
synthesizer, and scaled to a peak of 1; each change is told.
Writes match.json, match.wav and match.png.
"""

from __future__ import annotations

import argparse
import dataclasses
import platform
from pathlib import Path

from sonimatch.cli import words
from sonimatch.cli.told import check_output, parameters, save_figure, settings, version, write_json
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
    parser.add_argument("--steps", metavar="N", type=whole(0), default=200, help="updates of each search (200)")
    parser.add_argument("--seed", metavar="N", type=whole(0), default=0, help="the same seed, the same result (0)")
    parser.add_argument(
        "--starts", metavar="N", type=whole(1), default=1, help="random starts, in one batch; the best is kept (1)"
    )
    parser.add_argument("--bounded", action="store_true", help="keep the search inside the parameters' ranges")
    parser.add_argument("--keep-silence", action="store_true", help="do not trim silence at the start of TARGET")
    words.add_output_folder(parser)


def run(args: argparse.Namespace) -> None:
    from sonimatch import audio

    try:
        samples, rate = audio.read(args.target)  # before anything is compiled: a wrong path is told at once
    except audio.AudioError as error:
        raise InputError(str(error)) from None
    synth, loss = words.synth(args.synth), words.loss(args.loss)
    try:
        target, changes = audio.prepare(samples, rate, synth.sample_rate, synth.num_samples, trim=not args.keep_silence)
    except audio.AudioError as error:
        raise InputError(f"{args.target}: {error}") from None
    to_wav, to_png, to_json = (args.output / f"match.{kind}" for kind in ("wav", "png", "json"))
    check_output(to_wav, to_png, to_json, make_folder=True, spare=args.target)
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

    def lowest(values: np.ndarray) -> int:
        return int(np.where(np.isfinite(values), values, np.inf).argmin())

    search = RMSProp(bounded=args.bounded)
    start_key, key = jax.random.split(jax.random.key(args.seed))
    init = synth.space.sample(start_key, args.starts)
    found = jax.device_get(match(synth, loss, jax.numpy.asarray(target), search, args.steps, init=init, key=key))
    kept = lowest(found.value_best)
    theta, values = found.theta_best[kept], found.trajectory.value[kept]
    sound = np.asarray(synth(theta))
    finite = bool(np.isfinite(found.value_best[kept]) and np.isfinite(sound).all())
    silent = finite and audio.is_silent(sound)
    record = {
        "ok": finite and not silent,
        "parameters": parameters(synth, theta) if finite else None,
        "loss_at_start": values[0],
        "loss_at_best": found.value_best[kept],
        "step_of_best": lowest(values),
        "loss_per_step": values,
        "start_kept": kept,
        "starts": [
            {"parameters": parameters(synth, init[n]), "loss_at_start": series[0], "loss_at_best": best, "ok": ok}
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
        "loss": {"name": loss.name} | settings(loss),
        "search": {"name": search.name} | settings(search),
        "steps": args.steps,
        "seed": args.seed,
        "versions": {"python": platform.python_version()} | {name: version(name) for name in _PACKAGES},
        "device": jax.default_backend(),
    }
    if finite:
        audio.write(to_wav, sound, synth.sample_rate)
        path = synth.space.to_physical(found.trajectory.theta[kept])
        shown = np.where(np.isfinite(values), values, np.nan)
        save_figure(
            to_png,
            match_figure(target, sound, synth.sample_rate, path, shown, synth.space.names, synth.space.unit),
        )
    else:  # those of an earlier match would contradict the record
        to_wav.unlink(missing_ok=True)
        to_png.unlink(missing_ok=True)
    write_json(to_json, record)

    if broken := int((~found.ok).sum()):
        print(f"not finite somewhere on the way: {broken} of {starts}")
    if not finite:
        raise FailedError(f"no finite loss in {args.steps} steps from {starts}; see {to_json}")
    for name, point in zip(synth.space.names, theta, strict=True):
        value, unit = parameters(synth, theta)[name].values()
        print(f"  {name} = {value:.5g} {unit}".rstrip() + ("" if 0 < point < 1 else " (at the end of its range)"))
    print(
        f"loss: {values[0]:.6g} at the start, {found.value_best[kept]:.6g} at the best, step {record['step_of_best']}"
    )
    print(f"wrote {to_json}, {to_wav.name}, {to_png.name}")
    if silent:
        raise FailedError("the best sound found is silent")
