"""The published rows of direct regression as runnable experiments.

None has been trained here; network, loss and decoding reproduce MMPose's numbers (tests/test_parity.py). Batch sizes
are for each of 8 GPUs: on one, `--training.accumulate 8` takes the place of `--processes 8`.
"""

from __future__ import annotations

from dataclasses import replace

from vitruvian.augment import Augmentation
from vitruvian.backbones import BackboneConfig
from vitruvian.budgets import lspet, lspet_cpu
from vitruvian.experiment import Experiment, Training
from vitruvian.geometry import Framing
from vitruvian.methods.regression.method import Config
from vitruvian.skeletons import COCO, MPII


def coco_resnet50() -> Experiment:
    """DeepPose, ResNet-50, 256x192, COCO.

    vitruvian train regression/coco_resnet50 --data person_keypoints_train2017.json --processes 8

    Published: AP 54.1 on val with detectors' boxes and flip test (MMPose's COCO table).
    Cost: 210 epochs on 8 GPUs x 64; hours not published.
    Measured here: not trained.
    """
    return Experiment(
        method=Config(backbone=BackboneConfig("resnet50", weights="imagenet")),
        skeleton=COCO,
        training=Training(warmup_steps=500),
    )


def coco_vit_small() -> Experiment:
    """Direct regression, ViT-S, 256x192, COCO (SAR, supplement).

    vitruvian train regression/coco_vit_small --data person_keypoints_train2017.json --method.backbone.weights
    mae_pretrained_vit_small.pth

    How it was trained is not published; this is ViTPose's way.

    Published: AP 58.0, AP50 83.9, AP75 64.8 (SAR, supplement, ViT table, row "regression").
    Cost: not published.
    Measured here: not trained.
    """
    base = coco_resnet50()
    return replace(
        base,
        method=replace(base.method, backbone=BackboneConfig("vit_small", drop_path=0.1)),
        training=replace(base.training, optimizer="adamw", weight_decay=0.1, layer_decay=0.8, clip_norm=1.0),
    )


def mpii_resnet50() -> Experiment:
    """Direct regression, ResNet-50, 256x256, MPII (SAR, supplement).

    vitruvian train regression/mpii_resnet50 --data mpii_train.json

    Published: PCKh@0.5 83.8, PCKh@0.1 23.6 (SAR, supplement, MPII table).
    Cost: not published.
    Measured here: not trained.
    """
    base = coco_resnet50()
    return replace(
        base,
        method=replace(base.method, framing=Framing(size=(256, 256))),
        skeleton=MPII,
        augmentation=Augmentation(half_body=0.0, shift_chance=0.0),
        training=replace(base.training, metric="PCKh@0.5"),
    )


def lspet_resnet18() -> Experiment:
    """Direct regression in the comparison on LSPET: ResNet-18 from scratch, 128x128, 20 epochs; for a GPU.

    vitruvian train regression/lspet_resnet18 --data lspet/annotations/train.json --dataset.val-path
    lspet/annotations/val.json

    Published: this is not a row of a paper.
    Cost: not measured; meant for a GPU.
    Measured here: not trained; see `lspet_resnet18_cpu`.
    """
    return lspet(Config())


def lspet_resnet18_cpu() -> Experiment:
    """Direct regression in the comparison on LSPET: ResNet-18 from scratch, 96x96, 3,000 photos, 5 epochs; for a CPU.

    vitruvian train regression/lspet_resnet18_cpu --data lspet/annotations/train.json --dataset.val-path
    lspet/annotations/val.json

    Published: this is not a row of a paper.
    Cost: about ten minutes on one core of a CPU.
    Measured here: docs/comparison.md.
    """
    return lspet_cpu(Config())
