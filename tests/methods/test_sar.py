"""SAR: its losses against the direct sums, their memory, initial biases, targets, decoding, flips and sizes."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks
from torch.utils._python_dispatch import TorchDispatchMode

from vitruvian.backbones import BackboneConfig
from vitruvian.errors import InputError
from vitruvian.experiment import View
from vitruvian.geometry import Affine, Framing
from vitruvian.methods.sar.loss import expected_quality_loss, quality_focal_loss
from vitruvian.methods.sar.method import SAR, Config
from vitruvian.methods.sar.network import Maps, SARHead, cell_locations
from vitruvian.methods.sar.weights import from_reference
from vitruvian.sample import Batch, People
from vitruvian.skeletons import COCO, COCO_WHOLEBODY, LSP

SMALL = BackboneConfig("resnet18", channels=(8, 12, 16, 24))
PRIOR = -math.log(0.99 / 0.01)


def random_maps(b: int = 2, k: int = 3, h: int = 5, w: int = 7, dtype: torch.dtype = torch.float32):
    """Logits, opinions, the V = 4 places that count, and their labels."""
    torch.manual_seed(0)
    selector = torch.randn(b, k, h, w, dtype=dtype) * 3
    keypoints = cell_locations(selector) + torch.randn(b, k, 2, h, w, dtype=dtype) * 0.1
    return selector, keypoints, torch.tensor([0, 2, 3, 5]), torch.rand(4, 2, dtype=dtype)


def direct_loss(selector: Tensor, keypoints: Tensor, visible: Tensor, labels: Tensor) -> Tensor:
    """The paper's sum as it stands there, with the authors' constants, both axes in one tensor."""
    confidence = selector.sigmoid().flatten(0, 1)[visible].flatten(1)
    opinions = keypoints.flatten(0, 1)[visible].flatten(2).transpose(1, 2)  # (V, cells, 2)
    quality = torch.exp(-16 * (opinions - labels[:, None]).abs().sum(2))
    weights = confidence / confidence.sum(1, keepdim=True)
    return -torch.log((weights * quality).sum(1) + 1e-6).mean()


def test_the_loss_is_the_direct_sum() -> None:
    maps = random_maps()
    exact = direct_loss(*(value.double() if value.is_floating_point() else value for value in maps))
    assert expected_quality_loss(*maps).item() == pytest.approx(exact.item(), rel=1e-6)
    selector = torch.tensor([0.0, math.log(1 / 3)]).reshape(1, 1, 1, 2)  # confidences 1/2 and 1/4
    keypoints = torch.tensor([[0.2, 0.5], [0.4, 0.65]]).reshape(1, 1, 2, 1, 2)
    loss = expected_quality_loss(selector, keypoints, torch.tensor([0]), torch.tensor([[0.5, 0.4]]))
    # |.2 - .5| + |.4 - .4| = .3 and |.5 - .5| + |.65 - .4| = .25
    by_hand = -math.log((0.5 * math.exp(-16 * 0.3) + 0.25 * math.exp(-16 * 0.25)) / 0.75 + 1e-6)
    assert loss.item() == pytest.approx(by_hand, rel=1e-5)


def test_in_space_unknown_depths_are_not_asked_for() -> None:
    selector, keypoints, visible, labels = random_maps(dtype=torch.float64)
    depths = torch.randn(2, 3, 1, 5, 7, dtype=torch.float64) * 0.1
    in_space = torch.cat([keypoints, depths], 2).requires_grad_()
    unknown = torch.tensor([False, True, False, False])
    of_labels = torch.where(unknown, torch.nan, torch.rand(4))
    loss = expected_quality_loss(selector, in_space, visible, torch.cat([labels, of_labels[:, None]], 1))
    loss.backward()
    total = 0.0
    for place, label, depth in zip(visible.tolist(), labels, of_labels):
        own = [value.flatten(0, 1)[place] for value in (selector, keypoints, depths)]
        distance = (own[1] - label[:, None, None]).abs().sum(0)
        if not depth.isnan():
            distance = distance + (own[2][0] - depth).abs()
        confidence = own[0].sigmoid()
        total -= torch.log((confidence / confidence.sum() * torch.exp(-16 * distance)).sum() + 1e-6).item()
    assert loss.item() == pytest.approx(total / 4, rel=1e-5)
    assert in_space.grad is not None
    gradient = in_space.grad.flatten(0, 1)[visible]
    assert gradient.isfinite().all()
    assert (gradient[unknown, 2] == 0).all()
    assert (gradient[~unknown, 2] != 0).any((1, 2)).all()


def test_its_gradient_is_that_of_the_direct_sum() -> None:
    selector, keypoints, visible, labels = random_maps(dtype=torch.float64)
    gradients = []
    for loss in (direct_loss, expected_quality_loss):
        leaves = [value.clone().requires_grad_() for value in (selector, keypoints)]
        (3 * loss(*leaves, visible, labels)).backward()
        gradients.append([leaf.grad for leaf in leaves])
    for exact, ours in zip(*gradients):
        torch.testing.assert_close(ours, exact, rtol=1e-4, atol=1e-6 * float(exact.abs().max()))
        assert (ours.flatten(0, 1)[[1, 4]] == 0).all()  # what is not visible learns nothing
    assert (gradients[1][0].flatten(0, 1)[visible] != 0).any()


def test_it_stays_finite_where_the_direct_sum_underflows() -> None:
    selector, keypoints, visible, labels = random_maps()
    unsure = (selector - 150).requires_grad_()  # sigmoid gives 0 in float32
    assert not direct_loss(unsure, keypoints, visible, labels).isfinite()
    exact = direct_loss(unsure.double(), keypoints.double(), visible, labels.double())
    loss = expected_quality_loss(unsure, keypoints, visible, labels)
    assert loss.item() == pytest.approx(exact.item(), rel=1e-5)
    loss.backward()
    assert unsure.grad is not None
    assert unsure.grad.isfinite().all()
    assert (unsure.grad != 0).any()
    far = keypoints + 50  # opinions so far off that nothing is left of them: the cap
    assert expected_quality_loss(selector, far, visible, labels).item() == pytest.approx(-math.log(1e-6), rel=1e-5)


def test_with_nobody_visible_it_is_zero() -> None:
    selector, keypoints, _, _ = random_maps()
    keypoints.requires_grad_()
    nobody = torch.zeros(0, dtype=torch.long)
    loss = expected_quality_loss(selector, keypoints, nobody, torch.zeros(0, 2))
    loss.backward()
    assert loss.item() == 0
    assert keypoints.grad is not None
    assert (keypoints.grad == 0).all()


class LargestTensor(TorchDispatchMode):
    """Remembers the bytes of the largest memory that any operation made."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        results = func(*args, **(kwargs or {}))
        given = {one.untyped_storage().data_ptr() for one in args if isinstance(one, Tensor)}
        for one in results if isinstance(results, tuple | list) else (results,):
            if isinstance(one, Tensor) and one.untyped_storage().data_ptr() not in given:
                self.bytes = max(self.bytes, one.untyped_storage().nbytes())
        return results


def memory(loss, *inputs: Tensor) -> tuple[int, int]:
    """Bytes that a loss keeps for its gradient beside its inputs, and those of the largest tensor that it makes."""
    kept: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    largest = LargestTensor()
    with saved_tensors_hooks(pack, lambda tensor: tensor), largest:
        loss(*inputs)
    return sum(size for place, size in kept.items() if place not in {i.untyped_storage().data_ptr() for i in inputs}), (
        largest.bytes
    )


def test_for_a_whole_body_it_keeps_half_of_what_the_direct_sum_keeps() -> None:
    joints, h, w = COCO_WHOLEBODY.num_joints, 12, 9
    selector, keypoints = torch.randn(2, joints, h, w), torch.rand(2, joints, 2, h, w)
    visible = torch.arange(0, 2 * joints, 2)  # half of the keypoints are visible
    inputs = selector.requires_grad_(), keypoints.requires_grad_(), visible, torch.rand(len(visible), 2)
    one_map_each = len(visible) * h * w * 4
    kept, largest = memory(expected_quality_loss, *inputs)
    kept_directly, largest_directly = memory(direct_loss, *inputs)
    assert largest_directly == 2 * one_map_each
    assert largest == one_map_each
    assert kept < 3.05 * one_map_each
    assert kept < 0.5 * kept_directly


def test_half_precision_never_reaches_the_sum() -> None:
    selector, keypoints, visible, labels = random_maps()
    expected = expected_quality_loss(selector, keypoints, visible, labels)
    for dtype in (torch.bfloat16, torch.float16):
        with torch.autocast("cpu", dtype):
            assert torch.equal(expected_quality_loss(selector, keypoints, visible, labels), expected)
        halved = selector.to(dtype), keypoints.to(dtype)
        given = expected_quality_loss(*halved, visible, labels)
        assert torch.equal(given, expected_quality_loss(halved[0].float(), halved[1].float(), visible, labels))
        logits, heatmaps = selector.flatten(0, 1), torch.rand(6, 5, 7)
        with torch.autocast("cpu", dtype):
            assert torch.equal(quality_focal_loss(logits, heatmaps), quality_focal_loss(logits, heatmaps))
        assert quality_focal_loss(logits.to(dtype), heatmaps).dtype == torch.float32


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_maps_are_whole_precision_under_autocast(dtype: torch.dtype) -> None:
    method, batch = small(), batch_of()
    with torch.autocast("cpu", dtype):
        maps = method(method.normalise(batch.inputs))
        losses = method.loss(maps, method.targets(batch))
    assert {one.dtype for one in (*maps, *losses.values()) if one is not None} == {torch.float32}


def test_the_focal_loss_is_the_sum_over_cells_by_the_number_of_peaks() -> None:
    torch.manual_seed(0)
    logits, heatmaps = torch.randn(3, 5, 7), torch.rand(3, 5, 7) * 0.6
    heatmaps[:, 2, 3], heatmaps[0, 0] = 1.0, 0.0
    total = 0.0
    for z, g in zip(logits.flatten().tolist(), heatmaps.flatten().tolist()):
        p = 1 / (1 + math.exp(-z))
        total -= (g * math.log(p) + (1 - g) * math.log(1 - p)) * (g - p) ** 2
    assert quality_focal_loss(logits, heatmaps).item() == pytest.approx(total / 3, rel=1e-5)
    assert quality_focal_loss(logits[:0], heatmaps[:0]).item() == 0


@pytest.mark.parametrize(
    ("heatmap_branch", "selector_prior", "selector_bias"),
    [(True, False, 0.0), (True, True, PRIOR), (False, False, PRIOR), (False, True, PRIOR)],
)
def test_initial_biases(heatmap_branch: bool, selector_prior: bool, selector_bias: float) -> None:
    head = SARHead(64, 5, (96,), (4,), heatmap_branch, selector_prior)
    biases = {name: value for name, value in head.named_parameters() if name.endswith("conv.bias")}
    torch.testing.assert_close(biases.pop("logit_conv.bias"), torch.full((5,), selector_bias))
    torch.testing.assert_close(biases.pop("offset_conv.bias"), torch.zeros(10))
    if heatmap_branch:
        torch.testing.assert_close(biases.pop("heatmap_conv.bias"), torch.full((5,), PRIOR))
    assert not biases
    weights = torch.cat([p.flatten() for name, p in head.named_parameters() if "conv" in name and p.ndim == 4])
    assert weights.std().item() == pytest.approx(0.001, rel=0.05)


def test_every_cell_speaks_from_its_own_place() -> None:
    x, y = [[0, 0.25, 0.5, 0.75]] * 2, [[0] * 4, [0.5] * 4]
    torch.testing.assert_close(cell_locations(torch.zeros(3, 5, 2, 4)), torch.tensor([x, y]))
    head = SARHead(6, 3).eval()
    torch.nn.init.zeros_(head.offset_conv.weight)
    assert head.offset_conv.bias is not None
    with torch.no_grad():
        head.offset_conv.bias.copy_(torch.tensor([0.1, 0.2, 0.3, 0.4, 0.5, 0.6]))  # x and y of each joint in turn
        keypoints = head(torch.randn(2, 6, 2, 4)).keypoints
    torch.testing.assert_close(keypoints[1, 1, :, 1, 2], torch.tensor([0.5 - 0.3, 0.5 - 0.4]))


def small(size: tuple[int, int] = (64, 96), affine: Affine = "pixel", **changes: Any) -> SAR:
    torch.manual_seed(0)
    options = {"deconv_channels": (12, 8), "deconv_kernels": (4, 4)} | changes
    return SAR(Config(backbone=SMALL, framing=Framing(size=size, affine=affine), **options), LSP)


def batch_of(count: int = 2) -> Batch:
    joints = LSP.num_joints
    points = torch.stack([torch.linspace(5, 58, joints), torch.linspace(90, 4, joints)], -1).repeat(count, 1, 1)
    visibility = torch.full((count, joints), 2, dtype=torch.int8)
    visibility[:, 3], points[:, 3] = 0, torch.nan
    return Batch(
        inputs=torch.zeros(count, 3, 96, 64, dtype=torch.uint8),
        everyone=People(points, visibility, torch.zeros(count, 4), torch.ones(count), torch.zeros(count).bool()),
        counts=(1,) * count,
        to_original=torch.eye(3, dtype=torch.float64).repeat(count, 1, 1),
        photo_sizes=torch.tensor([(64.0, 96.0)] * count),
        image_ids=tuple(range(count)),
    )


def test_keypoints_that_touch_the_grid_are_learnt_from(monkeypatch: pytest.MonkeyPatch) -> None:
    method, batch = small(), batch_of()
    assert method.map_size == (8, 12)
    points = batch.everyone.keypoints
    # A Gaussian of sigma 2 cells of 8 px reaches 6 cells and one more beyond the nearest.
    points[0, 0], points[0, 1], points[0, 2] = torch.tensor([[-50.0, 40], [-70, 40], [30, 96 + 40]])
    targets = method.targets(batch)
    assert targets.visible.tolist() == [0, 2, *range(4, 14), *range(14, 17), *range(18, 28)]
    torch.testing.assert_close(targets.labels[0], torch.tensor([-50 / 64, 40 / 96]))
    torch.testing.assert_close(targets.labels[2], points[0, 4] / torch.tensor([64.0, 96.0]))
    assert targets.heatmaps is not None
    assert targets.heatmaps.shape == (len(targets.visible), 12, 8)
    without = small(heatmap_branch=False)
    monkeypatch.setattr("vitruvian.methods.sar.method.draw_gaussians", None)  # nothing is drawn that nobody needs
    same = without.targets(batch)
    assert same.heatmaps is None
    assert torch.equal(same.visible, targets.visible)
    assert torch.equal(same.labels, targets.labels)


@pytest.mark.parametrize("affine", ["pixel", "udp"])
def test_the_surest_cell_speaks_and_scores_by_its_share(affine: Affine) -> None:
    method = small((16, 12), affine)
    method.map_size = (4, 3)
    selector = torch.full((2, 5, 3, 4), -2.0)
    keypoints = torch.zeros(2, 5, 2, 3, 4)
    selector[1, 2, 1, 3] = 1.5
    keypoints[1, 2, :, 1, 3] = torch.tensor([0.6, 1.1])
    decoded = method.decode(Maps(selector, keypoints, None))
    assert decoded.points.shape == (2, 1, 5, 2)
    wide, high = (16, 12) if affine == "pixel" else (4 * 15 / 3, 3 * 11 / 2)
    torch.testing.assert_close(decoded.points[1, 0, 2], torch.tensor([0.6 * wide, 1.1 * high]))
    low, top = 1 / (1 + math.exp(2)), 1 / (1 + math.exp(-1.5))
    assert decoded.joint_scores[1, 0, 2].item() == pytest.approx(top / (11 * low + top), rel=1e-5)
    assert decoded.joint_scores[0, 0].tolist() == pytest.approx([1 / 12] * 5)  # a flat map
    torch.testing.assert_close(decoded.scores, decoded.joint_scores.mean(2))


def test_scores_are_finite_where_all_confidences_underflow() -> None:
    method = small((16, 12))
    method.map_size = (4, 3)
    selector = torch.full((2, 5, 3, 4), -200.0)
    selector[1, 2, 1, 3] = -200 + math.log(9)
    keypoints = torch.rand(2, 5, 2, 3, 4)
    decoded = method.decode(Maps(selector, keypoints, None))
    assert decoded.joint_scores[0, 0].tolist() == pytest.approx([1 / 12] * 5)
    assert decoded.joint_scores[1, 0, 2].item() == pytest.approx(9 / 20, rel=1e-5)
    torch.testing.assert_close(decoded.points[1, 0, 2], keypoints[1, 2, :, 1, 3] * torch.tensor([16.0, 12]))
    far = method.decode(Maps(selector - 1e4, keypoints, None))
    assert all(one.isfinite().all() for one in far)


@pytest.mark.parametrize("affine", ["pixel", "udp"])
def test_labels_decode_to_where_they_came_from(affine: Affine) -> None:
    method, batch = small(affine=affine), batch_of()
    targets = method.targets(batch)
    width, height = method.map_size
    keypoints = torch.zeros(2 * LSP.num_joints, 2, height, width)
    keypoints[targets.visible] = targets.labels[:, :, None, None].expand(-1, -1, height, width)
    maps = Maps(torch.zeros(2, LSP.num_joints, height, width), keypoints.unflatten(0, (2, -1)), None)
    points = method.decode(maps).points.flatten(0, 2)[targets.visible]
    torch.testing.assert_close(points, batch.everyone.keypoints.flatten(0, 1)[targets.visible], atol=1e-4, rtol=1e-5)


@pytest.mark.parametrize(
    ("deconvolutions", "affine", "flip", "expected"),
    [
        (3, "pixel", "literal", 191),  # stride 4: x' = W - 1 - x, as it should be
        (1, "pixel", "literal", 188),  # stride 16: three pixels off
        (0, "pixel", "literal", 184),  # stride 32: seven
        (3, "udp", "literal", 48 * 191 / 47 * 191 / 192),
        (3, "pixel", "exact", 191),
        (1, "pixel", "exact", 191),
        (0, "pixel", "exact", 191),
        (3, "udp", "exact", 191),
    ],
)
def test_mirrored_views_are_turned_back_literally_or_exactly(deconvolutions, affine, flip, expected) -> None:
    channels, kernels = (8,) * deconvolutions, (4,) * deconvolutions
    method = small((192, 256), affine, flip=flip, deconv_channels=channels, deconv_kernels=kernels)
    assert method.mirror_sum() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("flip", ["literal", "exact"])
def test_a_mirrored_view_is_averaged_with_left_and_right_exchanged(flip) -> None:
    method = small(flip=flip).eval()
    inputs = torch.randn(2, 3, 96, 64)
    views = [View(inputs), View(inputs.flip(3), mirrored=True)]
    with torch.inference_mode():
        plain, flipped = (method.predict([View(view.inputs)]) for view in views)
        both = method.predict(views)
    mirror = list(LSP.mirror)
    x_sum = 63 if flip == "exact" else 64 * (1 - 1 / (4 * 8))
    turned = flipped.points[:, :, mirror] * torch.tensor([-1.0, 1.0]) + torch.tensor([x_sum, 0.0])
    torch.testing.assert_close(both.points, (plain.points + turned) / 2, atol=1e-3, rtol=1e-4)
    scores = (plain.joint_scores + flipped.joint_scores[..., mirror]) / 2
    torch.testing.assert_close(both.joint_scores, scores, atol=1e-5, rtol=1e-4)


def mirrored_maps(maps: Maps, x_sum: float) -> Maps:
    """What a network that commutes with the mirror gives for the mirrored photos; x_sum in fractions of the map."""
    order = list(LSP.mirror)
    keypoints = maps.keypoints.flip(4)[:, order]
    keypoints = torch.stack([x_sum - keypoints[:, :, 0], keypoints[:, :, 1]], 2)
    return Maps(maps.selector.flip(3)[:, order], keypoints, None)


def says(plain: Maps, mirrored: Maps, affine: Affine) -> SAR:
    """SAR with flip "maps" that gives `plain` for views of zeros and `mirrored` for views of ones; a grid of 8 x 12."""
    method = small(affine=affine, flip="maps")

    def forward(inputs: Tensor, inside: Tensor | None = None, targets: Any = None) -> Maps:
        seen = [mirrored if one else plain for one in inputs[::2, 0, 0, 0].tolist()]
        return Maps(torch.cat([one.selector for one in seen]), torch.cat([one.keypoints for one in seen]), None)

    method.forward = forward  # type: ignore[method-assign]
    return method


PLAIN, MIRRORED = View(torch.zeros(2, 3, 4, 4)), View(torch.ones(2, 3, 4, 4), mirrored=True)
X_SUM: dict[Affine, float] = {"pixel": 63 / 64, "udp": 7 / 8}
"""x + x' of a mirror, in fractions of a map of 8 cells for 64 px."""


@pytest.mark.parametrize("affine", ["pixel", "udp"])
def test_merged_maps_of_a_network_that_commutes_with_the_mirror_say_what_the_plain_ones_say(affine: Affine) -> None:
    torch.manual_seed(0)
    selector = torch.randn(2, 14, 12, 8) * 3
    keypoints = cell_locations(selector) + torch.randn(2, 14, 2, 12, 8) * 0.1
    if affine == "pixel":  # here a mirrored cell lands on the next column, which must say the same
        selector[..., 1::2], keypoints[..., 1::2] = selector[..., ::2], keypoints[..., ::2]
        selector[..., 1:], keypoints[..., 1:] = selector[..., :1], keypoints[..., :1]
    maps = Maps(selector, keypoints, None)
    method = says(maps, mirrored_maps(maps, X_SUM[affine]), affine)
    alone, both = method.predict([PLAIN]), method.predict([PLAIN, MIRRORED])
    turned = method.predict([MIRRORED])
    for one in (both, turned):
        torch.testing.assert_close(one.points, alone.points, atol=1e-3, rtol=1e-4)
        torch.testing.assert_close(one.joint_scores, alone.joint_scores)
    torch.testing.assert_close(alone.points, method.decode(maps).points)


@pytest.mark.parametrize("affine", ["pixel", "udp"])
def test_perfect_maps_of_both_views_merge_to_the_truth(affine: Affine) -> None:
    torch.manual_seed(0)
    truth = torch.rand(2, 14, 2)
    at_truth = truth[..., None, None].expand(-1, -1, -1, 12, 8)
    # Each view is sure about the cell nearest to each joint of its own image.
    plain = Maps(-40 * (cell_locations(at_truth[:, :, 0]) - at_truth).abs().sum(2), at_truth, None)
    order = list(LSP.mirror)
    there = torch.stack([X_SUM[affine] - truth[..., 0], truth[..., 1]], -1)[:, order]
    at_mirror = there[..., None, None].expand(-1, -1, -1, 12, 8)
    mirrored = Maps(-40 * (cell_locations(at_mirror[:, :, 0]) - at_mirror).abs().sum(2), at_mirror, None)
    points = says(plain, mirrored, affine).predict([PLAIN, MIRRORED]).points[:, 0]
    whole = torch.tensor([64.0, 96]) if affine == "pixel" else torch.tensor([8 * 63 / 7, 12 * 95 / 11])
    torch.testing.assert_close(points, truth * whole, atol=1e-3, rtol=1e-4)


@pytest.mark.parametrize("surer", ["plain", "mirrored"])
def test_where_views_disagree_the_surer_one_wins(surer: str) -> None:
    """One view says left, the other one right: the answer is one of the two and not the middle between them."""
    left, right = (torch.tensor([x, 0.5]).view(1, 1, 2, 1, 1).expand(2, 14, 2, 12, 8) for x in (0.2, 0.8))
    selectors = {"left": torch.full((2, 14, 12, 8), -6.0), "right": torch.full((2, 14, 12, 8), -6.0)}
    selectors["left"][..., 6, 2], selectors["right"][..., 6, 6] = (4.0, 0.0) if surer == "plain" else (0.0, 4.0)
    as_seen = mirrored_maps(Maps(selectors["right"], right, None), X_SUM["udp"])
    method = says(Maps(selectors["left"], left, None), as_seen, "udp")
    decoded = method.predict([PLAIN, MIRRORED])
    x = 0.2 if surer == "plain" else 0.8
    torch.testing.assert_close(decoded.points[..., 0], torch.full((2, 1, 14), x * 8 * 63 / 7), atol=0.5, rtol=0)
    method.config = replace(method.config, flip="exact")
    middle = method.predict([PLAIN, MIRRORED]).points[..., 0]
    torch.testing.assert_close(middle, torch.full((2, 1, 14), 0.5 * 8 * 63 / 7), atol=1e-3, rtol=0)


@pytest.mark.parametrize("size", [(70, 41), (65, 97), (64, 96)])
def test_the_map_is_as_large_as_it_is_taken_to_be(size: tuple[int, int]) -> None:
    for deconvolutions in (0, 1, 2):
        method = small(size, deconv_channels=(8,) * deconvolutions, deconv_kernels=(4,) * deconvolutions).eval()
        with torch.inference_mode():
            maps = method(torch.randn(2, 3, size[1], size[0]))
        assert maps.selector.shape[2:] == method.map_size[::-1]


@pytest.mark.parametrize(
    ("backbone", "deconvolutions", "millions", "head"),
    [
        ("resnet50", 3, 34.01, 10.50),
        ("resnet50", 0, 23.65, 0.14),
        ("hrnet_w32", 0, 28.54, 0.00),
        ("hrnet_w48", 0, 63.60, 0.00),
        ("vit_small", 2, 24.30, 2.64),
        ("vit_small", 0, 21.69, 0.03),
    ],
)
def test_networks_have_the_published_number_of_parameters(backbone, deconvolutions, millions, head) -> None:
    config = Config(
        BackboneConfig(backbone), deconv_channels=(256,) * deconvolutions, deconv_kernels=(4,) * deconvolutions
    )
    with torch.device("meta"):
        method = SAR(config, COCO)
    weights, of_head = (sum(one.numel() for one in module.parameters()) for module in (method, method.head))
    assert weights / 1e6 == pytest.approx(millions, abs=0.0051)
    assert of_head / 1e6 == pytest.approx(head, abs=0.0051)


def test_on_hrnet_the_head_is_nearly_nothing() -> None:
    counts = [sum(one.numel() for one in SARHead(48, joints).parameters()) for joints in (17, 133)]
    assert counts == [3332, 26068]


def test_released_files_find_their_place() -> None:
    method = small()
    own = method.state_dict()
    torch.manual_seed(1)
    values = {name: torch.randn_like(value) if value.ndim else value for name, value in own.items()}
    reference = {name.replace("backbone.network.", "backbone."): value for name, value in values.items()}
    fitted = from_reference(reference | {"data_preprocessor.mean": torch.zeros(3, 1, 1)}, method)
    assert fitted.state.keys() == own.keys()
    assert fitted.dropped == {"data_preprocessor.mean": "normalisation, which the framing holds"}
    assert all(torch.equal(value, values[name]) for name, value in fitted.state.items())
    with pytest.raises(InputError, match=r"1 left over \(head.final_layer.weight"):
        from_reference(reference | {"head.final_layer.weight": torch.zeros(17, 8, 1, 1)}, method)
    del reference["head.logit_conv.bias"]
    with pytest.raises(InputError, match=r"1 missing \(head.logit_conv.bias\)"):
        from_reference(reference, method)


def test_without_the_heatmap_branch_there_is_one_loss() -> None:
    method, batch = small(heatmap_branch=False), batch_of()
    maps = method(method.normalise(batch.inputs))
    assert maps.heatmap is None
    assert method.loss(maps, method.targets(batch)).keys() == {"expectation"}
    with_branch = small()
    losses = with_branch.loss(with_branch(method.normalise(batch.inputs)), with_branch.targets(batch))
    assert losses.keys() == {"expectation", "heatmap"}
    sharper = replace(method.config, sharpness=32.0)
    method.config = sharper
    assert method.loss(maps, method.targets(batch))["expectation"] != losses["expectation"]
