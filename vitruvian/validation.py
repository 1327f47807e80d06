"""Scoring a network on validation data while it trains."""

from __future__ import annotations

import numpy as np
import torch

from vitruvian.data.labels import Labels
from vitruvian.data.loading import PersonCrops, collate
from vitruvian.experiment import Method, View
from vitruvian.geometry import transform_boxes, transform_points
from vitruvian.metrics.pck import torso_pck


def score(method: Method, labels: Labels, batch_size: int, device: torch.device) -> dict[str, float]:
    """PCK by the torso of the people in `labels`, from the annotated boxes, plain and mirrored views merged."""
    crops = PersonCrops(labels, method.config.framing)
    predicted, truth, visibility, boxes = [], [], [], []
    for first in range(0, len(crops), batch_size):
        samples = [crops[0, index] for index in range(first, min(first + batch_size, len(crops)))]
        batch = collate(samples).to(device)
        with torch.inference_mode():
            inputs = method.normalise(batch.inputs)
            decoded = method.predict([View(inputs), View(inputs.flip(-1), mirrored=True)])
        for sample, points in zip(samples, decoded.points[:, 0].float().cpu().numpy()):
            predicted.append(transform_points(points, sample.to_original))
            truth.append(transform_points(sample.people.keypoints[0], sample.to_original))
            visibility.append(sample.people.visibility[0])
            boxes.append(transform_boxes(sample.people.boxes, sample.to_original)[0])
    figures = torso_pck(*map(np.stack, (predicted, truth, visibility, boxes)), labels.skeleton.joints)
    return {f"torso_pck@{threshold}": figures[f"PCK@{threshold}"] for threshold in ("0.2", "0.1")}
