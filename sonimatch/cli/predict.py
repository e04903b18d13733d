"""Ask a trained network for the parameters of a recording: WAV, FLAC or OGG, any rate, mono or more. It is made a
target as `sonimatch match` does: mixed to mono, trimmed at the start, resampled, cut or padded to the length of the
synthesizer, and scaled to a peak of 1; each change is told. The start stays where the synthesizer's own sounds begin
softly.
Writes predict.json, predict.wav (the answer), predict-target.wav (the recording as the network gets it) and
predict.png. A guess is one look, no search: how it compares with random settings is told.
Needs the packages of `pip install 'sonimatch[learn]'`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from sonimatch.cli import told, words

HELP = "ask a trained network for the parameters of a sound"
EXAMPLES = """\
  sonimatch predict drum tom.wav -o out
  sonimatch predict arpeggio chirp.flac --keep-silence"""

DRAWS = 64


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("checkpoint", metavar="CHECKPOINT", type=Path, help="the folder that `sonimatch train` wrote")
    parser.add_argument("target", metavar="TARGET", type=Path, help="the recording")
    parser.add_argument("--from", dest="start", metavar="S", type=words.seconds, default=0.0, help="begin there (0 s)")
    parser.add_argument("--seconds", metavar="S", type=words.seconds, help="use so much of TARGET (to its end)")
    parser.add_argument("--keep-silence", action="store_true", help="do not trim the start of TARGET")
    words.add_output_folder(parser)


def run(args: argparse.Namespace) -> None:
    try:
        import flax  # noqa: F401
    except ModuleNotFoundError:
        raise words.InputError("a network needs Flax: pip install 'sonimatch[learn]'") from None
    from sonimatch import audio

    try:  # before anything is compiled
        samples, rate, length, seconds, read = audio.read_mono(args.target, args.start, args.seconds)
    except audio.AudioError as error:
        raise words.InputError(str(error)) from None
    to = {name: args.output / f"predict{name}" for name in (".json", ".wav", "-target.wav", ".png")}
    told.check_output(*to.values(), make_folder=True, spare=(args.target,))

    import jax
    import jax.numpy as jnp
    import numpy as np

    from sonimatch.learn import DataError
    from sonimatch.learn.predict import load, predict
    from sonimatch.losses import Marginals
    from sonimatch.plots import sounds_figure

    try:
        model, recipe = load(args.checkpoint)
    except DataError as error:
        raise words.InputError(str(error)) from None
    synth, loss = recipe.synth, Marginals()
    soft = audio.onset_of(np.asarray(synth(np.full(len(synth.space), 0.5, np.float32))), synth.sample_rate)[0] > 0
    try:
        target, changes = audio.prepare(
            samples, rate, synth.sample_rate, synth.num_samples, trim=not (args.keep_silence or soft), seconds=length
        )
    except audio.AudioError as error:
        raise words.InputError(f"{args.target}: {error}") from None
    changes = (*read, *changes)
    theta = predict(model, recipe, target)
    sound = np.asarray(synth(theta))
    if not np.isfinite(sound).all():
        raise words.FailedError(f"the guess is no sound: {told.point_text(synth, theta)}")

    reference = loss.feature(jnp.asarray(target))
    draws = np.asarray(synth.space.sample(jax.random.key(0), DRAWS))
    distance = jax.jit(lambda point: loss.distance(reference, loss.feature(synth(point))))
    ours, theirs = float(distance(theta)), np.asarray([distance(point) for point in draws])
    beaten = int((theirs > ours).sum())
    audio.write(to[".wav"], sound, synth.sample_rate)
    audio.write(to["-target.wav"], target, synth.sample_rate)
    told.save_figure(to[".png"], sounds_figure({"target": target, "guess": sound}, synth.sample_rate))
    told.write_json(to[".json"], {
        "parameters": told.parameters(synth, theta), "theta": theta, "loss": {"name": loss.name, "value": ours},
        "random_settings": {"number": DRAWS, "further": beaten, "nearest": theirs.min()},
        "checkpoint": {"folder": str(args.checkpoint), "recipe": recipe.name}, "synth": told.described(synth),
        "target": {"file": str(args.target), "sha256": told.file_sha256(args.target), "seconds": seconds,
                   "sample_rate": rate, "changes": changes},
        "versions": {name: told.version(name) for name in ("sonimatch", "jax", "flax", "orbax-checkpoint")},
    })  # fmt: skip
    print(f"target: {args.target}, {seconds:.4g} s at {rate} Hz")
    print(*(f"  {change}" for change in changes or ["used as it is"]), sep="\n")
    print(f"{synth.name}: {told.point_text(synth, theta)}")
    print(f"{loss.name} {ours:.4g}: nearer than {beaten} of {DRAWS} random settings, the nearest has "
          f"{theirs.min():.4g}")  # fmt: skip
    print(f"wrote {', '.join(str(path) for path in to.values())}")
