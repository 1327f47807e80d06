"""RLE: the flow is invertible and its density exact, the losses are the plain sums, hidden joints leave no trace."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from vitruvian.backbones import BackboneConfig
from vitruvian.checkpoints import InputError
from vitruvian.experiment import View
from vitruvian.geometry import Framing
from vitruvian.methods.rle.flow import RealNVP
from vitruvian.methods.rle.method import AUTHORS_MEAN, AUTHORS_STD, RLE, Config, Maps, Targets
from vitruvian.methods.rle.network import AuthorsHead
from vitruvian.methods.rle.weights import from_reference, ours
from vitruvian.sample import Batch, People
from vitruvian.skeletons import Skeleton

SIZE = (40, 64)  # width, height
SKELETON = Skeleton("three", ("nose", "left", "right"), (), (0, 2, 1), (0.05,) * 3)
FORMS = ("mmpose", "authors")


@pytest.fixture
def flow() -> RealNVP:
    """A flow that has learnt something: its couplings move points by about their own size."""
    torch.manual_seed(0)
    flow = RealNVP(hidden=5)
    for parameter in flow.parameters():
        torch.nn.init.normal_(parameter, std=0.7)
    return flow


def small_rle(form: str = "mmpose", **changes) -> RLE:
    torch.manual_seed(1)
    backbone = BackboneConfig("resnet18", channels=(4, 6, 8, 12))
    return RLE(Config(backbone, Framing(size=SIZE), form=form, **changes), SKELETON)  # type: ignore[arg-type]


def batch_of(points: list, visibility: list) -> Batch:
    """One person a crop."""
    count = len(points)
    return Batch(
        inputs=torch.randint(0, 256, (count, 3, SIZE[1], SIZE[0]), dtype=torch.uint8),
        everyone=People(
            keypoints=torch.tensor(points, dtype=torch.float32),
            visibility=torch.tensor(visibility, dtype=torch.int8),
            boxes=torch.zeros(count, 4),
            areas=torch.ones(count),
            ignored=torch.zeros(count, dtype=torch.bool),
        ),
        counts=(1,) * count,
        to_original=torch.eye(3, dtype=torch.float64).repeat(count, 1, 1),
        photo_sizes=torch.tensor([SIZE] * count, dtype=torch.float64),
        image_ids=tuple(range(count)),
    )


def two_people() -> Batch:
    """Every kind of joint: seen, hidden, not labelled, seen outside the crop, seen at the last pixel, place unknown."""
    nan = math.nan
    return batch_of([[[5, 8], [20, 40], [nan, nan]], [[-3, 9], [39, 63], [nan, nan]]], [[2, 1, 0], [2, 2, 2]])


def test_flow_moves_points(flow: RealNVP) -> None:
    points = torch.randn(7, 2)
    assert (flow.to_latent(points)[0] - points).abs().median() > 0.2


@pytest.mark.parametrize("masks", [((0, 1), (1, 0)) * 3, ((0, 0, 1), (1, 1, 0)) * 2])
def test_flow_knows_its_determinant(masks: tuple) -> None:
    torch.manual_seed(0)
    flow = RealNVP(masks, hidden=5)
    for parameter in flow.parameters():
        torch.nn.init.normal_(parameter, std=0.7)
    for point in torch.randn(5, len(masks[0])):
        jacobian = torch.autograd.functional.jacobian(lambda p: flow.to_latent(p)[0], point)
        torch.testing.assert_close(flow.to_latent(point)[1], torch.linalg.slogdet(jacobian).logabsdet)


def test_flow_is_a_density(flow: RealNVP) -> None:
    axis = torch.linspace(-40, 40, 801)
    grid = torch.stack(torch.meshgrid(axis, axis, indexing="xy"), -1)
    with torch.no_grad():
        mass = flow(grid).exp().sum() * 0.1**2
    assert mass.item() == pytest.approx(1, abs=0.02)


def test_a_new_flow_is_nearly_a_unit_normal() -> None:
    torch.manual_seed(0)
    points = torch.randn(4, 3, 2)
    expected = -0.5 * points.square().sum(-1) - math.log(2 * math.pi)
    torch.testing.assert_close(RealNVP()(points), expected, rtol=0, atol=0.3)


def plain_loss(maps: Maps, targets: Targets, flow: RealNVP, form: str, density: str, residual: bool) -> Tensor:
    """The loss keypoint by keypoint and axis by axis."""
    total = torch.zeros(())
    for b in range(maps.points.shape[0]):
        for k in range(maps.points.shape[1]):
            if targets.weights[b, k] == 0:
                continue
            sigma = maps.sigma_logits[b, k].sigmoid()
            e = (maps.points[b, k] - targets.points[b, k]) / sigma
            log_phi = flow(e)
            for axis in range(2):
                total = total + torch.log(sigma[axis]) - log_phi
                if not residual:
                    continue
                if density == "gaussian":
                    q = torch.exp(-(e[axis] ** 2) / 2) / (sigma[axis] * math.sqrt(2 * math.pi))
                elif form == "mmpose":
                    q = torch.exp(-e[axis].abs()) / (2 * sigma[axis])
                else:
                    q = torch.exp(-e[axis].abs() / math.sqrt(2)) / (sigma[axis] * math.sqrt(2 * math.pi))
                total = total - torch.log(q)
    return total / maps.points.shape[0]


@pytest.mark.parametrize("residual", [True, False])
@pytest.mark.parametrize("density", ["laplace", "gaussian"])
@pytest.mark.parametrize("form", FORMS)
def test_loss_is_the_plain_sum(form: str, density: str, residual: bool) -> None:
    method, batch = small_rle(form, density=density, residual=residual), two_people()
    targets = method.targets(batch)
    maps = method(method.normalise(batch.inputs), None, targets)
    losses = method.loss(maps, targets)
    assert set(losses) == ({"flow", "residual"} if residual else {"flow"})
    expected = plain_loss(maps, targets, method.flow, form, density, residual)
    torch.testing.assert_close(sum(losses.values()), expected)


def test_targets_of_both_forms() -> None:
    batch = two_people()
    for form, second in (("mmpose", [0, 1, 0]), ("authors", [1, 1, 0])):
        targets = small_rle(form).targets(batch)
        assert targets.weights.tolist() == [[1, 1, 0], second]
        assert targets.points.isfinite().all()
        torch.testing.assert_close(targets.points[0, 1], torch.tensor([20 / 40, 40 / 64]))
        torch.testing.assert_close(targets.points[1, 0], torch.tensor([-3 / 40, 9 / 64]))


@pytest.mark.parametrize("form", FORMS)
def test_hidden_joints_leave_no_trace(form: str) -> None:
    """Whatever stands in their label, loss and gradients are the same to the last bit, and finite."""
    method, batch = small_rle(form), two_people()
    inputs = method.normalise(batch.inputs)
    targets = method.targets(batch)

    def loss_and_gradients(labels: Tensor) -> list[Tensor]:
        given = Targets(labels, targets.weights)
        loss = sum(method.loss(method(inputs, None, given), given).values(), torch.zeros(()))
        return [loss, *torch.autograd.grad(loss, list(method.parameters()))]

    expected = loss_and_gradients(targets.points)
    assert all(one.isfinite().all() for one in expected)
    for wild in (math.nan, math.inf, 1e30):
        labels = torch.where(targets.weights[..., None] > 0, targets.points, wild)
        assert all(torch.equal(a, b) for a, b in zip(loss_and_gradients(labels), expected))


def test_a_sigma_of_nothing_stays_finite() -> None:
    """A network that is far too sure, as a diverging one is, gets a finite gradient to come back by."""
    sigma_logits = torch.full((2, 3, 2), -200.0, requires_grad=True)
    points = torch.rand(2, 3, 2, requires_grad=True)
    method = small_rle()
    targets = Targets(torch.rand(2, 3, 2), torch.ones(2, 3))
    with torch.no_grad():
        log_phi = method.flow((points - targets.points) / 1e-9)
    loss = sum(method.loss(Maps(points, sigma_logits, log_phi), targets).values(), torch.zeros(()))
    assert loss.isfinite()
    assert all(g.isfinite().all() for g in torch.autograd.grad(loss, [points, sigma_logits]))


def test_loss_wants_targets_in_forward() -> None:
    method, batch = small_rle(), two_people()
    maps = method(method.normalise(batch.inputs))
    with pytest.raises(ValueError, match="log_phi is None: give the targets to forward too"):
        method.loss(maps, method.targets(batch))


def test_decoding_gives_pixels_and_certainty() -> None:
    method = small_rle()
    maps = Maps(
        torch.tensor([[[0.0, 0.5], [0.25, 0.25], [1.5, -0.5]]]), torch.tensor([[[0.0, 0], [-90, -90], [90, 0]]])
    )
    decoded = method.decode(maps)
    assert decoded.points.tolist() == [[[[0, 32], [10, 16], [60, -32]]]]
    torch.testing.assert_close(decoded.joint_scores, torch.tensor([[[0.5, 1.0, 0.25]]]))
    torch.testing.assert_close(decoded.scores, torch.tensor([[1.75 / 3]]))


@pytest.mark.parametrize("form", FORMS)
def test_a_mirrored_view_is_turned_back(form: str) -> None:
    """A head that knows the truth of both views gives it back: x and its mirror add up to W - 1 pixels."""
    method = small_rle(form)
    truth = torch.tensor([[[3.0, 4.0], [30.0, 60.0], [12.0, 20.0]]])
    mirrored = torch.tensor([[[36.0, 4.0], [27.0, 20.0], [9.0, 60.0]]])
    points = torch.cat([truth, mirrored]) / torch.tensor([40.0, 64.0])
    method.head.forward = lambda features: (points, torch.zeros(2, 3, 2))  # type: ignore[method-assign]
    views = [View(torch.zeros(1, 3, 64, 40)), View(torch.zeros(1, 3, 64, 40), mirrored=True)]
    torch.testing.assert_close(method.predict(views).points[:, 0], truth)


def test_authors_points_do_not_depend_on_the_strength_of_the_features() -> None:
    torch.manual_seed(0)
    head, features = AuthorsHead(6, 3), torch.rand(2, 6, 5, 4)
    points, sigma_logits = head(features)
    again, others = head(7 * features)
    torch.testing.assert_close(again, points)
    assert not torch.allclose(others, sigma_logits)
    pooled = features.mean((2, 3))
    expected = (pooled @ head.fc_coord.weight.T) / pooled.norm(dim=1, keepdim=True) + head.fc_coord.bias + 0.5
    torch.testing.assert_close(points.flatten(1), expected)


def test_authors_normalisation() -> None:
    framing = Framing(size=SIZE, mean=AUTHORS_MEAN, std=AUTHORS_STD)
    method = RLE(replace(small_rle("authors").config, framing=framing), SKELETON)
    pixels = torch.tensor([0, 255, 51], dtype=torch.uint8).view(1, 3, 1, 1)
    expected = torch.tensor([-0.406, 1 - 0.457, 0.2 - 0.48])
    torch.testing.assert_close(method.normalise(pixels).flatten(), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("theirs", "expected"),
    [
        ("preact.layer1.0.conv1.weight", "backbone.network.layer1.0.conv1.weight"),
        ("backbone.layer1.0.conv1.weight", "backbone.network.layer1.0.conv1.weight"),
        ("fc_coord.linear.weight", "head.fc_coord.weight"),
        ("fc_sigma.linear.bias", "head.fc_sigma.bias"),
        ("flow.s.5.2.bias", "flow.scale_nets.5.2.bias"),
        ("flow.t.0.4.weight", "flow.shift_nets.0.4.weight"),
        ("head.fc.weight", "head.fc.weight"),
        ("keypoint_head.fc.weight", "head.fc.weight"),
        ("head.loss_module.flow_model.s.3.0.weight", "flow.scale_nets.3.0.weight"),
        ("keypoint_head.loss.flow_model.t.2.4.bias", "flow.shift_nets.2.4.bias"),
        ("something.else", None),
    ],
)
def test_names_of_both_codes(theirs: str, expected: str | None) -> None:
    assert ours(theirs) == expected


@pytest.mark.parametrize(
    ("form", "prefixes"),
    [
        ("authors", {"backbone.network.": "preact.", "head.fc_coord.": "fc_coord.linear.", "flow.": "flow."}),
        ("mmpose", {"flow.": "head.loss_module.flow_model."}),
        ("mmpose", {"head.": "keypoint_head.", "flow.": "keypoint_head.loss.flow_model."}),
    ],
)
def test_a_whole_file_fits(form: str, prefixes: dict[str, str]) -> None:
    method = small_rle(form)
    prefixes = {"backbone.network.": "backbone.", "head.fc_sigma.": "fc_sigma.linear."} | prefixes
    reference = {}
    for name, tensor in method.state_dict().items():
        prefix = next((one for one in prefixes if name.startswith(one)), "")
        theirs = prefixes.get(prefix, "") + name.removeprefix(prefix)
        reference[theirs.replace("scale_nets", "s").replace("shift_nets", "t")] = tensor + 1
    mask = f"{prefixes['flow.']}mask"
    reference[mask] = method.flow.masks
    fitted = from_reference(reference, method)
    assert list(fitted.dropped) == [mask]
    assert not fitted.kept
    assert all(torch.equal(fitted.state[name], tensor + 1) for name, tensor in method.state_dict().items())
    with pytest.raises(InputError, match="left over"):
        from_reference({**reference, "head.fc2.weight": torch.zeros(3, 2)}, method)
