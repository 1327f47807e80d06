"""Budgets that several methods share, so that the rows of one table differ in the method alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from vitruvian.augment import Augmentation
from vitruvian.backbones import BackboneConfig
from vitruvian.experiment import Dataset, Experiment, Training
from vitruvian.skeletons import COCO_WHOLEBODY, H36M_18, LSP

LSPET_AUGMENTATION = Augmentation(half_body=0.0, shift=0.1, scale=0.3, rotation=40.0, colour=0.3)

SYNTHETIC_AUGMENTATION = Augmentation(half_body=0.0, shift=0.08, scale=0.2, rotation=30.0, colour=0.2, erase=0.2)

SMALL_NETWORK = Training(
    batch_size=32,
    optimizer="adamw",
    learning_rate=2e-3,
    weight_decay=0.02,
    warmup_steps=300,
    schedule="cosine",
    clip_norm=5.0,
    ema=0.999,
    workers=1,
    save_every=100,
)
"""How a network of few weights is trained from scratch on a CPU."""


def lspet(config: Any) -> Experiment:
    """LSPET on a GPU: ResNet-18 from scratch, 128x128, 20 epochs of all 8,491 photos.

    Args:
        config: the method's Config; its backbone and its input size are set here.
    """
    config = replace(config, backbone=BackboneConfig("resnet18"), framing=replace(config.framing, size=(128, 128)))
    training = Training(
        epochs=20,
        batch_size=64,
        learning_rate=1e-3,
        warmup_steps=100,
        schedule="cosine",
        score_every=5,
        metric="torso_pck@0.2",
    )
    return Experiment(config, LSP, augmentation=LSPET_AUGMENTATION, training=training, score="keypoint")


def lspet_cpu(config: Any) -> Experiment:
    """LSPET on a CPU: ResNet-18 from scratch, 96x96, the first 3,000 photos, 5 epochs.

    Args:
        config: the method's Config; its backbone and its input size are set here, and where it has deconvolutions, one
            of 256 channels, so that maps have 6x6 cells.
    """
    changes: dict[str, Any] = {"framing": replace(config.framing, size=(96, 96))}
    if hasattr(config, "deconv_channels"):
        changes |= {"deconv_channels": (256,), "deconv_kernels": (4,)}
    full = lspet(config)
    return replace(
        full,
        method=replace(full.method, **changes),
        dataset=Dataset(limit=3000),
        training=replace(full.training, epochs=5, batch_size=32, workers=1, score_every=5),
    )


def h36m(config: Any) -> Experiment:
    """Human3.6M with as many random people of MPII, after RLE's code: 256x256, depths within a metre of the pelvis.

    That code scales each colour by itself and hides up to 70 % of the box behind noise; here colours change together
    too, and rectangles hide up to 20 %. It clips each tensor's gradient by itself, here none is clipped.

    Args:
        config: the method's Config; its input and its depths are set here.
    """
    framing = replace(config.framing, size=(256, 256), padding=1.0)
    return Experiment(
        replace(config, framing=framing, depth_range=2000.0),
        H36M_18,
        dataset=Dataset(extra_padding=1.25),
        augmentation=Augmentation(
            half_body=0.0, shift=0.0, scale=0.3, rotation=60.0, draws="clipped_normal", colour=0.2, erase=1.0
        ),
        training=Training(
            epochs=140, batch_size=64, learning_rate=1e-3, milestones=(90, 120), score_every=10, metric="MPJPE"
        ),
    )


def wholebody_synthetic(config: Any) -> Experiment:
    """133 joints of synthetic people on a CPU: RegNetX-200MF with a pyramid, 144x192, 70,000 people, each seen once.

    Args:
        config: the method's Config; its backbone and its input size are set here.
    """
    framing = replace(config.framing, size=(144, 192))
    return Experiment(
        replace(config, backbone=BackboneConfig("regnetx_002", pyramid=96), framing=framing),
        COCO_WHOLEBODY,
        dataset=Dataset(path="synthetic", limit=10_000),
        augmentation=SYNTHETIC_AUGMENTATION,
        training=replace(SMALL_NETWORK, epochs=7, warmup_steps=200, ema=0.998, score_every=7),
    )
