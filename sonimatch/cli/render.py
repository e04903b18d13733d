"""Render a synthesizer to a 32-bit float WAV file. Parameters that are not named keep their default."""

from __future__ import annotations

import argparse
from pathlib import Path

from sonimatch.cli import words
from sonimatch.cli.told import check_output, point_text

HELP = "render a synthesizer to a WAV file"
EXAMPLES = """\
  sonimatch render bp_noise lp_cut=700 hp_cut=60 -o tone.wav
  sonimatch render ./my_synth.dsp --seconds 3 --switch gate=0.4 -o default.wav"""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("synth", metavar="SYNTH", type=words.synth_name, help=words.SYNTH_HELP)
    parser.add_argument("values", metavar="name=value", nargs="*", help="a parameter and its value, in its unit")
    words.add_synth_settings(parser)
    parser.add_argument("-o", "--output", metavar="FILE.wav", type=Path, required=True, help="the file to write")


def run(args: argparse.Namespace) -> None:
    if args.output.suffix.lower() != ".wav":
        raise words.InputError(f"-o {args.output}: a sound is written as WAV; the file name must end in .wav")
    synth = words.synth(args.synth, args)
    theta = words.theta(synth, args.values)
    check_output(args.output)

    import numpy as np

    from sonimatch import audio

    sound = np.asarray(synth(theta))
    audio.write(args.output, sound, synth.sample_rate)
    seconds = synth.num_samples / synth.sample_rate
    print(f"{args.output}: {synth.name}, {point_text(synth, theta)}; {seconds:g} s at {synth.sample_rate} Hz")
    if audio.is_silent(sound):
        print("the sound is silent")
