"""The published rows of integral regression as runnable experiments.

Figures are AP on COCO val with a detector's boxes and flip test (MMPose). None has been trained here; networks, losses
and decoding reproduce MMPose's numbers (tests/test_parity.py). Batch sizes are for each of 8 GPUs: on one,
`--training.accumulate 8` takes the place of `--processes 8`.
"""

from __future__ import annotations

from dataclasses import replace

from vitruvian.backbones import BackboneConfig
from vitruvian.budgets import h36m, lspet, lspet_cpu
from vitruvian.experiment import Experiment, Training
from vitruvian.methods.integral.method import Config
from vitruvian.skeletons import COCO


def coco_resnet50_ipr() -> Experiment:
    """IPR, ResNet-50 with three deconvolutions, 256x256, COCO.

    vitruvian train integral/coco_resnet50_ipr --data person_keypoints_train2017.json --processes 8

    Published: AP 63.3 (MMPose's COCO table, row "IPR").
    Cost: 210 epochs on 8 GPUs x 64; hours not published.
    Measured here: not trained.
    """
    return Experiment(
        method=Config(backbone=BackboneConfig("resnet50", weights="imagenet"), map_loss="mse"),
        skeleton=COCO,
        training=Training(warmup_steps=500),
    )


def coco_resnet50_dsnt() -> Experiment:
    """DSNT, ResNet-50 with three deconvolutions, 256x256, COCO.

    vitruvian train integral/coco_resnet50_dsnt --data person_keypoints_train2017.json --processes 8

    Published: AP 67.4 (MMPose's COCO table, row "DSNT").
    Cost: 210 epochs on 8 GPUs x 64; hours not published.
    Measured here: not trained.
    """
    base = coco_resnet50_ipr()
    return replace(base, method=replace(base.method, map_loss="jensen_shannon"))


def coco_resnet50_debiased() -> Experiment:
    """Debiased integral regression, ResNet-50 with three deconvolutions, 256x256, COCO.

    vitruvian train integral/coco_resnet50_debiased --data person_keypoints_train2017.json --processes 8

    Published: AP 67.5 (MMPose's COCO table, row "debiased").
    Cost: 210 epochs on 8 GPUs x 64; hours not published.
    Measured here: not trained.
    """
    base = coco_resnet50_dsnt()
    return replace(base, method=replace(base.method, debias=True, beta=10.0))


def lspet_resnet18() -> Experiment:
    """Integral regression (DSNT) in the comparison on LSPET: ResNet-18 from scratch, 128x128, 20 epochs; for a GPU.

    vitruvian train integral/lspet_resnet18 --data lspet/annotations/train.json --dataset.val-path
    lspet/annotations/val.json

    Published: this is not a row of a paper.
    Cost: not measured; meant for a GPU.
    Measured here: not trained; see `lspet_resnet18_cpu`.
    """
    return lspet(Config(map_loss="jensen_shannon", sigma=1.5))


def lspet_resnet18_cpu() -> Experiment:
    """Integral regression (DSNT) on LSPET: ResNet-18 from scratch, 96x96, 3,000 photos, 5 epochs; for a CPU.

    vitruvian train integral/lspet_resnet18_cpu --data lspet/annotations/train.json --dataset.val-path
    lspet/annotations/val.json

    Published: this is not a row of a paper.
    Cost: about ten minutes on one core of a CPU.
    Measured here: docs/comparison.md.
    """
    return lspet_cpu(Config(map_loss="jensen_shannon", sigma=1.0))


def h36m_resnet50() -> Experiment:
    """Integral regression in space over volumes of 64x64x64 cells, ResNet-50, 256x256, Human3.6M with MPII mixed in.

    vitruvian train integral/h36m_resnet50 --data Sample_5_train_Human36M_protocol_2.json --dataset.extra
    mpii/annotations/train.json --dataset.val-path Sample_64_test_Human36M_protocol_2.json --processes 4

    Budget and augmentation are those of SAR's and RLE's rows.

    Published: Sun et al., ECCV 2018, in other settings; its figures were not at hand when this was written.
    Cost: not published for this budget.
    Measured here: not trained.
    """
    return h36m(Config(backbone=BackboneConfig("resnet50", weights="imagenet")))
