"""The negative log-likelihood of the residuals, as the two published codes compute it.

With e = (prediction - label) / sigma, the paper's loss of a keypoint is log sigma - log Q(e) - log phi(e): a fixed
density Q and the flow's phi, which learns what Q misses. Both codes take log phi, a single number for the keypoint,
off each of x and y before they add these up; and their -log Q contains log sigma once more. Log phi and log sigma thus
count twice, which the published figures need. In space they take it off the depth too, and it counts three times.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from vitruvian.coordinates import of_axes

Form = Literal["mmpose", "authors"]
Density = Literal["laplace", "gaussian"]

HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)


def standardised_errors(points: Tensor, sigma_logits: Tensor, labels: Tensor) -> Tensor:
    """e = (points - labels) / sigma, of points, labels and logits of sigma, all (..., 2 or 3)."""
    return (points - labels) / (sigma_logits.sigmoid() + 1e-9)


def known_labels(points: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """Labels (..., K, 2 or 3), with the prediction itself where the weight (..., K) or (..., K, 3) is 0.

    The error there is 0 whatever stands in the label, and neither values nor gradients can overflow.
    """
    return torch.where(of_axes(weights, points) > 0, labels, points.detach())


def flow_term(log_phi: Tensor, sigma_logits: Tensor, weights: Tensor) -> Tensor:
    """Sum of w (log sigma - log phi) over keypoints and axes, over the batch size B.

    Args:
        log_phi: (B, K) log density of the errors.
        sigma_logits: (B, K, 2 or 3) logits of sigma.
        weights: (B, K), or (B, K, 3) of each axis.
    """
    return weighted_sum(functional.logsigmoid(sigma_logits) - log_phi[..., None], weights)


def residual_term(errors: Tensor, sigma_logits: Tensor, weights: Tensor, density: Density, form: Form) -> Tensor:
    """Sum of -w log (Q(e) / sigma) over keypoints and axes, over the batch size B.

    Args:
        errors: (B, K, 2 or 3) e.
        sigma_logits: (B, K, 2 or 3) logits of sigma.
        weights: (B, K), or (B, K, 3) of each axis.
        density: which Q.
        form: whose; they differ in the Laplacian.
    """
    return weighted_sum(negative_log_density(errors, sigma_logits, density, form), weights)


def negative_log_density(errors: Tensor, sigma_logits: Tensor, density: Density, form: Form) -> Tensor:
    """-log (Q(e) / sigma) of errors e and logits of sigma, all (..., 2 or 3)."""
    log_sigma = functional.logsigmoid(sigma_logits)
    if density == "gaussian":
        return log_sigma + HALF_LOG_2PI + errors.square() / 2
    if form == "mmpose":
        return log_sigma + math.log(2) + errors.abs()
    # The authors' Laplacian has the standard deviation sigma, and the constant of a Gaussian.
    return log_sigma + HALF_LOG_2PI + errors.abs() / math.sqrt(2)


def weighted_sum(terms: Tensor, weights: Tensor) -> Tensor:
    """Terms (B, K, 2 or 3) times weights (B, K) or (B, K, 3), added up and divided by B."""
    return (terms * of_axes(weights, terms)).sum() / len(terms)
