"""Compute a loss and its gradient over the range of one parameter, for a target of known parameters.
Writes a CSV file a loss and one PNG file. The gradient is per unit of the unit value, which runs from 0 to
1 over the range.
"""

from __future__ import annotations

import argparse

from sonimatch.cli import words
from sonimatch.cli.told import check_output, csv_text, point_text, save_figure, write_text
from sonimatch.cli.words import FailedError, InputError

HELP = "draw a loss over one parameter"
EXAMPLES = """\
  sonimatch landscape --synth hp_noise --loss all -o out
  sonimatch landscape --synth hp_noise --loss L1_Spec --target cut=3000 --num 401 -o out
  sonimatch landscape --synth bp_noise --parameter lp_cut --loss all -o out"""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--synth", metavar="S", type=words.synth_name, required=True, help=words.SYNTH_HELP)
    parser.add_argument(
        "--loss", metavar="L", type=words.loss_name_or_all, required=True,
        help="a name from `sonimatch list`, or all four of the published study",
    )  # fmt: skip
    parser.add_argument("--parameter", metavar="NAME", help="the free parameter, if the synthesizer has several")
    parser.add_argument(
        "--target",
        metavar="name=value",
        nargs="+",
        default=[],
        help="parameters of the target, which those that are not free keep (their defaults)",
    )
    parser.add_argument("--num", metavar="N", type=words.at_least(2), default=201, help="points on the curve (201)")
    words.add_output_folder(parser)


def run(args: argparse.Namespace) -> None:
    synth = words.synth(args.synth)
    losses = words.losses(args.loss)
    names = synth.space.names
    if len(names) == 0:
        raise InputError(f"{synth.name} has no parameter, and so no landscape")
    if args.parameter is None and len(names) > 1:
        raise InputError(f"{synth.name} has {len(names)} parameters; choose one with --parameter ({', '.join(names)})")
    free = names[0] if args.parameter is None else words.nearest("parameter", args.parameter, names)
    column = names.index(free)
    theta = words.theta(synth, args.target)
    to_csv = {loss.name: args.output / f"{synth.name}_{free}_{loss.name}.csv" for loss in losses}
    to_png = args.output / f"{synth.name}_{free}_{args.loss}.png"
    check_output(*to_csv.values(), to_png, make_folder=True)
    print(f"{synth.name}: {free} at {args.num} points; target: {point_text(synth, theta)}", flush=True)

    import numpy as np

    from sonimatch.landscape import landscape
    from sonimatch.plots import landscape_figure

    target = synth(theta)
    label = f"{free} ({synth.space.unit[column]})" if synth.space.unit[column] else free
    curves = {}
    for loss in losses:
        found = landscape(synth, loss, target, parameters=(free,), num=args.num, theta=theta)
        unit, value, gradient = found.theta[:, column], found.value, found.gradient[:, column]
        physical = np.asarray(synth.space.to_physical(found.theta))[:, column]
        columns = {label: physical, "unit value": unit, "loss": value, "gradient per unit value": gradient}
        rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
        write_text(to_csv[loss.name], csv_text(rows))
        finite = np.isfinite(value) & np.isfinite(gradient)
        if not finite.any():
            raise FailedError(f"{loss.name} is nowhere finite; see {to_csv[loss.name]}")
        broken = "" if finite.all() else f"; not finite at {np.count_nonzero(~finite)} points"
        lowest = np.where(np.isfinite(value), value, np.inf).argmin()
        print(f"  {loss.name}: lowest {value[lowest]:.6g} at {physical[lowest]:.6g}{broken}", flush=True)
        curves[loss.name] = (physical, np.where(finite, value, np.nan), np.where(finite, gradient, np.nan))
    save_figure(to_png, landscape_figure(curves, label, float(synth.space.to_physical(theta)[column])))
    print(f"wrote {to_png}, {', '.join(path.name for path in to_csv.values())}")
