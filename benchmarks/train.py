"""Training steps: the compact network beside the same in PyTorch, and what a step costs under each objective.

`uv run --no-dev --extra learn --with torch==2.13.0 python benchmarks/train.py`

Both networks take the same pictures with the same optimizer on all cores, in turn, so that a busy machine slows both.
The objectives of the arpeggiator follow, a batch of 64 sounds each, by themselves.
"""

import time

import jax
import numpy as np
import torch
from flax import nnx

from sonimatch.learn.encoder import count
from sonimatch.learn.objective import DDSP, PNP, PLoss, RandomPaths
from sonimatch.learn.recipe import MultiScale, recipe
from sonimatch.learn.train import Phase, step
from sonimatch.losses import JTFS

BATCH, ROUNDS, FEATURES = 64, 7, (32, 64, 128)


class Squeeze(torch.nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.down, self.up = torch.nn.Linear(channels, channels // 4), torch.nn.Linear(channels // 4, channels)

    def forward(self, x):
        gate = self.up(torch.nn.functional.silu(self.down(x.mean((2, 3)))))
        return x * torch.sigmoid(gate)[..., None, None]


def peer(parameters):
    layers, channels = [torch.nn.BatchNorm2d(1)], 1
    for number, features in enumerate(FEATURES):
        size, stride, padding = (4, 4, 0) if number == 0 else (4, 2, 1)
        layers += [torch.nn.Conv2d(channels, features, size, stride, padding, bias=False)]
        layers += [torch.nn.BatchNorm2d(features), torch.nn.SiLU(), Squeeze(features)]
        channels = features
    head = torch.nn.Linear(channels, parameters)
    layers += [torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Dropout(0.2), head, torch.nn.Tanh()]
    return torch.nn.Sequential(*layers)


def theirs(parameters, pictures, nu, last):
    model = peer(parameters)
    pictures, nu = torch.tensor(pictures)[:, None], torch.tensor(nu)
    if last:
        model, pictures = (x.to(memory_format=torch.channels_last) for x in (model, pictures))
    optimizer = torch.optim.Adam(model.parameters())

    def call():
        optimizer.zero_grad()
        ((model(pictures) - nu) ** 2).sum(1).mean().backward()
        optimizer.step()

    return call, sum(p.numel() for p in model.parameters())


def ours(objective, made, rows, damping=0.0):
    model = made.make(nnx.Rngs(0))
    model.train()
    optimizer = nnx.Optimizer(model, Phase(objective, 1).transformation(), wrt=nnx.Param)
    return lambda: jax.block_until_ready(step(objective, model, optimizer, rows, damping)), count(model)


def seconds(call):
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


rng = np.random.default_rng(0)
print("| picture | weights | PyTorch (s) | channels last (s) | ours (s) | ours over the better | first call (s) |")
print("|---|---|---|---|---|---|---|")
for name, shape in (("arpeggiator", (256, 96)), ("drum", (128, 96))):
    made = recipe(name)
    pictures = rng.random((BATCH, *shape), np.float32)
    nu = rng.uniform(-1, 1, (BATCH, len(made.synth.space))).astype(np.float32)
    pairs = [theirs(nu.shape[1], pictures, nu, last) for last in (False, True)]
    pairs.append(ours(PLoss(), made, {"picture": pictures, "nu": nu}))
    calls, sizes = [call for call, _ in pairs], {size for _, size in pairs}
    first = [seconds(call) for call in calls]
    best = np.median([[seconds(call) for call in calls] for _ in range(ROUNDS)], axis=0)
    cells = " | ".join(f"{x:.3f}" for x in best)
    print(f"| {shape[0]} × {shape[1]} | {', '.join(map(str, sizes))} | {cells} | {best[2] / best[:2].min():.2f} "
          f"| {first[2]:.1f} |", flush=True)  # fmt: skip

made = recipe("arpeggiator")
rows = {
    "picture": rng.random((BATCH, 256, 96), np.float32),
    "nu": rng.uniform(-1, 1, (BATCH, 3)).astype(np.float32),
    "M": np.tile(np.eye(3, dtype=np.float32), (BATCH, 1, 1)),
}
objectives = {
    "P-loss": PLoss(),
    "PNP, metric cached": PNP(),
    "spectral, six STFTs": DDSP(made.synth, MultiScale()),
    "joint scattering, J = 11, Q = 6, one path": RandomPaths(made.synth, JTFS(transform=made.phi, order=2, paths=1)),
    "joint scattering, J = 11, Q = 6, whole": DDSP(made.synth, made.phi),
    "joint scattering, J = 13, Q = 12, whole": DDSP(made.synth, recipe("arpeggiator", "paper").phi),
    "joint scattering, J = 13, Q = 12, one path": RandomPaths(
        made.synth, JTFS(transform=recipe("arpeggiator", "paper").phi, order=2, paths=1)
    ),
}
print("\n| objective | s a step | times P-loss | first call (s) |\n|---|---|---|---|")
base = None
for name, objective in objectives.items():
    call, _ = ours(objective, made, rows)
    first = seconds(call)
    took = float(np.median([seconds(call) for _ in range(3 if "scattering" in name or "J =" in name else ROUNDS)]))
    base = base or took
    print(f"| {name} | {took:.3f} | {took / base:.0f} | {first:.1f} |", flush=True)
