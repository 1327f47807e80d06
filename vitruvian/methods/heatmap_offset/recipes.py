"""The published rows of heatmaps with offsets as runnable experiments.

Figures are AP on COCO val with a detector's boxes and flip test. None has been trained here; networks, losses and
decoding reproduce the published code's numbers (tests/test_parity.py). Batch sizes are for each of 8 GPUs: on one,
`--training.accumulate 8` takes the place of `--processes 8`.
"""

from __future__ import annotations

from vitruvian.backbones import BackboneConfig
from vitruvian.budgets import lspet, lspet_cpu
from vitruvian.experiment import Experiment, Training
from vitruvian.methods.heatmap_offset.method import Config
from vitruvian.skeletons import COCO


def coco_hrnet_w32() -> Experiment:
    """HRNet-W32 with UDP's combined targets, 256x192, COCO.

    vitruvian train heatmap_offset/coco_hrnet_w32 --data person_keypoints_train2017.json --processes 8

    Published: AP 75.9 (MMPose's COCO table, row "UDP, combined").
    Cost: 210 epochs on 8 GPUs x 64; hours not published.
    Measured here: not trained.
    """
    backbone = BackboneConfig("hrnet_w32", weights="imagenet")
    return Experiment(
        method=Config(backbone=backbone, deconv_channels=(), deconv_kernels=()),
        skeleton=COCO,
        training=Training(warmup_steps=500),
    )


def coco_vit_small() -> Experiment:
    """ViT-S with two deconvolutions and UDP's combined targets, 256x192, COCO (SAR, supplement).

    vitruvian train heatmap_offset/coco_vit_small --data person_keypoints_train2017.json --method.backbone.weights
    mae_pretrained_vit_small.pth

    How it was trained is not published; this is ViTPose's way.

    Published: AP 72.6, AP50 91.3, AP75 79.8 (SAR, supplement, ViT table, row "heatmap + offset").
    Cost: not published.
    Measured here: not trained.
    """
    return Experiment(
        method=Config(
            backbone=BackboneConfig("vit_small", drop_path=0.1),
            deconv_channels=(256, 256),
            deconv_kernels=(4, 4),
        ),
        skeleton=COCO,
        training=Training(optimizer="adamw", weight_decay=0.1, layer_decay=0.8, clip_norm=1.0, warmup_steps=500),
    )


def lspet_resnet18() -> Experiment:
    """Heatmaps with offsets in the comparison on LSPET: ResNet-18 from scratch, 128x128, 20 epochs; for a GPU.

    vitruvian train heatmap_offset/lspet_resnet18 --data lspet/annotations/train.json --dataset.val-path
    lspet/annotations/val.json

    Published: this is not a row of a paper.
    Cost: not measured; meant for a GPU.
    Measured here: not trained; see `lspet_resnet18_cpu`.
    """
    return lspet(Config(blur=11))


def lspet_resnet18_cpu() -> Experiment:
    """Heatmaps with offsets on LSPET: ResNet-18 from scratch, 96x96, 3,000 photos, 5 epochs; for a CPU.

    vitruvian train heatmap_offset/lspet_resnet18_cpu --data lspet/annotations/train.json --dataset.val-path
    lspet/annotations/val.json

    Published: this is not a row of a paper.
    Cost: about ten minutes on one core of a CPU.
    Measured here: docs/comparison.md.
    """
    return lspet_cpu(Config(radius=0.2, blur=3))
