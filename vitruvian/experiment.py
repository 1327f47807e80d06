"""A run as one frozen tree of plain values, and the contract of five verbs that every method keeps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, NamedTuple, Protocol

import torch
from torch import Tensor, nn

from vitruvian.augment import Augmentation
from vitruvian.errors import expect
from vitruvian.geometry import Framing
from vitruvian.heatmaps import unmirror_points
from vitruvian.images import normalise
from vitruvian.sample import Batch
from vitruvian.skeletons import Skeleton


@dataclass(frozen=True)
class Dataset:
    """What is trained on and what is scored meanwhile.

    Attributes:
        path: annotation file to train on, or "synthetic": people who are drawn as training goes on.
        images: folder of its photos; empty: the usual places beside the file.
        category: in COCO format, whose keypoints are read; empty: the first with keypoints.
        split: of a file that holds several (LSP: train, test; OCHuman: val, test), the one of `path`; empty: all of it.
        val_path: annotation file that is scored while training; empty: none.
        val_images: folder of its photos.
        val_split: as `split`, of `val_path`.
        val_share: without `val_path`, the share of the photos of `path` that is held back and scored; 0: none.
        detections: COCO detection file with the boxes to score; empty: the annotated boxes.
        limit: only the first so many people of `path`; 0: all, of synthetic ones 10,000 an epoch.
        extra: second annotation file, of which people are drawn at random in each epoch, as MPII beside Human3.6M; its
            joints are matched to those that are learnt, and what it does not label, depths say, is not asked for.
        extra_images: folder of its photos; empty: the usual places beside the file.
        extra_share: how many of them there are in an epoch for each person of `path`.
        extra_padding: what their boxes are enlarged by; 0: as those of `path`.
        synthetic: share of an epoch's samples that are synthetic people, beside all those of `path`.
        cutouts: share of the people of `path` who are cut out along their joints and stand before another background.
        poses: motion capture (.npz) that synthetic people are posed by; empty: the poses that come with the package.
        backgrounds: folder of photos that stand behind synthetic and cut out people; empty: drawn backgrounds.
    """

    path: str = ""
    images: str = ""
    category: str = ""
    split: str = ""
    val_path: str = ""
    val_images: str = ""
    val_split: str = ""
    val_share: float = 0.0
    detections: str = ""
    limit: int = 0
    extra: str = ""
    extra_images: str = ""
    extra_share: float = 1.0
    extra_padding: float = 0.0
    synthetic: float = 0.0
    cutouts: float = 0.0
    poses: str = ""
    backgrounds: str = ""

    def __post_init__(self) -> None:
        expect(self.limit >= 0, "limit", self.limit, "0 or more")
        expect(self.extra_share > 0, "extra_share", self.extra_share, "a number above 0")
        expect(self.extra_padding >= 0, "extra_padding", self.extra_padding, "0 or a factor above it")
        if self.extra and self.synthetic:
            raise ValueError("dataset.extra and dataset.synthetic are both given; mix one of them in")
        if self.path == "synthetic":
            mixed = [name for name in ("extra", "synthetic", "cutouts", "val_share") if getattr(self, name)]
            if mixed:
                raise ValueError(
                    f"dataset.{mixed[0]} is {getattr(self, mixed[0])} though all people of dataset.path are drawn; "
                    "take it off, or give a file of people with --data"
                )
        expect(0 <= self.synthetic < 1, "synthetic", self.synthetic, "a share from 0 to below 1")
        expect(0 <= self.cutouts <= 1, "cutouts", self.cutouts, "a share from 0 to 1")
        expect(0 <= self.val_share < 1, "val_share", self.val_share, "a share from 0 to below 1")


@dataclass(frozen=True)
class Training:
    """How a network is trained.

    Attributes:
        epochs: passes over the data.
        batch_size: samples in one step of one process.
        accumulate: steps whose gradients are added up before the weights move.
        optimizer: "adam", "adamw" or "sgd" (with momentum 0.9).
        learning_rate: of the last layers.
        weight_decay: none on biases, norms and position embeddings.
        layer_decay: factor on the learning rate from each layer of a ViT to the one before; 1: none.
        warmup_steps: steps of linear warm-up.
        warmup_factor: share of the learning rate that warm-up starts from.
        schedule: "steps": times `gamma` after each milestone; "cosine": down to 0 at the end.
        milestones: epochs after which the learning rate falls.
        gamma: what it is then multiplied by.
        clip_norm: largest 2-norm of all gradients together; 0: no clipping.
        ema: decay of the moving average of the weights, which is what is scored and kept as best; 0: none.
        precision: "fp32", "bf16" or "fp16" in forward and backward; losses and decoding are always fp32.
        workers: loader processes.
        score_every: epochs between two scorings.
        save_every: steps between two saved states, beside the one at each end of an epoch; 0: none between.
        start_from: checkpoint or shipped network whose weights training starts from, but for a head of other joints;
            empty: the method's own initialisation.
        metric: what the best checkpoint is best in; "box_pck@0.1" is for what is neither body nor face; of MPJPE and
            PA-MPJPE, mm in space, the least is best.
    """

    epochs: int = 210
    batch_size: int = 64
    accumulate: int = 1
    optimizer: Literal["adam", "adamw", "sgd"] = "adam"
    learning_rate: float = 5e-4
    weight_decay: float = 0.0
    layer_decay: float = 1.0
    warmup_steps: int = 0
    warmup_factor: float = 0.001
    schedule: Literal["steps", "cosine"] = "steps"
    milestones: tuple[int, ...] = (170, 200)
    gamma: float = 0.1
    clip_norm: float = 0.0
    ema: float = 0.0
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    workers: int = 4
    score_every: int = 10
    save_every: int = 0
    start_from: str = ""
    metric: Literal["AP", "torso_pck@0.2", "PCKh@0.5", "box_pck@0.1", "MPJPE", "PA-MPJPE"] = "AP"

    def __post_init__(self) -> None:
        least = dict.fromkeys(("epochs", "batch_size", "accumulate", "score_every"), 1)
        least |= dict.fromkeys(("weight_decay", "warmup_steps", "clip_norm", "ema", "workers", "save_every"), 0)
        for name, limit in least.items():
            expect(getattr(self, name) >= limit, name, getattr(self, name), f"{limit} or more")
        expect(self.learning_rate > 0, "learning_rate", self.learning_rate, "a number above 0")
        expect(self.ema < 1, "ema", self.ema, "a number below 1")
        expect(0 <= self.warmup_factor <= 1, "warmup_factor", self.warmup_factor, "a share from 0 to 1")
        for name in ("layer_decay", "gamma"):
            expect(0 < getattr(self, name) <= 1, name, getattr(self, name), "a factor above 0 and up to 1")
        expect(min(self.milestones, default=1) >= 1, "milestones", self.milestones, "epochs from 1 on")


class MethodConfig(Protocol):
    """What every method's Config has: a frozen dataclass of plain values."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def framing(self) -> Framing: ...


def check_crops(framing: Framing) -> None:
    """Raises ValueError unless people come one at a time, which a top-down method's Config asks for."""
    expect(framing.kind == "crop", "framing.kind", repr(framing.kind), "'crop': the method looks at one person a crop")


@dataclass(frozen=True)
class Experiment:
    """All that a run depends on, beside the files that it reads.

    Attributes:
        method: the Config of one of `vitruvian.methods.METHODS`; its type says which.
        skeleton: the joints that are learnt.
        dataset: what is trained on.
        augmentation: how a training view strays from the annotation.
        training: how.
        seed: of initialisation, order and augmentation.
        score: how box and joint scores become a person's score in evaluation.
    """

    method: MethodConfig
    skeleton: Skeleton
    dataset: Dataset = field(default_factory=Dataset)
    augmentation: Augmentation = field(default_factory=Augmentation)
    training: Training = field(default_factory=Training)
    seed: int = 0
    score: Literal["box_keypoint", "box_rle", "box", "keypoint"] = "box_keypoint"

    def __post_init__(self) -> None:
        expect(self.seed >= 0, "seed", self.seed, "0 or more")


class Decoded(NamedTuple):
    """Poses of a batch on its device. Top-down methods have N = 1."""

    points: Tensor  # (B, N, K, 2 or 3) px of the input
    joint_scores: Tensor  # (B, N, K)
    scores: Tensor  # (B, N)


class View(NamedTuple):
    """One way of showing the same photos to a network."""

    inputs: Tensor  # (B, 3, H, W) normalised
    mirrored: bool = False
    inside: Tensor | None = None  # (B, H, W) bool


class Method(nn.Module):
    """The contract of all methods: targets, forward, loss, decode, predict.

    A method is built from its Config and a skeleton, names its tensors in two NamedTuples Maps and Targets, and keeps
    all parameters in forward. Subclasses write the five verbs in this order; there is no second level of inheritance.
    """

    Config: ClassVar[type[Any]]
    drawn_above: ClassVar[float] = 0.2  # joint score from which a joint is likely there, for pictures of predictions
    config: Any
    skeleton: Skeleton
    mirror: Tensor  # (K,) the joint that each joint becomes in a mirror

    def __init__(self, config: MethodConfig, skeleton: Skeleton) -> None:
        super().__init__()
        self.config, self.skeleton = config, skeleton
        self.register_buffer("mirror", torch.tensor(skeleton.mirror), persistent=False)

    def normalise(self, pixels: Tensor) -> Tensor:
        """Pixels (B, 3, H, W) uint8 as the network wants them."""
        framing = self.config.framing
        return normalise(pixels, framing.mean, framing.std)

    def targets(self, batch: Batch) -> Any:
        """What the loss compares with, made from the people on the batch's device."""
        raise NotImplementedError

    def forward(self, inputs: Tensor, inside: Tensor | None = None, targets: Any = None) -> Any:
        """The network: inputs (B, 3, H, W) normalised -> Maps."""
        raise NotImplementedError

    def loss(self, maps: Any, targets: Any) -> dict[str, Tensor]:
        """Weighted terms; training minimises their sum."""
        raise NotImplementedError

    def decode(self, maps: Any) -> Decoded:
        """Maps -> poses in pixels of the input."""
        raise NotImplementedError

    def predict(self, views: Sequence[View]) -> Decoded:
        """Poses of the photos from all their views, in pixels of the first view's input."""
        raise NotImplementedError


def forward_views(method: Method, views: Sequence[View]) -> list[Any]:
    """The Maps of each view; views of one shape go through the network as one batch."""
    first = views[0].inputs.shape
    alike = all(view.inputs.shape == first for view in views)  # one by one: a size to export has no hash for a set
    if not alike or len(views) == 1 or any(view.inside is not None for view in views):
        return [method(view.inputs, view.inside) for view in views]
    maps = method(torch.cat([view.inputs for view in views]))
    parts = [None if tensor is None else tensor.unflatten(0, (len(views), -1)) for tensor in maps]
    return [type(maps)(*(None if part is None else part[i] for part in parts)) for i in range(len(views))]


def merge_decoded(decoded: Sequence[Decoded], views: Sequence[View], mirror: Tensor, x_sum: float) -> Decoded:
    """The mean of what the views decode to, for methods that give coordinates.

    Args:
        decoded: one a view, of the same people in the same order.
        views: which of them are mirrored.
        mirror: (K,) the joint that each joint becomes in a mirror.
        x_sum: x + x' of a point and its mirror, pixels of the input.
    """
    points, joint_scores = [], []
    for one, view in zip(decoded, views):
        points.append(unmirror_points(one.points, mirror, x_sum) if view.mirrored else one.points)
        joint_scores.append(one.joint_scores[..., mirror] if view.mirrored else one.joint_scores)
    scores = torch.stack([one.scores for one in decoded]).mean(0)
    return Decoded(torch.stack(points).mean(0), torch.stack(joint_scores).mean(0), scores)
