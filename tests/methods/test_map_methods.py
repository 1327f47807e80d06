"""The baselines: perfect maps decode to the truth, losses are what they say, published names find their place."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from vitruvian.backbones import BackboneConfig
from vitruvian.errors import InputError
from vitruvian.experiment import Method, View
from vitruvian.geometry import Framing
from vitruvian.methods.heatmap import method as heatmap
from vitruvian.methods.heatmap import weights as heatmap_weights
from vitruvian.methods.heatmap.method import Heatmap
from vitruvian.methods.heatmap_offset import method as heatmap_offset
from vitruvian.methods.heatmap_offset.method import HeatmapOffset, combined_losses
from vitruvian.methods.integral import method as integral
from vitruvian.methods.integral import weights as integral_weights
from vitruvian.methods.integral.method import Integral, integrate, jensen_shannon
from vitruvian.methods.regression import method as regression
from vitruvian.methods.regression import weights as regression_weights
from vitruvian.methods.regression.method import Regression
from vitruvian.sample import Batch, People
from vitruvian.skeletons import Skeleton

SIZE = (96, 128)  # width, height
SKELETON = Skeleton("three", ("nose", "left", "right"), (), (0, 2, 1), (0.05,) * 3)
SMALL = BackboneConfig("resnet18", channels=(4, 6, 8, 12))
NAN = float("nan")


def built(kind: type[Method], **changes) -> Method:
    """A small network: maps of 24 x 32 cells."""
    torch.manual_seed(0)
    config = kind.Config()
    changes = {"backbone": SMALL, "framing": replace(config.framing, size=SIZE), **changes}
    if hasattr(config, "deconv_channels"):
        changes = {"deconv_channels": (8, 7, 6), "deconv_kernels": (4, 3, 2), **changes}
    return kind(replace(config, **changes), SKELETON).eval()


def batch_of(points, visibility=((2, 1, 2), (2, 2, 2))) -> Batch:
    count = len(points)
    return Batch(
        inputs=torch.zeros(count, 3, SIZE[1], SIZE[0], dtype=torch.uint8),
        everyone=People(
            keypoints=torch.tensor(points),
            visibility=torch.tensor(visibility, dtype=torch.int8),
            boxes=torch.zeros(count, 4),
            areas=torch.ones(count),
            ignored=torch.zeros(count, dtype=torch.bool),
        ),
        counts=(1,) * count,
        to_original=torch.eye(3, dtype=torch.float64).expand(count, 3, 3),
        photo_sizes=torch.tensor(SIZE, dtype=torch.float64).expand(count, 2),
        image_ids=tuple(range(count)),
    )


POINTS = [[[30.4, 40.1], [61.3, 70.2], [50.0, 99.5]], [[40.9, 31.0], [71.2, 88.8], [23.7, 55.1]]]


@pytest.mark.parametrize(
    ("codec", "affine", "error"),
    [("msra", "pixel", 2.1), ("dark", "pixel", 0.01), ("dark", "udp", 0.01), ("udp", "udp", 0.4)],
)
def test_perfect_heatmaps_decode_to_the_truth(codec, affine, error):
    method = built(Heatmap, codec=codec, framing=Framing(size=SIZE, affine=affine))
    targets = method.targets(batch_of(POINTS))
    assert targets.heatmaps.shape == (2, 3, 32, 24)
    decoded = method.decode(heatmap.Maps(targets.heatmaps))
    assert decoded.points.shape == (2, 1, 3, 2)
    assert (decoded.points[:, 0] - torch.tensor(POINTS)).abs().max() < error
    assert decoded.joint_scores.min() > 0.9
    torch.testing.assert_close(decoded.scores, decoded.joint_scores.mean(2))


def test_perfect_discs_and_offsets_decode_to_the_truth():
    method = built(HeatmapOffset)
    targets = method.targets(batch_of(POINTS))
    assert targets.combined.shape == (2, 3, 3, 32, 24)
    decoded = method.decode(heatmap_offset.Maps(targets.combined))
    torch.testing.assert_close(decoded.points[:, 0], torch.tensor(POINTS), atol=1e-3, rtol=0)


@pytest.mark.parametrize("affine", ["pixel", "udp"])
def test_perfect_coordinates_decode_to_the_truth(affine):
    framing = Framing(size=SIZE, affine=affine)
    kinds = ((Regression, regression.Maps), (Integral, integral.Maps))
    for method, maps in ((built(kind, framing=framing), maps) for kind, maps in kinds):
        targets = method.targets(batch_of(POINTS))
        decoded = method.decode(maps(*(targets.points, None)[: len(maps._fields)]))
        torch.testing.assert_close(decoded.points[:, 0], torch.tensor(POINTS))
        assert decoded.joint_scores.eq(1).all()


@pytest.mark.parametrize("debias", [False, True])
def test_a_sharp_map_integrates_to_its_peak(debias):
    logits = torch.zeros(2, 3, 32, 24)
    logits[..., 10, 6] = 90.0  # exp(90) is no float32
    maps = integrate(logits, 1.0, debias)
    torch.testing.assert_close(maps.points, torch.tensor([6 / 24, 10 / 32]).expand(2, 3, 2))


@pytest.mark.parametrize("affine", ["pixel", "udp"])
def test_a_map_integrates_to_the_place_that_its_gaussian_was_drawn_about(affine):
    method = built(Integral, map_loss="mse", sigma=1.0, framing=Framing(size=SIZE, affine=affine))
    (width, height), (w, h) = SIZE, method.map_size
    places = torch.tensor([[[5.0, 6], [14, 20], [18, 25]]])  # cells
    steps = torch.tensor([(width - 1) / (w - 1), (height - 1) / (h - 1)] if affine == "udp" else [4.0, 4.0])
    targets = method.targets(batch_of((places * steps).tolist(), visibility=((2, 2, 2),)))
    maps = integrate(targets.probabilities.clamp_min(1e-30).log(), 1.0, False)
    torch.testing.assert_close(maps.points, targets.points, atol=1e-4, rtol=0)
    torch.testing.assert_close(method.decode(maps).points[:, 0], places * steps, atol=1e-2, rtol=0)


def test_a_joint_that_is_not_there_is_not_learnt():
    points = [[[30.0, 40.0], [NAN, NAN], [30.0, 30.0]], [[-60.0, 3.0], [-2.0, 50.0], [95.0, 127.0]]]
    batch = batch_of(points, visibility=((2, 2, 0), (1, 1, 1)))
    assert built(Heatmap).targets(batch).weights.tolist() == [[1, 0, 0], [0, 1, 1]]  # the Gaussian reaches the map
    assert built(HeatmapOffset).targets(batch).weights.tolist() == [[1, 0, 0], [1, 1, 1]]  # there may be offsets
    for method in (built(Regression), built(Integral, map_loss="jensen_shannon")):
        targets = method.targets(batch)
        assert targets.weights.tolist() == [[1, 0, 0], [0, 0, 1]]
        assert all(tensor.isfinite().all() for tensor in targets)


@pytest.mark.parametrize("kind", [Heatmap, HeatmapOffset, Integral, Regression])
@pytest.mark.parametrize("affine", ["pixel", "udp"])
def test_a_mirrored_view_agrees_with_the_plain_one(kind, affine):
    """A network that sees a mirrored person where there is one: both views together say what the plain one says."""
    method = built(kind, framing=Framing(size=SIZE, affine=affine))
    mirrored = torch.tensor(POINTS)[:, [0, 2, 1]]
    mirrored[..., 0] = SIZE[0] - 1 - mirrored[..., 0]
    answers = [method.targets(batch_of(points)) for points in (POINTS, mirrored.tolist())]
    tensors = [torch.cat([one[0], two[0]]) for one, two in [answers]]
    if kind is Integral:
        tensors.append(torch.zeros(4, 3, 32, 24))
    maps = type(method(torch.zeros(1, 3, *SIZE[::-1])))(*tensors)
    method.forward = lambda inputs, inside=None: type(maps)(*(tensor[: len(inputs)] for tensor in maps))
    plain, flipped = View(torch.zeros(2, 3, 5, 7)), View(torch.zeros(2, 3, 5, 7), mirrored=True)
    alone, both = method.predict([plain]), method.predict([plain, flipped])
    # Gaussians stand on whole cells of 4 px; and where cell = pixel / stride, a mirror's maps do not fall on them.
    exact = kind in (Integral, Regression) or (kind is HeatmapOffset and affine == "udp")
    assert (alone.points - both.points).abs().max() < (1e-3 if exact else 2.0)


def test_combined_losses_count_offsets_within_the_disc():
    maps, target = torch.zeros(2, 3, 3, 4, 5), torch.zeros(2, 3, 3, 4, 5)
    target[:, :, 0, 1, 2] = 1
    target[:, :, 1:, :, :] = 7
    weights = torch.tensor([[1.0, 0, 1], [1, 1, 1]])
    maps[:, :, 0] = target[:, :, 0]
    maps[0, 0, 0, 0, 0] = 2  # off by 2 in the disc
    maps[0, 1] = 9  # of weight 0
    maps[:, :, 1:, 1, 2] = 7
    maps[1, 2, 1, 1, 2] = 10  # off by 3 in x
    disc, offset = combined_losses(maps, target, weights)
    torch.testing.assert_close(disc, torch.tensor(4 / 120 / 2))
    torch.testing.assert_close(offset, torch.tensor(9 / 120 / 2))


def test_jensen_shannon_between_its_bounds():
    peaks = torch.zeros(2, 3, 4, 5)
    peaks[..., 1, 2] = 1
    weights = torch.ones(2, 3)
    assert jensen_shannon(peaks, peaks, weights) == 0
    apart = jensen_shannon(peaks, peaks.roll(1, -1), weights)
    torch.testing.assert_close(apart, 3 * torch.tensor(2.0).log())  # log 2 for each of three keypoints


def test_jensen_shannon_has_a_gradient_where_a_map_is_empty():
    logits = torch.randn(2, 3, 4, 5).requires_grad_()
    target = torch.zeros(2, 3, 4, 5)
    target[0, :, 1, 2] = 1
    weights = torch.tensor([[1.0, 0, 1], [0, 0, 0]])
    jensen_shannon(integrate(logits, 1.0, False).probabilities, target, weights).backward()
    assert logits.grad.isfinite().all()
    assert logits.grad[0, 0].any()
    assert logits.grad[0, 1].eq(0).all()
    assert logits.grad[1].eq(0).all()


def published(method: Method, rename) -> dict[str, torch.Tensor]:
    """The method's tensors as if somebody else had published them."""
    values = {name: torch.rand_like(value) for name, value in method.state_dict().items() if value.is_floating_point()}
    counts = {name: value for name, value in method.state_dict().items() if not value.is_floating_point()}
    return {
        rename(name.replace("backbone.network.", "backbone.")): value for name, value in {**values, **counts}.items()
    }


@pytest.mark.parametrize(
    ("kind", "weights", "rename", "more"),
    [
        (Heatmap, heatmap_weights, lambda name: name, {"data_preprocessor.mean": 3}),
        (Heatmap, heatmap_weights, lambda name: name.replace("head.", "keypoint_head."), {}),
        (Heatmap, heatmap_weights, lambda name: name.split(".", 1)[1], {}),  # SimpleBaseline's own file
        (Integral, integral_weights, lambda name: name.replace("head.", "head.simplebaseline_head."), {}),
        (Integral, integral_weights, lambda name: name, {"head.linspace_x": 24, "head.linspace_y": 32}),
        (Regression, regression_weights, lambda name: name, {"backbone.fc.weight": 7}),
    ],
)
def test_published_names_find_their_place(kind, weights, rename, more):
    method = built(kind)
    state = published(method, rename)
    fitted = weights.from_reference({**state, **{name: torch.zeros(n) for name, n in more.items()}}, method)
    assert set(fitted.dropped) == set(more)
    assert not fitted.kept
    method.load_state_dict(fitted.state)
    (head,) = [name for name in state if name.endswith(("final_layer.weight", "fc.weight"))]
    ours = method.head.fc if kind is Regression else method.head.final_layer
    assert torch.equal(ours.weight, state[head])


def test_a_file_of_another_network_is_refused():
    method = built(Heatmap)
    state = published(method, lambda name: name)
    state["head.extra.weight"] = state.pop("head.final_layer.weight")
    with pytest.raises(InputError, match=r"head\.final_layer\.weight.*head\.extra\.weight"):
        heatmap_weights.from_reference(state, method)
