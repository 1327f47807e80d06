"""Looking at a network while it trains: figures on validation data, and pictures of a few samples."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from vitruvian.data.boxes import read_boxes
from vitruvian.data.labels import Labels, trainable
from vitruvian.data.loading import collate
from vitruvian.data.synthetic.crops import Crops
from vitruvian.draw import as_poses, contact_sheet, draw_poses, enlarge
from vitruvian.evaluation import evaluate
from vitruvian.experiment import Experiment, Method, View
from vitruvian.prediction.networks import NetworkPredictor
from vitruvian.sample import Poses, Sample
from vitruvian.skeletons import Skeleton

PICTURED = 6
"""Samples in a picture."""
TILE = 192
"""Longer side of each, px."""


def score(
    method: Method, labels: Labels, experiment: Experiment, results_path: Path, limit: int = 0
) -> dict[str, float]:
    """The figures of a network on labels: those of `evaluate` that are single numbers.

    Args:
        method: in evaluation mode, on its device.
        labels: what is scored.
        experiment: whose detections, if there are any, are looked into.
        results_path: the results file that is scored.
        limit: only the first so many photos with people who count; 0: all.

    Raises:
        InputError: the labels or the detections do not fit, or a photo cannot be read.
    """
    detections = experiment.dataset.detections
    boxes = read_boxes(detections, labels) if detections else None
    if limit:
        photos = [photo for photo in labels.photos if trainable(photo.people).any()]
        labels = replace(labels, photos=tuple(photos[:limit]))
    predictor = NetworkPredictor(method, experiment, next(method.parameters()).device)
    figures = evaluate(predictor, labels, results_path, boxes)
    return {name: value for name, value in figures.items() if isinstance(value, float)}


def picture(method: Method, crops: Crops) -> np.ndarray:
    """A sheet (H, W, 3) uint8 RGB of a few people spread over `crops`, the truth beside the prediction."""
    chosen = np.linspace(0, len(crops) - 1, min(PICTURED, len(crops))).round().astype(int)
    samples = [crops[0, int(index)] for index in chosen]
    with torch.inference_mode():
        inputs = method.normalise(collate(samples).inputs.to(next(method.parameters()).device))
        decoded = method.predict([View(inputs)])
    images, captions = [], []
    for i, sample in enumerate(samples):
        points, joint_scores, scores = (tensor[i].float().cpu().numpy() for tensor in decoded)
        for poses, what in ((as_poses(sample.people), "truth"), (Poses(points, joint_scores, scores), "prediction")):
            images.append(drawing(sample, poses, method.skeleton))
            captions.append(f"{sample.image_id} {what}")
    return contact_sheet(images, columns=4, captions=captions, tile=TILE)


def drawing(sample: Sample, poses: Poses, skeleton: Skeleton) -> np.ndarray:
    """One crop with its poses, large enough to see them."""
    image, larger = enlarge(sample.image, poses, TILE)
    return draw_poses(image, larger, skeleton, threshold=0.0)
