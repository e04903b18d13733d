"""Wavelet scattering: audio ─► how much each frequency band holds, how fast that changes, and which way it moves.

The filters are plain float64 NumPy; `TimeScattering` and `JointScattering` are the transforms in JAX.
"""

from sonimatch.scattering.filterbank import bank, log2_decimation, lowpass, morlet, padded_length
from sonimatch.scattering.joint import JointScattering
from sonimatch.scattering.time import Paths, TimeScattering

__all__ = [
    "JointScattering", "Paths", "TimeScattering", "bank", "log2_decimation", "lowpass", "morlet", "padded_length",
]  # fmt: skip
