"""The metrics a vocoder is judged by, as one collection."""

from __future__ import annotations

from torchmetrics import MetricCollection

from reprise.metrics.base import WeightedMean
from reprise.metrics.intelligibility import PESQ, STOI, available
from reprise.metrics.pitch import F0FrameError
from reprise.metrics.spectral import LogMelL2, MelCepstralDistortion

METRICS: dict[str, type[WeightedMean]] = {
    "ls_mse": LogMelL2,
    "mcd_db": MelCepstralDistortion,
    "ffe_percent": F0FrameError,
    "stoi": STOI,
    "pesq": PESQ,
}


def vocoder_metrics(sample_rate: int) -> MetricCollection:
    """Build every vocoder metric whose package is installed.

    Args:
        sample_rate: in Hz.

    Returns:
        a collection; each metric's `update(predicted, target)` takes one clip, (T,).
    """
    chosen = {
        name: metric(sample_rate)  # type: ignore[call-arg]
        for name, metric in METRICS.items()
        if available(getattr(metric, "package", "torch"))
    }
    return MetricCollection(dict(chosen), compute_groups=False)
