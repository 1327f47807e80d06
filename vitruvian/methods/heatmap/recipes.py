"""The published rows of SimpleBaseline, HRNet, DARK, UDP and ViTPose heatmaps as runnable experiments.

Where nothing else is said, figures are those of MMPose's models on val, which ours are held to: COCO and whole body AP
with a detector's boxes and flip test, MPII PCKh. None has been trained here; networks, losses and decoding reproduce
MMPose's numbers (tests/test_parity.py). Batch sizes are for each of 8 GPUs: on one, `--training.accumulate 8` takes
the place of `--processes 8`.
"""

from __future__ import annotations

from dataclasses import replace

from vitruvian.augment import Augmentation
from vitruvian.backbones import BackboneConfig
from vitruvian.budgets import lspet, lspet_cpu
from vitruvian.budgets import wholebody_synthetic as synthetic_budget
from vitruvian.experiment import Experiment, Training
from vitruvian.geometry import Framing
from vitruvian.methods.heatmap.method import Config
from vitruvian.skeletons import COCO, COCO_WHOLEBODY, MPII


def coco_resnet50() -> Experiment:
    """SimpleBaseline, ResNet-50, 256x192, COCO.

    vitruvian train heatmap/coco_resnet50 --data person_keypoints_train2017.json --processes 8

    Published: AP 71.8 (MMPose's COCO table).
    Cost: 210 epochs on 8 GPUs x 64; hours not published.
    Measured here: not trained.
    """
    return Experiment(
        method=Config(backbone=BackboneConfig("resnet50", weights="imagenet")),
        skeleton=COCO,
        training=Training(warmup_steps=500),
    )


def coco_resnet50_384() -> Experiment:
    """SimpleBaseline, ResNet-50, 384x288, COCO.

    vitruvian train heatmap/coco_resnet50_384 --data person_keypoints_train2017.json --processes 8

    Published: AP 73.1 (MMPose's COCO table).
    Cost: 210 epochs on 8 GPUs x 64; hours not published.
    Measured here: not trained.
    """
    return _at_384(coco_resnet50())


def coco_resnet50_dark() -> Experiment:
    """SimpleBaseline with DARK, ResNet-50, 256x192, COCO.

    vitruvian train heatmap/coco_resnet50_dark --data person_keypoints_train2017.json --processes 8

    Published: AP 72.4 (MMPose's COCO table).
    Cost: 210 epochs on 8 GPUs x 64; hours not published.
    Measured here: not trained.
    """
    return _dark(coco_resnet50())


def coco_resnet50_ablation() -> Experiment:
    """SimpleBaseline as SAR's ablations train it (SAR, supplement): ResNet-50, 256x192, COCO, 2 GPUs x 160.

    vitruvian train heatmap/coco_resnet50_ablation --data person_keypoints_train2017.json --processes 2

    Evaluate as its rows do, with annotated boxes and no flip test:

    vitruvian evaluate --weights runs/heatmap/coco_resnet50_ablation/best.safetensors --data
    person_keypoints_val2017.json --no-flip

    Published: the main paper's Tables 1 and 2 and Figure 3; their figures were not at hand when this was written.
    Cost: 140 epochs on 2 GPUs x 160; hours not published.
    Measured here: not trained.
    """
    training = Training(epochs=140, batch_size=160, learning_rate=1e-3, milestones=(90, 120))
    return replace(coco_resnet50(), training=training)


def coco_hrnet_w32() -> Experiment:
    """HRNet-W32, 256x192, COCO.

    vitruvian train heatmap/coco_hrnet_w32 --data person_keypoints_train2017.json --processes 8

    Published: AP 74.9 (MMPose's COCO table).
    Cost: 210 epochs on 8 GPUs x 64; hours not published.
    Measured here: not trained.
    """
    return _hrnet(coco_resnet50(), "hrnet_w32")


def coco_hrnet_w32_384() -> Experiment:
    """HRNet-W32, 384x288, COCO.

    vitruvian train heatmap/coco_hrnet_w32_384 --data person_keypoints_train2017.json --processes 8

    Published: AP 76.1 (MMPose's COCO table).
    Cost: 210 epochs on 8 GPUs x 64; hours not published.
    Measured here: not trained.
    """
    return _at_384(coco_hrnet_w32())


def coco_hrnet_w48() -> Experiment:
    """HRNet-W48, 256x192, COCO.

    vitruvian train heatmap/coco_hrnet_w48 --data person_keypoints_train2017.json --processes 8

    Published: AP 75.6 (MMPose's COCO table).
    Cost: 210 epochs on 8 GPUs x 32; hours not published.
    Measured here: not trained.
    """
    return _hrnet(coco_resnet50(), "hrnet_w48")


def coco_hrnet_w48_384() -> Experiment:
    """HRNet-W48, 384x288, COCO.

    vitruvian train heatmap/coco_hrnet_w48_384 --data person_keypoints_train2017.json --processes 8

    Published: AP 76.7 (MMPose's COCO table).
    Cost: 210 epochs on 8 GPUs x 32; hours not published.
    Measured here: not trained.
    """
    return _at_384(coco_hrnet_w48())


def coco_hrnet_w48_dark() -> Experiment:
    """HRNet-W48 with DARK, 256x192, COCO.

    vitruvian train heatmap/coco_hrnet_w48_dark --data person_keypoints_train2017.json --processes 8

    Published: AP 76.4 (MMPose's COCO table).
    Cost: 210 epochs on 8 GPUs x 32; hours not published.
    Measured here: not trained.
    """
    return _dark(coco_hrnet_w48())


def coco_hrnet_w48_dark_384() -> Experiment:
    """HRNet-W48 with DARK, 384x288, COCO.

    vitruvian train heatmap/coco_hrnet_w48_dark_384 --data person_keypoints_train2017.json --processes 8

    Published: AP 77.2 (MMPose's COCO table).
    Cost: 210 epochs on 8 GPUs x 32; hours not published.
    Measured here: not trained.
    """
    return _at_384(_dark(coco_hrnet_w48()))


def coco_hrnet_w48_udp() -> Experiment:
    """HRNet-W48 with UDP, 256x192, COCO.

    vitruvian train heatmap/coco_hrnet_w48_udp --data person_keypoints_train2017.json --processes 8

    Published: AP 76.8 (MMPose's COCO table).
    Cost: 210 epochs on 8 GPUs x 32; hours not published.
    Measured here: not trained.
    """
    return _udp(coco_hrnet_w48())


def coco_hrnet_w48_udp_384() -> Experiment:
    """HRNet-W48 with UDP, 384x288, COCO.

    vitruvian train heatmap/coco_hrnet_w48_udp_384 --data person_keypoints_train2017.json --processes 8

    Published: AP 77.3 (MMPose's COCO table).
    Cost: 210 epochs on 8 GPUs x 32; hours not published.
    Measured here: not trained.
    """
    return _at_384(_udp(coco_hrnet_w48()))


def coco_vit_small() -> Experiment:
    """ViTPose-S, 256x192, COCO, from an MAE-pretrained transformer.

    vitruvian train heatmap/coco_vit_small --data person_keypoints_train2017.json --method.backbone.weights
    mae_pretrained_vit_small.pth --processes 8

    Published: AP 73.9 (MMPose); AP 72.4, AP50 92.1, AP75 80.8 (SAR, supplement, ViT table, row "heatmap").
    Cost: 210 epochs on 8 GPUs x 64; hours not published.
    Measured here: not trained.
    """
    base = _udp(coco_resnet50())
    method = replace(
        base.method,
        backbone=BackboneConfig("vit_small", drop_path=0.1),
        deconv_channels=(256, 256),
        deconv_kernels=(4, 4),
    )
    training = replace(base.training, optimizer="adamw", weight_decay=0.1, layer_decay=0.8, clip_norm=1.0)
    return replace(base, method=method, training=training)


def mpii_resnet50() -> Experiment:
    """SimpleBaseline, ResNet-50, 256x256, MPII.

    vitruvian train heatmap/mpii_resnet50 --data mpii_train.json --processes 8

    Published: PCKh@0.5 88.2, PCKh@0.1 28.6 (MMPose); 87.1, 25.4 (SAR, supplement, MPII table).
    Cost: 210 epochs on 8 GPUs x 64; hours not published.
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


def mpii_hrnet_w48() -> Experiment:
    """HRNet-W48, 256x256, MPII.

    vitruvian train heatmap/mpii_hrnet_w48 --data mpii_train.json --processes 8

    Published: PCKh@0.5 90.1, PCKh@0.1 33.7 (MMPose; SAR, supplement, MPII table).
    Cost: 210 epochs on 8 GPUs x 32; hours not published.
    Measured here: not trained.
    """
    return _hrnet(mpii_resnet50(), "hrnet_w48")


def wholebody_resnet50() -> Experiment:
    """SimpleBaseline, ResNet-50, 384x288, COCO-WholeBody.

    vitruvian train heatmap/wholebody_resnet50 --data coco_wholebody_train_v1.0.json --processes 8

    Published: AP 57.4 of the whole body (MMPose's COCO-WholeBody table).
    Cost: 210 epochs on 8 GPUs x 64; hours not published.
    Measured here: not trained.
    """
    return replace(coco_resnet50_384(), skeleton=COCO_WHOLEBODY)


def wholebody_hrnet_w48() -> Experiment:
    """HRNet-W48, 384x288, COCO-WholeBody.

    vitruvian train heatmap/wholebody_hrnet_w48 --data coco_wholebody_train_v1.0.json --processes 8

    Published: AP 63.2 of the whole body; body 72.2, feet 69.6, face 77.6, hands 58.7 (MMPose's COCO-WholeBody
    table).
    Cost: 210 epochs on 8 GPUs x 32; hours not published.
    Measured here: not trained.
    """
    return replace(coco_hrnet_w48_384(), skeleton=COCO_WHOLEBODY)


def lspet_resnet18() -> Experiment:
    """Heatmaps in the comparison on LSPET: ResNet-18 from scratch, 128x128, 20 epochs; for a GPU.

    vitruvian train heatmap/lspet_resnet18 --data lspet/annotations/train.json --dataset.val-path
    lspet/annotations/val.json

    Published: this is not a row of a paper.
    Cost: not measured; meant for a GPU.
    Measured here: not trained; see `lspet_resnet18_cpu`.
    """
    return lspet(Config(sigma=1.5))


def lspet_resnet18_cpu() -> Experiment:
    """Heatmaps in the comparison on LSPET: ResNet-18 from scratch, 96x96, 3,000 photos, 5 epochs; for a CPU.

    vitruvian train heatmap/lspet_resnet18_cpu --data lspet/annotations/train.json --dataset.val-path
    lspet/annotations/val.json

    Published: this is not a row of a paper.
    Cost: about ten minutes on one core of a CPU.
    Measured here: docs/comparison.md.
    """
    return lspet_cpu(Config(sigma=1.0))


def wholebody_synthetic() -> Experiment:
    """Heatmaps, 133 joints of synthetic people: RegNetX-200MF with a pyramid and a deconvolution, 144x192; for a CPU.

    vitruvian train heatmap/wholebody_synthetic

    Scored by parts on scenes of motion that is kept for scoring, and on photos:

    vitruvian data synthetic --joints coco_wholebody --held-back --count 500 --output scenes
    vitruvian evaluate --weights runs/heatmap/wholebody_synthetic/best.safetensors --data scenes/annotations.json
    vitruvian evaluate --weights runs/heatmap/wholebody_synthetic/best.safetensors --data coco_wholebody_val_v1.0.json

    `--training.start-from person` begins with a backbone that has seen photos.

    Published: this is not a row of a paper.
    Cost: a core draws 24 people a second, another learns from 25: 50 minutes if both are free (not run to its end).
    Measured here: not trained.
    """
    return synthetic_budget(Config(deconv_channels=(64,), deconv_kernels=(4,), codec="dark", sigma=1.5, blur=7))


def _hrnet(base: Experiment, name: str) -> Experiment:
    method = replace(
        base.method,
        backbone=BackboneConfig(name, weights="imagenet"),
        deconv_channels=(),
        deconv_kernels=(),
    )
    batch_size = {"hrnet_w32": 64, "hrnet_w48": 32}[name]
    return replace(base, method=method, training=replace(base.training, batch_size=batch_size))


def _at_384(base: Experiment) -> Experiment:
    framing = replace(base.method.framing, size=(288, 384))
    return replace(base, method=replace(base.method, framing=framing, sigma=3.0, blur=17))


def _dark(base: Experiment) -> Experiment:
    return replace(base, method=replace(base.method, codec="dark"))


def _udp(base: Experiment) -> Experiment:
    framing = replace(base.method.framing, affine="udp")
    return replace(base, method=replace(base.method, codec="udp", framing=framing))
