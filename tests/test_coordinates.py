import torch

from vitruvian.coordinates import (
    about_root,
    axes_of,
    cell_fractions,
    coordinate_loss,
    from_fractions,
    label_fractions,
    points_of,
    to_fractions,
)

NAN = float("nan")


def test_fractions_and_back():
    points = torch.tensor([[0.0, 0], [48, 64], [95, 127]])
    fractions = to_fractions(points, (96, 128))
    torch.testing.assert_close(fractions, torch.tensor([[0, 0], [0.5, 0.5], [95 / 96, 127 / 128]]))
    torch.testing.assert_close(from_fractions(fractions, (96, 128)), points)


def test_places_of_cells():
    x, y = cell_fractions(torch.zeros(2, 3, 2, 4))
    assert (x.tolist(), y.tolist()) == ([0, 0.25, 0.5, 0.75], [0, 0.5])


def test_labels_count_where_visible_and_inside():
    points = torch.tensor([[0.0, 0], [95, 127], [95.5, 3], [3, -0.1], [NAN, 3], [4, 5]])
    visible = torch.tensor([True, True, True, True, True, False])
    labels, weights = label_fractions(points, visible, (96, 128))
    assert weights.tolist() == [1, 1, 0, 0, 0, 0]
    assert labels.isfinite().all()


def test_coordinate_loss_is_the_mean_over_all_numbers():
    points, labels = torch.zeros(2, 3, 2), torch.zeros(2, 3, 2)
    points[0, 1] = torch.tensor([0.2, 3.0])
    points[1, 0] = 9.0
    weights = torch.tensor([[1.0, 1, 1], [0, 1, 1]])
    torch.testing.assert_close(coordinate_loss(points, labels, weights), torch.tensor((0.2**2 / 2 + 3 - 0.5) / 12))


def test_in_space_depths_are_fractions_of_their_range():
    axes = axes_of((96, 128), 2000.0)
    assert axes == (96, 128, 2000)
    assert axes_of((96, 128)) == (96, 128)
    points = torch.tensor([[48.0, 64, -500]])
    fractions = to_fractions(points, axes)
    assert fractions.tolist() == [[0.5, 0.5, -0.25]]
    torch.testing.assert_close(from_fractions(fractions, axes), points)


def test_keypoints_get_the_axes_that_are_asked_for():
    flat, deep = torch.tensor([[1.0, 2]]), torch.tensor([[1.0, 2, 3]])
    assert points_of(deep, 2).tolist() == [[1, 2]]
    assert points_of(deep, 3).tolist() == [[1, 2, 3]]
    padded = points_of(flat, 3)
    assert padded[:, :2].tolist() == [[1, 2]]
    assert padded[:, 2].isnan().all()


def test_joints_without_a_depth_count_by_their_place_and_too_deep_ones_not_at_all():
    points = torch.tensor([[4.0, 5, -1000], [4, 5, 1001], [4, 5, NAN], [-1, 5, 0], [4, 5, 7]])
    labels, weights = label_fractions(points, torch.tensor([True] * 4 + [False]), (96, 128, 2000.0))
    assert weights.tolist() == [[1, 1, 1], [0, 0, 0], [1, 1, 0], [0, 0, 0], [0, 0, 0]]
    assert labels.isfinite().all()
    assert labels[0, 2] == -0.5
    off = labels + torch.tensor([0.0, 0, 0.5])
    assert coordinate_loss(off, labels, weights).item() == torch.tensor(0.5**2 / 2 / 15).item()  # of the first alone


def test_depths_count_from_the_middle_of_the_root():
    points = torch.arange(24.0).reshape(2, 4, 3)
    moved = about_root(points, (1, 3))
    assert torch.equal(moved[..., :2], points[..., :2])
    assert moved[..., 2].tolist() == [[-6, -3, 0, 3]] * 2
    assert torch.equal(about_root(points, ()), points)
    assert torch.equal(about_root(points[..., :2], (1,)), points[..., :2])
