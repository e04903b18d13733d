"""Write `losses_public.npz`: two losses as their authors' packages compute them, in double precision.

Run it where these are installed, without any of this project: torch 2.13.0 (CPU), cels-audio 0.1.1, sot-loss 0.1.5
(`pip install --no-deps` for the last two), numpy 2.4.6, scipy 1.17.1.
"""
# ruff: noqa: E402 (what sot-loss imports must be in place before it)

import sys
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

import numpy as np

sys.modules["torchaudio"] = ModuleType("torchaudio")  # for a mel transform that is not used here
import torch
from cels import CumulativeEnergyLoss
from sot import Wasserstein1DLoss

RATE, SAMPLES = 44100, 6000


def sounds() -> dict[str, np.ndarray]:
    """A swelling tone in noise, and another tone in another noise that fades; int16."""
    random, t = np.random.RandomState(5), np.arange(SAMPLES) / RATE
    rising, falling = 0.5 - 0.5 * np.cos(np.pi * t / t[-1]), 0.2 + 0.8 * np.exp(-20 * t)
    target = rising * np.sin(2 * np.pi * 700 * t) + 0.05 * random.standard_normal(SAMPLES)
    candidate = falling * np.sin(2 * np.pi * 950 * t) + 0.1 * random.standard_normal(SAMPLES)
    return {
        name: np.round(8192 * sound).astype(np.int16) for name, sound in (("target", target), ("candidate", candidate))
    }


def magnitude(sound: torch.Tensor, size: int, hop: int, center: bool) -> torch.Tensor:
    """`[bins, frames]` under a symmetric Hann window of unit norm."""
    window = torch.hann_window(size, periodic=False, dtype=torch.float64)
    window /= torch.linalg.vector_norm(window)
    return torch.stft(sound, size, hop, window=window, center=center, return_complex=True).abs()


def cumulative_energy(target: torch.Tensor, candidate: torch.Tensor, log: bool) -> torch.Tensor:
    a, b = (magnitude(sound, 1024, 256, center=False) ** 2 for sound in (target, candidate))
    frequency = torch.fft.rfftfreq(1024, 1 / RATE, dtype=torch.float64)
    time = torch.arange(a.shape[1], dtype=torch.float64) * 256 / RATE
    return CumulativeEnergyLoss(log_weighting=log)(b, a, frequency=frequency, time=time)


def transport(target: torch.Tensor, candidate: torch.Tensor, order: int) -> torch.Tensor:
    a, b = (magnitude(sound, 2048, 512, center=True).T for sound in (target, candidate))
    place = torch.linspace(0, 1, a.shape[1], dtype=torch.float64)
    return Wasserstein1DLoss("identity", p=order, eps=1e-15).loss(b, a, place, place).mean()


stored = sounds()
target, candidate = (torch.tensor(sound / 32768.0) for sound in stored.values())
candidate.requires_grad_()
for name, value in {
    "CumulativeEnergy": cumulative_energy(target, candidate, log=False),
    "CumulativeEnergy-log": cumulative_energy(target, candidate, log=True),
    "SOT_Spec-1": transport(target, candidate, 1),
    "SOT_Spec-2": transport(target, candidate, 2),
}.items():
    (gradient,) = torch.autograd.grad(value, candidate)
    stored[name] = np.array([float(value.detach()), float(gradient @ target), float(gradient @ candidate.detach())])
    print(name, stored[name])
packages = ("torch", "cels-audio", "sot-loss", "numpy", "scipy")
stored["versions"] = np.array([f"{name} {version(name)}" for name in packages])
np.savez_compressed(Path(__file__).with_suffix(".npz"), **stored)
