"""The losses, one family per file."""

from sonimatch.features import RELEASED_STFT
from sonimatch.losses.averaged import Averaged
from sonimatch.losses.cumulative_energy import CumulativeEnergy
from sonimatch.losses.dtw_envelope import DTW_Envelope, soft_dtw
from sonimatch.losses.jtfs import JTFS
from sonimatch.losses.l1_spec import L1_Spec
from sonimatch.losses.log_mel import LogMel
from sonimatch.losses.marginals import Marginals
from sonimatch.losses.mfcc_spec import MFCC_Spec
from sonimatch.losses.mss_spec import MSS_Spec
from sonimatch.losses.scattering import Scattering
from sonimatch.losses.simse_spec import SIMSE_Spec
from sonimatch.losses.sot_spec import SOT_Spec
from sonimatch.losses.sum import Sum

PAPER_LOSSES = (L1_Spec(), SIMSE_Spec(), Scattering(), DTW_Envelope())
"""The four losses of the published study, at the settings of its text."""

LOSSES = (*PAPER_LOSSES, Marginals(), CumulativeEnergy(), SOT_Spec(), LogMel(), MFCC_Spec(), MSS_Spec(), JTFS())
"""Every loss at its default settings, those of the published study first."""

RELEASED_LOSSES = (
    L1_Spec(stft=RELEASED_STFT),
    SIMSE_Spec(stft=RELEASED_STFT, clip=True),
    Scattering(released=True),
    DTW_Envelope(stft=RELEASED_STFT),
)
"""The published four in the same order, as the released code of the study computes them."""

__all__ = [
    "JTFS",
    "LOSSES",
    "PAPER_LOSSES",
    "RELEASED_LOSSES",
    "Averaged",
    "CumulativeEnergy",
    "DTW_Envelope",
    "L1_Spec",
    "LogMel",
    "MFCC_Spec",
    "MSS_Spec",
    "Marginals",
    "SIMSE_Spec",
    "SOT_Spec",
    "Scattering",
    "Sum",
    "soft_dtw",
]  # fmt: skip
