"""The rows of SAR's tables, and what this project trains, as runnable experiments.

Each docstring gives the table and row, the command, the published figure, the cost, and what this project measured.
Batch sizes are for each GPU: on one, `--training.accumulate 2` takes the place of `--processes 2`.
"""

from __future__ import annotations

from dataclasses import replace

from vitruvian.augment import Augmentation
from vitruvian.backbones import BackboneConfig
from vitruvian.budgets import SMALL_NETWORK, SYNTHETIC_AUGMENTATION, h36m, lspet, lspet_cpu
from vitruvian.budgets import wholebody_synthetic as synthetic_budget
from vitruvian.experiment import Experiment, Training
from vitruvian.geometry import Framing
from vitruvian.methods.sar.method import Config
from vitruvian.skeletons import COCO, COCO_WHOLEBODY, H36M, LSP, MPII

IMAGENET_RESNET50 = BackboneConfig("resnet50", weights="imagenet")

VITPOSE_TRAINING = Training(
    epochs=210,
    batch_size=64,
    optimizer="adamw",
    learning_rate=5e-4,
    weight_decay=0.1,
    layer_decay=0.8,
    warmup_steps=500,
    clip_norm=1.0,
)


def coco_resnet50() -> Experiment:
    """SAR, ResNet-50 with three deconvolutions, 384x288, COCO: the released configuration.

    vitruvian train sar/coco_resnet50 --data person_keypoints_train2017.json --dataset.val-path
    person_keypoints_val2017.json --processes 2

    Published: the main paper's COCO table; its figures were not at hand when this was written.
    Cost: 210 epochs on 2 GPUs x 96; hours not published.
    Measured here: not trained.
    """
    return Experiment(
        method=Config(backbone=IMAGENET_RESNET50, framing=Framing(size=(288, 384)), heatmap_sigma=3.0),
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
    """SAR, HRNet-W48 without deconvolution, 384x288, COCO: the released configuration.

    vitruvian train sar/coco_hrnet_w48 --data person_keypoints_train2017.json --processes 2

    Its head has 3,332 weights.

    Published: the main paper's COCO table; its figures were not at hand when this was written.
    Cost: 210 epochs on 2 GPUs x 36; hours not published.
    Measured here: not trained.
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
    """SAR, HRNet-W48, 133 keypoints, 384x288, COCO-WholeBody: the released configuration.

    vitruvian train sar/wholebody_hrnet_w48 --data coco_wholebody_train_v1.0.json --processes 2

    Its head has 26,068 weights.

    Published: the main paper's whole-body table; its figures were not at hand when this was written.
    Cost: 210 epochs on 2 GPUs x 36; hours not published.
    Measured here: not trained.
    """
    base = coco_hrnet_w48()
    return replace(base, skeleton=COCO_WHOLEBODY, training=replace(base.training, score_every=35))


def coco_resnet50_ablation() -> Experiment:
    """SAR as its ablations train it: ResNet-50, 256x192, COCO, 140 epochs (supplement).

    vitruvian train sar/coco_resnet50_ablation --data person_keypoints_train2017.json --processes 2

    Evaluate as its rows do, with annotated boxes and no flip test:

    vitruvian evaluate --weights runs/sar/coco_resnet50_ablation/best.safetensors --data
    person_keypoints_val2017.json --no-flip

    Published: the main paper's Tables 1 and 2 and Figure 3; their figures were not at hand when this was written.
    Cost: 140 epochs on 2 GPUs x 160; hours not published.
    Measured here: not trained.
    """
    training = Training(epochs=140, batch_size=160, learning_rate=1e-3, milestones=(90, 120))
    return Experiment(method=Config(backbone=IMAGENET_RESNET50), skeleton=COCO, training=training)


def coco_vit_small() -> Experiment:
    """SAR, ViT-S with two deconvolutions, 256x192, COCO.

    vitruvian train sar/coco_vit_small --data person_keypoints_train2017.json --method.backbone.weights
    mae_vit_s.pth

    How it was trained is not published; this is ViTPose's way.

    Published: AP 74.0, AP50 92.3, AP75 82.1 (supplement, ViT table, row "SAR" with deconvolutions).
    Cost: not published.
    Measured here: not trained.
    """
    return Experiment(
        method=Config(
            backbone=BackboneConfig("vit_small", drop_path=0.1), deconv_channels=(256, 256), deconv_kernels=(4, 4)
        ),
        skeleton=COCO,
        training=VITPOSE_TRAINING,
    )


def coco_vit_small_no_deconv() -> Experiment:
    """SAR, ViT-S without deconvolution, 256x192, COCO: `coco_vit_small` at stride 16.

    vitruvian train sar/coco_vit_small_no_deconv --data person_keypoints_train2017.json

    Published: AP 73.0, AP50 92.0, AP75 80.7 (supplement, ViT table, row "SAR" without deconvolution).
    Cost: not published.
    Measured here: not trained.
    """
    base = coco_vit_small()
    return replace(base, method=replace(base.method, deconv_channels=(), deconv_kernels=(), flip="exact"))


def mpii_resnet50() -> Experiment:
    """SAR, ResNet-50, 256x256, MPII.

    vitruvian train sar/mpii_resnet50 --data mpii/annotations/train.json --dataset.val-path
    mpii/annotations/valid.json

    Published: PCKh@0.5 87.5, PCKh@0.1 31.7 (supplement, MPII table).
    Cost: not published.
    Measured here: not trained.
    """
    return Experiment(
        method=Config(backbone=IMAGENET_RESNET50, framing=Framing(size=(256, 256))),
        skeleton=MPII,
        augmentation=Augmentation(half_body=0.0, shift=0.0),
        training=Training(warmup_steps=500, metric="PCKh@0.5"),
    )


def mpii_hrnet_w48() -> Experiment:
    """SAR, HRNet-W48, 256x256, MPII.

    vitruvian train sar/mpii_hrnet_w48 --data mpii/annotations/train.json

    Published: PCKh@0.5 90.1, PCKh@0.1 38.1 (supplement, MPII table).
    Cost: not published.
    Measured here: not trained.
    """
    base = mpii_resnet50()
    backbone = BackboneConfig("hrnet_w48", weights="imagenet")
    return replace(base, method=replace(base.method, backbone=backbone, deconv_channels=(), deconv_kernels=()))


def lspet_resnet18() -> Experiment:
    """SAR in the comparison on LSPET: ResNet-18 from scratch, 128x128, 20 epochs; for a GPU.

    vitruvian train sar/lspet_resnet18 --data lspet/annotations/train.json --dataset.val-path
    lspet/annotations/val.json

    Published: this is not a row of a paper.
    Cost: not measured; meant for a GPU.
    Measured here: not trained; see `lspet_resnet18_cpu`.
    """
    return lspet(Config(heatmap_sigma=1.5))


def lspet_resnet18_cpu() -> Experiment:
    """SAR in the comparison on LSPET: ResNet-18 from scratch, 96x96, 3,000 photos, 5 epochs; for a CPU.

    vitruvian train sar/lspet_resnet18_cpu --data lspet/annotations/train.json --dataset.val-path
    lspet/annotations/val.json

    Published: this is not a row of a paper.
    Cost: about ten minutes on one core of a CPU.
    Measured here: docs/comparison.md.
    """
    return lspet_cpu(Config(heatmap_sigma=1.0, selector_prior=True, flip="exact"))


def person_start() -> Experiment:
    """What the shipped network `person` starts from: RegNetX-200MF with a feature pyramid, 96x96, LSPET, from scratch.

    vitruvian train sar/person_start --data lspet/annotations/train.json --dataset.val-path lspet/annotations/val.json

    Published: this is not a row of the paper.
    Cost: docs/person.md.
    Measured here: docs/person.md.
    """
    return Experiment(
        method=Config(
            backbone=BackboneConfig("regnetx_002", pyramid=96),
            framing=Framing(size=(96, 96)),
            deconv_channels=(),
            deconv_kernels=(),
            heatmap_sigma=1.0,
            selector_prior=True,
            flip="maps",
        ),
        skeleton=LSP,
        augmentation=Augmentation(half_body=0.0, shift=0.1, scale=0.3, rotation=45.0, colour=0.35, blur=0.1, erase=0.2),
        training=replace(SMALL_NETWORK, epochs=56, score_every=5, metric="torso_pck@0.2"),
        score="keypoint",
    )


def person() -> Experiment:
    """The shipped network `person`: `person_start` goes on at 128x128, with tighter boxes and milder augmentation.

    vitruvian train sar/person --data lspet/annotations/train.json --dataset.val-path lspet/annotations/val.json
    --training.start-from runs/sar/person_start/best.safetensors

    Published: this is not a row of the paper.
    Cost: docs/person.md.
    Measured here: docs/person.md.
    """
    base = person_start()
    return replace(
        base,
        method=replace(base.method, framing=Framing(size=(128, 128), padding=1.1)),
        augmentation=Augmentation(half_body=0.0, shift=0.1, scale=0.25, rotation=30.0, colour=0.3),
        training=replace(base.training, epochs=32, learning_rate=1.2e-3, warmup_steps=200, ema=0.9995, score_every=4),
        seed=21,
    )


def person3d() -> Experiment:
    """A small network in space for synthetic people: slim ResNet-18 with a feature pyramid, 128x128, from scratch.

    vitruvian train sar/person3d --data synthetic

    Joints have a depth within a metre of the pelvis, beside their places in the photo. 0.90 M parameters: 1.8 MB after
    `vitruvian shrink`.

    Published: this is not a row of the paper.
    Cost: not measured.
    Measured here: not trained.
    """
    base = person_start()
    return replace(
        base,
        method=replace(
            base.method,
            backbone=BackboneConfig("resnet18", channels=(20, 40, 80, 128), pyramid=64),
            framing=Framing(size=(128, 128)),
            depth_range=2000.0,
        ),
        skeleton=H36M,
        augmentation=SYNTHETIC_AUGMENTATION,
        training=replace(base.training, epochs=40),
    )


def wholebody_synthetic() -> Experiment:
    """SAR, 133 joints of synthetic people: RegNetX-200MF with a feature pyramid, 144x192, from scratch; for a CPU.

    vitruvian train sar/wholebody_synthetic

    Scored by parts on scenes of motion that is kept for scoring, and on photos:

    vitruvian data synthetic --joints coco_wholebody --held-back --count 500 --output scenes
    vitruvian evaluate --weights runs/sar/wholebody_synthetic/best.safetensors --data scenes/annotations.json
    vitruvian evaluate --weights runs/sar/wholebody_synthetic/best.safetensors --data coco_wholebody_val_v1.0.json

    `--training.start-from person` begins with a backbone that has seen photos.

    Published: this is not a row of a paper.
    Cost: a core draws 24 people a second, another learns from 26: 50 minutes if both are free (not run to its end).
    Measured here: not trained.
    """
    return synthetic_budget(person_start().method)


def own() -> Experiment:
    """SAR for keypoints of one's own: the network `person` with a head for other joints, 128x128; for a CPU.

    vitruvian train --data my.json

    picks epochs and batches that fit the data. With all of this recipe's own:

    vitruvian train sar/own --data my.json --joints data --dataset.val-share 0.15

    Published: this is not a row of the paper.
    Cost: docs/own_keypoints.md.
    Measured here: docs/own_keypoints.md.
    """
    base = person()
    training = replace(base.training, epochs=60, learning_rate=1e-3, ema=0.99, score_every=12, start_from="person")
    return replace(base, training=replace(training, metric="box_pck@0.1"), seed=0)


def h36m_resnet50() -> Experiment:
    """SAR in space, ResNet-50 with three deconvolutions, 256x256, Human3.6M with MPII mixed in.

    vitruvian train sar/h36m_resnet50 --data Sample_5_train_Human36M_protocol_2.json --dataset.extra
    mpii/annotations/train.json --dataset.val-path Sample_64_test_Human36M_protocol_2.json --processes 4

    The authors have released no code of it: what the paper leaves open follows RLE's.

    Published: the main paper's table of Human3.6M; its figures were not at hand when this was written.
    Cost: 140 epochs on 4 GPUs x 64; hours not published.
    Measured here: not trained.
    """
    return h36m(Config(backbone=IMAGENET_RESNET50, flip="exact"))
