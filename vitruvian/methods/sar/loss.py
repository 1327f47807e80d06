"""The losses of SAR: expected spatial quality, and the quality focal loss of the auxiliary heatmap."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional


def expected_quality_loss(
    selector: Tensor,
    keypoints: Tensor,
    visible: Tensor,
    labels: Tensor,
    sharpness: float = 16.0,
    epsilon: float = 1e-6,
) -> Tensor:
    """-log(E + epsilon), the mean over V keypoints.

    E = sum_t w_t r_t with w_t = c_t / sum c and r_t = exp(-sharpness |K_t - K*|_1). It is the direct sum, computed from
    log c, so that it stays finite where all c_t underflow in float32. Where opinions are so far off that E falls below
    epsilon, the gradient fades in proportion to E: such keypoints hardly move the network.

    Args:
        selector: (B, K, h, w) logits.
        keypoints: (B, K, 2 or 3, h, w) fractions of the axes.
        visible: (V,) places in the flattened (B, K) of the keypoints that are learnt from, each once.
        labels: (V, 2 or 3) their truth, fractions of the axes; a depth that is NaN is not known and not asked for.
        sharpness: lambda; the paper leaves it open, the authors' code has 16.
        epsilon: added within the log, as in the authors' code, which caps the loss at 13.8.
    """
    losses = ExpectedQuality.apply(selector.float(), keypoints.float(), visible, labels, sharpness, epsilon)
    return losses.sum() / max(losses.shape[0], 1)  # no visible keypoint in the whole batch: 0, where the mean is NaN


class ExpectedQuality(torch.autograd.Function):
    """-log(E + epsilon) of each of V keypoints in the log domain; arguments as of `expected_quality_loss`.

    With a_t = log c_t - sharpness |K_t - K*|_1, P = softmax(a) and W = softmax(log c):

        log E = logsumexp(a) - logsumexp(log c)       d log E / d s_t = (P_t - W_t) (1 - c_t)
                                                      d log E / d K_t = -sharpness P_t sign(K_t - K*)

    The gradient is computed in the forward pass, in place where it can be: with 133 keypoints that keeps half the
    memory of differentiating the sum step by step, and never holds all axes of all keypoints in one tensor.
    """

    @staticmethod
    def forward(
        ctx: Any, selector: Tensor, keypoints: Tensor, visible: Tensor, labels: Tensor, sharpness: float, epsilon: float
    ) -> Tensor:
        logits = selector.flatten(0, 1).index_select(0, visible)
        log_confidence = functional.logsigmoid(logits)
        opinions, errors = log_confidence.clone(), []  # a, and K_t - K* of each axis
        for axis in range(labels.shape[1]):
            error = keypoints[:, :, axis].flatten(0, 1).index_select(0, visible).sub_(labels[:, axis, None, None])
            errors.append(error if axis < 2 else error.nan_to_num_(0))
            opinions.sub_(error.abs(), alpha=sharpness)
        quality, total = (terms.logsumexp((1, 2), keepdim=True) for terms in (opinions, log_confidence))
        expected = (quality - total).exp()
        outer = -expected / (expected + epsilon)  # d loss / d log E
        responsibilities = opinions.sub_(quality).exp_()  # P
        weights = log_confidence.sub_(total).exp_()  # W
        to_selector = weights.neg_().add_(responsibilities).mul_(logits.neg_().sigmoid_()).mul_(outer)
        responsibilities.mul_(outer * -sharpness)
        to_axes = [error.sign_().mul_(responsibilities) for error in errors]
        ctx.save_for_backward(to_selector, visible, *to_axes)
        ctx.shapes = selector.shape, keypoints.shape
        return -torch.log(expected.flatten() + epsilon)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        to_selector, visible, *to_axes = ctx.saved_tensors
        gradient = gradient[:, None, None]
        selector, keypoints = (to_selector.new_zeros(shape) for shape in ctx.shapes)
        selector.flatten(0, 1).index_copy_(0, visible, to_selector * gradient)
        for axis, part in enumerate(to_axes):
            keypoints.flatten(0, 1)[:, axis].index_copy_(0, visible, part * gradient)
        return selector, keypoints, None, None, None, None


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
