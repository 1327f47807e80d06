"""The published rows of RLE as runnable experiments.

Figures are AP on COCO val with detectors' boxes and flip test, and PCKh@0.5 / PCKh@0.1 on MPII val. None of the
published rows has been trained here; networks, losses and decoding reproduce both codes' numbers
(tests/test_parity.py). Batch sizes are for each of 8 GPUs: on one, `--training.accumulate 8` takes the place of
`--processes 8`.
"""

from __future__ import annotations

from dataclasses import replace

from vitruvian.augment import Augmentation
from vitruvian.backbones import BackboneConfig
from vitruvian.budgets import h36m, lspet, lspet_cpu
from vitruvian.experiment import Experiment, Training
from vitruvian.geometry import Framing
from vitruvian.methods.rle.method import AUTHORS_MEAN, AUTHORS_STD, AUTHORS_STD_3D, Config
from vitruvian.skeletons import COCO, MPII


def coco_resnet50() -> Experiment:
    """RLE of MMPose, ResNet-50, 256x192, COCO.

    vitruvian train rle/coco_resnet50 --data person_keypoints_train2017.json --processes 8

    Published: AP 70.6 (MMPose's COCO table).
    Cost: 210 epochs on 8 GPUs x 64; hours not published.
    Measured here: not trained.
    """
    return Experiment(
        method=Config(backbone=BackboneConfig("resnet50", weights="imagenet")),
        skeleton=COCO,
        training=Training(learning_rate=1e-3, warmup_steps=500),
        score="box_rle",
    )


def coco_resnet50_pretrained() -> Experiment:
    """RLE of MMPose, ResNet-50, 256x192, COCO, from the backbone of a heatmap network.

    vitruvian train rle/coco_resnet50_pretrained --data person_keypoints_train2017.json --processes 8

    Put MMPose's file of that name, or that of another heatmap network, beside the run, or give its path as
    --method.backbone.weights.

    Published: AP 71.9 (MMPose's COCO table).
    Cost: 210 epochs on 8 GPUs x 64; hours not published.
    Measured here: not trained.
    """
    return _with_backbone("resnet50", "td-hm_res50_8xb64-210e_coco-256x192.pth")


def coco_resnet50_no_residual() -> Experiment:
    """Direct likelihood estimation: the flow alone is the density (RLE, ablation), ResNet-50, 256x192, COCO.

    vitruvian train rle/coco_resnet50_no_residual --data person_keypoints_train2017.json

    Published: the paper's ablation; its figure was not at hand when this was written.
    Cost: not published.
    Measured here: not trained.
    """
    base = coco_resnet50()
    return replace(base, method=replace(base.method, residual=False))


def coco_resnet50_authors() -> Experiment:
    """RLE in the authors' form, ResNet-50, 256x192, COCO.

    vitruvian train rle/coco_resnet50_authors --data person_keypoints_train2017.json --processes 8

    Two details are not followed: their boxes end one pixel earlier, and their half-body views need one joint more
    of the upper half.

    Published: AP 70.5; the released file (coco-laplace-rle.pth), which began from a heatmap network's backbone, has
    71.3, and 72.2 with annotated boxes.
    Cost: 270 epochs on 8 GPUs x 32; hours not published.
    Measured here: not trained.
    """
    framing = Framing(mean=AUTHORS_MEAN, std=AUTHORS_STD)
    augmentation = Augmentation(
        half_body_joints=4,
        shift=0.0,
        shift_chance=0.0,
        scale=0.25,
        rotation=45.0,
        rotation_chance=0.5,
        draws="uniform",
    )
    return Experiment(
        method=Config(BackboneConfig("resnet50", weights="imagenet"), framing, form="authors"),
        skeleton=COCO,
        augmentation=augmentation,
        training=Training(epochs=270, batch_size=32, learning_rate=1e-3),
        score="box_rle",
    )


def coco_resnet101() -> Experiment:
    """RLE of MMPose, ResNet-101, 256x192, COCO.

    vitruvian train rle/coco_resnet101 --data person_keypoints_train2017.json --processes 8

    Published: AP 72.2 (MMPose's COCO table).
    Cost: 210 epochs on 8 GPUs x 64; hours not published.
    Measured here: not trained.
    """
    return _with_backbone("resnet101")


def coco_resnet152() -> Experiment:
    """RLE of MMPose, ResNet-152, 256x192, COCO.

    vitruvian train rle/coco_resnet152 --data person_keypoints_train2017.json --processes 8

    Published: AP 73.1 (MMPose's COCO table).
    Cost: 210 epochs on 8 GPUs x 64; hours not published.
    Measured here: not trained.
    """
    return _with_backbone("resnet152")


def coco_resnet152_384() -> Experiment:
    """RLE of MMPose, ResNet-152, 384x288, COCO.

    vitruvian train rle/coco_resnet152_384 --data person_keypoints_train2017.json --processes 8

    Published: AP 74.9 (MMPose's COCO table).
    Cost: 210 epochs on 8 GPUs x 64; hours not published.
    Measured here: not trained.
    """
    base = coco_resnet152()
    return replace(base, method=replace(base.method, framing=Framing(size=(288, 384))))


def coco_vit_small() -> Experiment:
    """RLE, ViT-S, 256x192, COCO (SAR, supplement).

    vitruvian train rle/coco_vit_small --data person_keypoints_train2017.json --method.backbone.weights
    mae_pretrained_vit_small.pth

    How it was trained is not published; this is ViTPose's way.

    Published: AP 71.6, AP50 90.3, AP75 79.1 (SAR, supplement, ViT table, row "RLE").
    Cost: not published.
    Measured here: not trained.
    """
    base = coco_resnet50()
    return replace(
        base,
        method=replace(base.method, backbone=BackboneConfig("vit_small", drop_path=0.1)),
        training=replace(
            base.training,
            optimizer="adamw",
            learning_rate=5e-4,
            weight_decay=0.1,
            layer_decay=0.8,
            clip_norm=1.0,
        ),
    )


def mpii_resnet50() -> Experiment:
    """RLE of MMPose, ResNet-50, 256x256, MPII.

    vitruvian train rle/mpii_resnet50 --data mpii_train.json

    Published: PCKh@0.5 85.8, PCKh@0.1 27.1 (SAR, supplement, MPII table).
    Cost: not published.
    Measured here: not trained.
    """
    base = coco_resnet50()
    return replace(
        base,
        method=replace(base.method, framing=Framing(size=(256, 256))),
        skeleton=MPII,
        augmentation=Augmentation(half_body=0.0, shift_chance=0.0),
        training=replace(base.training, learning_rate=5e-4, metric="PCKh@0.5"),
    )


def lspet_resnet18() -> Experiment:
    """RLE in the comparison on LSPET: ResNet-18 from scratch, 128x128, 20 epochs; for a GPU.

    vitruvian train rle/lspet_resnet18 --data lspet/annotations/train.json --dataset.val-path
    lspet/annotations/val.json

    Published: this is not a row of a paper.
    Cost: not measured; meant for a GPU.
    Measured here: not trained; see `lspet_resnet18_cpu`.
    """
    return lspet(Config())


def lspet_resnet18_cpu() -> Experiment:
    """RLE in the comparison on LSPET: ResNet-18 from scratch, 96x96, 3,000 photos, 5 epochs; for a CPU.

    vitruvian train rle/lspet_resnet18_cpu --data lspet/annotations/train.json --dataset.val-path
    lspet/annotations/val.json

    Published: this is not a row of a paper.
    Cost: about ten minutes on one core of a CPU.
    Measured here: docs/comparison.md.
    """
    return lspet_cpu(Config())


def h36m_resnet50() -> Experiment:
    """RLE in space, the authors' form, ResNet-50, 256x256, Human3.6M with MPII mixed in.

    vitruvian train rle/h36m_resnet50 --data Sample_5_train_Human36M_protocol_2.json --dataset.extra
    mpii/annotations/train.json --dataset.val-path Sample_64_test_Human36M_protocol_2.json --processes 4

    Published: the paper's table of Human3.6M; its figures were not at hand when this was written.
    Cost: 200 epochs on 4 GPUs x 32; hours not published.
    Measured here: not trained.
    """
    framing = Framing(mean=AUTHORS_MEAN, std=AUTHORS_STD_3D)
    backbone = BackboneConfig("resnet50", weights="imagenet")
    base = h36m(Config(backbone=backbone, framing=framing, form="authors"))
    return replace(base, training=replace(base.training, epochs=200, batch_size=32), score="box_rle")


def _with_backbone(name: str, weights: str = "imagenet") -> Experiment:
    base = coco_resnet50()
    return replace(base, method=replace(base.method, backbone=BackboneConfig(name, weights=weights)))
