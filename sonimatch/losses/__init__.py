"""The losses, one family per file."""

from sonimatch.features import RELEASED_STFT
from sonimatch.losses.dtw_envelope import DTW_Envelope, soft_dtw
from sonimatch.losses.l1_spec import L1_Spec
from sonimatch.losses.scattering import Scattering
from sonimatch.losses.simse_spec import SIMSE_Spec

LOSSES = (L1_Spec(), SIMSE_Spec(), Scattering(), DTW_Envelope())
"""Every loss at its default settings, those of the published text."""

RELEASED_LOSSES = (
    L1_Spec(stft=RELEASED_STFT),
    SIMSE_Spec(stft=RELEASED_STFT, clip=True),
    Scattering(released=True),
    DTW_Envelope(stft=RELEASED_STFT),
)
"""The same losses in the same order, as the released code of the study computes them."""

__all__ = ["LOSSES", "RELEASED_LOSSES", "DTW_Envelope", "L1_Spec", "SIMSE_Spec", "Scattering", "soft_dtw"]
