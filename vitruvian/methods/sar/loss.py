"""The losses of SAR: expected spatial quality, and the quality focal loss of the auxiliary heatmap."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def expected_quality_loss(
    selector: Tensor, keypoints: Tensor, labels: Tensor, sharpness: float = 16.0, epsilon: float = 1e-6
) -> Tensor:
    """-log sum_t w_t r_t, mean over V keypoints; w_t = c_t / sum c, r_t = exp(-sharpness |K_t - K*|_1) (equation 4).

    In the log domain: log sum_t c_t r_t = logsumexp_t(log c_t - d_t). It equals the direct sum in float32 and does not
    vanish for opinions that are far off. No (V, 2, h, w) tensor is made: the two axes are added up one at a time.

    Args:
        selector: (V, h, w) logits.
        keypoints: (V, 2, h, w) fractions of the map.
        labels: (V, 2) the truth, likewise.
        sharpness: lambda; the paper leaves it open, the authors' code has 16.
        epsilon: added within the log, which caps the loss at 13.8; the published numbers need it.
    """
    distance = (keypoints[:, 0] - labels[:, 0, None, None]).abs() + (keypoints[:, 1] - labels[:, 1, None, None]).abs()
    log_confidence = functional.logsigmoid(selector.float())
    quality = (log_confidence - sharpness * distance.float()).flatten(1).logsumexp(1)
    log_expected = quality - log_confidence.flatten(1).logsumexp(1)
    losses = -torch.log(log_expected.exp() + epsilon)
    return losses.sum() / max(losses.shape[0], 1)  # no visible keypoint in the whole batch: 0, where the mean is NaN


def quality_focal_loss(logits: Tensor, heatmaps: Tensor, gamma: float = 2.0, positive: float = 0.7) -> Tensor:
    """Quality focal loss of V maps: sum over cells of BCE(z, G) |G - sigmoid(z)|^gamma, over the number of peaks.

    Cells with G = 0 have BCE(z, 0) sigmoid(z)^gamma, which is the same expression. The factor sends gradient too.

    Args:
        logits: (V, h, w) z.
        heatmaps: (V, h, w) G, Gaussians with peak 1.
        gamma: the exponent.
        positive: cells above it are counted in the divisor.
    """
    logits = logits.float()
    factor = (heatmaps - logits.sigmoid()).abs().pow(gamma)
    total = (functional.binary_cross_entropy_with_logits(logits, heatmaps, reduction="none") * factor).sum()
    return total / (heatmaps > positive).sum().clamp(min=1)
