"""The rows of SAR's tables, and what this project trains, as runnable experiments.

Each docstring gives the table and row, the command, the published figure, the cost, and what this project measured.
"""

from __future__ import annotations

from dataclasses import replace

from vitruvian.backbones import BackboneConfig
from vitruvian.experiment import Experiment, Training
from vitruvian.geometry import Framing
from vitruvian.methods.sar.method import Config
from vitruvian.skeletons import COCO, COCO_WHOLEBODY


def coco_resnet50() -> Experiment:
    """SAR, ResNet-50 with three deconvolutions, 384x288, COCO: the released configuration.

    vitruvian train sar/coco_resnet50 --data person_keypoints_train2017.json --dataset.val-path
    person_keypoints_val2017.json

    Published: the main paper's COCO table; its figures were not at hand when this was written. Trained by the authors on
    2 GPUs x 96. Measured here: not trained; the network and its losses reproduce the authors' numbers
    (tests/test_parity.py).
    """
    return Experiment(
        method=Config(framing=Framing(size=(288, 384)), heatmap_sigma=3.0),
        skeleton=COCO,
        training=Training(
            epochs=210,
            batch_size=96,
            learning_rate=5e-4,
            warmup_steps=500,
            milestones=(170, 200),
            score_every=70,
        ),
    )


def coco_hrnet_w48() -> Experiment:
    """SAR, HRNet-W48 without deconvolution, 384x288, COCO: the released configuration, 2 GPUs x 36.

    vitruvian train sar/coco_hrnet_w48 --data person_keypoints_train2017.json

    Published: the main paper's COCO table. Measured here: not trained.
    """
    base = coco_resnet50()
    method = replace(
        base.method,
        backbone=BackboneConfig("hrnet_w48", weights="imagenet"),
        deconv_channels=(),
        deconv_kernels=(),
    )
    return replace(base, method=method, training=replace(base.training, batch_size=36))


def wholebody_hrnet_w48() -> Experiment:
    """SAR, HRNet-W48, 133 keypoints, 384x288, COCO-WholeBody: the released configuration, 2 GPUs x 36.

    vitruvian train sar/wholebody_hrnet_w48 --data coco_wholebody_train_v1.0.json

    Published: the main paper's whole-body table. Measured here: not trained.
    """
    base = coco_hrnet_w48()
    return replace(base, skeleton=COCO_WHOLEBODY, training=replace(base.training, score_every=35))
