"""Writes `scrapl_public.npz`: the joint scattering of scrapl-loss 0.1.0, which carries kymatio's development version.

In an empty environment: `pip install torch==2.13.0 scrapl-loss==0.1.0 numpy`, then `python scrapl_public.py`.
"""

from pathlib import Path

import numpy as np
import scrapl  # noqa: F401 (makes the kymatio that it carries importable)
import torch
from kymatio.scattering1d.frontend.torch_frontend import TimeFrequencyScatteringTorch
from scrapl.single_path_jtfs.frontend.torch_frontend import TimeFrequencyScraplTorch

SAMPLES = 2048
SETTINGS = {"J": 6, "J_fr": 2, "Q": (4, 1), "shape": (SAMPLES,)}

c = np.arange(SAMPLES) / SAMPLES - 0.5
sound = np.sin(2 * np.pi * 0.05 * SAMPLES * (2 ** (4 * c) - 1) / (4 * np.log(2))) * np.exp(-((c / 0.1) ** 2) / 2)
x = torch.tensor(sound, dtype=torch.float32)
found = {}
for T, F in ((256, 4), (256, 2)):
    transform = TimeFrequencyScatteringTorch(T=T, F=F, format="joint", **SETTINGS)
    found[f"local/F{F}"] = transform(x).numpy()
    meta = transform.meta()
    found[f"local/F{F}/n2"] = np.array([key[0] if len(key) == 2 else -1 for key in meta["key"]])
    found[f"local/F{F}/spin"] = np.nan_to_num(np.ravel(meta["spin"]).astype(float)).astype(int)
for T in (256, "global"):
    single = TimeFrequencyScraplTorch(T=T, F=4, format="joint", **SETTINGS)
    keys = [key for key in single.meta()["key"] if len(key) == 2]
    found[f"single/{'global' if T == 'global' else 'local'}"] = np.stack(
        [single.scattering_singlepath(x[None, None], *key)["coef"].numpy()[0, 0] for key in keys]
    )
np.savez_compressed(Path(__file__).with_suffix(".npz"), sound=sound.astype(np.float32), **found)
for name, array in found.items():
    print(name, array.shape, array.dtype)
