import torch

from vitruvian.coordinates import cell_fractions, coordinate_loss, from_fractions, label_fractions, to_fractions

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
