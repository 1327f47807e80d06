import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch._subclasses import FakeTensorMode

from vitruvian.heatmaps import (
    blur,
    decode_discs_and_offsets,
    decode_gaussians,
    draw_discs_and_offsets,
    draw_gaussians,
    find_peaks,
    map_loss,
    read_at,
    refine_dark,
    refine_quarter,
    refine_udp,
    to_cells,
    to_pixels,
    unmirror_maps,
    unmirror_points,
)

NAN = float("nan")
STYLES = ("msra", "dark", "udp")


def random(*shape, seed=0, low=0.0, high=1.0):
    return torch.empty(*shape).uniform_(low, high, generator=torch.Generator().manual_seed(seed))


def test_pixels_and_cells():
    points = torch.tensor([[0.0, 0.0], [190.0, 251.0], [191.0, 255.0]])
    pixel = to_cells(points, (192, 256), (48, 32), "pixel")
    udp = to_cells(points, (192, 256), (48, 32), "udp")
    torch.testing.assert_close(pixel, torch.tensor([[0, 0], [47.5, 31.375], [47.75, 31.875]]))
    torch.testing.assert_close(udp[[0, 2]], torch.tensor([[0.0, 0], [47, 31]]))  # corners on corners
    for family, cells in (("pixel", pixel), ("udp", udp)):
        torch.testing.assert_close(to_pixels(cells, (192, 256), (48, 32), family), points)


def test_a_gaussian_stands_on_the_nearest_cell():
    maps, kept = draw_gaussians(torch.tensor([[2.4, 1.6]]), torch.tensor([True]), (7, 5), sigma=1 / 3)
    a, b = np.exp(-4.5), np.exp(-9)
    expected = [
        [0, 0, 0, 0, 0, 0, 0],
        [0, b, a, b, 0, 0, 0],
        [0, a, 1, a, 0, 0, 0],
        [0, b, a, b, 0, 0, 0],
        [0, 0, 0, 0, 0, 0, 0],
    ]
    torch.testing.assert_close(maps[0], torch.tensor(expected, dtype=torch.float32))
    assert kept.tolist() == [True]


def test_nearest_cell_is_a_truncation_towards_zero():
    points = torch.tensor([[-0.7, 2.5], [-1.4, 2.4]])
    maps, _ = draw_gaussians(points, torch.ones(2, dtype=torch.bool), (7, 5), sigma=1 / 3)
    assert maps[0].argmax() == 3 * 7  # not column -1
    assert maps[0].max() == 1
    assert maps[1].argmax() == 2 * 7
    assert maps[1].max() == 1  # -0.9 becomes 0


def test_joints_that_are_not_drawn():
    points = torch.tensor(
        [
            [3.0, 2.0],
            [NAN, 2.0],
            [3.0, NAN],
            [
                -4.0,
                2.0,
            ],  # its window ends with column -1, next to the map: it keeps its weight
            [-6.0, 2.0],
            [9.0, 2.0],
            [10.0, 2.0],
            [3.0, 8.0],
        ]
    )
    visible = torch.tensor([False, True, True, True, True, True, True, True])
    for style in STYLES:
        maps, kept = draw_gaussians(points, visible, (7, 5), 1, style)
        assert kept.tolist() == [False, False, False, True, False, True, False, False], style
        assert maps[~kept].eq(0).all(), style
        assert maps[5].any(), style


def plain_gaussians(points, visible, size, sigma, style):
    """One joint and one cell at a time."""
    maps = np.zeros((len(points), size[1], size[0]), np.float64)
    for k, (px, py) in enumerate(points.astype(np.float64)):
        nx, ny = int(px + 0.5), int(py + 0.5)
        cx, cy = (nx, ny) if style == "msra" else (px, py)
        for y in range(size[1]):
            for x in range(size[0]):
                near = max(abs(x - nx), abs(y - ny)) <= 3 * sigma
                if visible[k] and (near or style == "dark"):
                    maps[k, y, x] = np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * sigma**2))
    return maps


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("sigma", [1, 2])
def test_gaussians_equal_a_plain_loop(style, sigma):
    points = random(2, 4, 3, 2, seed=sigma, low=-3, high=18)
    visible = random(2, 4, 3, seed=5) > 0.2
    maps, kept = draw_gaussians(points, visible, (17, 13), sigma, style)
    assert maps.shape == (2, 4, 3, 13, 17)
    assert maps.dtype == torch.float32
    flat = plain_gaussians(points.flatten(0, 2).numpy(), kept.flatten().numpy(), (17, 13), sigma, style)
    np.testing.assert_allclose(maps.flatten(0, 2).numpy(), flat, atol=1e-6)


def test_discs_and_offsets():
    points = torch.tensor([[2.0, 1.25], [NAN, 1.0], [1.0, 1.0], [-40.0, 1.0]])
    visible = torch.tensor([True, True, False, True])
    maps, kept = draw_discs_and_offsets(points, visible, (5, 4), radius_factor=0.2)  # radius 1
    disc = [[0, 0, 0, 0, 0], [0, 0, 1, 0, 0], [0, 0, 1, 0, 0], [0, 0, 0, 0, 0]]
    assert maps.shape == (4, 3, 4, 5)
    assert maps[0, 0].tolist() == disc
    torch.testing.assert_close(maps[0, 1], torch.tensor([2.0, 1, 0, -1, -2]).expand(4, 5))
    torch.testing.assert_close(maps[0, 2], torch.tensor([1.25, 0.25, -0.75, -1.75])[:, None].expand(4, 5))
    assert kept.tolist() == [True, False, False, True]
    assert maps[1:3].eq(0).all()
    assert maps[3, 0].eq(0).all()


def test_peaks_take_the_first_of_equal_values():
    maps = torch.zeros(2, 3, 5, 7)
    maps[0, 1, 3, 2] = maps[0, 1, 3, 5] = maps[0, 1, 4, 0] = 2
    maps[1, 2] = -1
    maps[1, 2, 4, 6] = -0.5
    points, values = find_peaks(maps)
    assert points[0, 1].tolist() == [2, 3]
    assert points[1, 0].tolist() == [0, 0]
    assert points[1, 2].tolist() == [6, 4]
    assert values[0].tolist() == [0, 2, 0]
    assert values[1, 2] == -0.5
    for found, plain in zip(find_peaks(maps.to(memory_format=torch.channels_last)), (points, values)):
        assert torch.equal(found, plain)


def test_a_quarter_towards_the_larger_neighbour():
    maps = torch.zeros(5, 5, 7)
    cells = torch.tensor([[3.0, 2], [1, 2], [2, 1], [2, 0], [5, 4]])
    maps[:, :, ::2] = 0.1  # every other column is higher: neighbours in x are equal
    maps[0, 2, 4] = 0.5
    maps[0, 1, 3] = 0.5
    maps[1:, :, 6] = 0.3
    maps[1:, 4, :] = 0.3
    maps[4, 4, 6] = 0.4
    moved = refine_quarter(maps, cells)
    assert moved.tolist() == [
        [3.25, 1.75],
        [1, 2],  # column 1 does not move in x; in y its neighbours are equal
        [2, 1],  # row 1 does not move in y; in x its neighbours are equal
        [2, 0],  # row 0 moves in neither
        [5.25, 4],  # the last row moves in x, though not in y
    ]
    maps[1, 3, 1], maps[2, 1, 1] = 0.2, 0.4
    assert refine_quarter(maps, cells)[1:3].tolist() == [[1, 2.25], [1.75, 1]]


def plain_newton(maps, peaks, kernel, style):
    """DARK's and UDP's refinement, one map at a time, in float64 after OpenCV's blur."""
    refined = peaks.astype(np.float64)
    r = kernel // 2
    for k, (x, y) in enumerate(peaks.astype(int)):
        padded = cv2.GaussianBlur(np.pad(maps[k], r), (kernel, kernel), 0)[r:-r, r:-r].astype(np.float64)
        f = padded * maps[k].max() / padded.max()
        height, width = f.shape
        if style == "dark":
            if not (1 < x < width - 2 and 1 < y < height - 2):
                continue
            f, step = np.pad(np.log(np.maximum(f, 1e-10)), 2), 2
        else:
            f, step = np.pad(np.log(np.clip(f, 1e-3, 50)), 2, mode="edge"), 1

        def at(i, j, f=f, x=x, y=y):
            return f[y + 2 + j, x + 2 + i]

        g = np.array([at(1, 0) - at(-1, 0), at(0, 1) - at(0, -1)]) / 2
        xx = (at(step, 0) - 2 * at(0, 0) + at(-step, 0)) / step**2
        yy = (at(0, step) - 2 * at(0, 0) + at(0, -step)) / step**2
        if style == "dark":
            xy = (at(1, 1) - at(-1, 1) - at(1, -1) + at(-1, -1)) / 4
        else:
            straight = at(1, 0) + at(-1, 0) + at(0, 1) + at(0, -1)
            xy = (at(1, 1) - straight + 2 * at(0, 0) + at(-1, -1)) / 2
        refined[k] -= np.linalg.solve(np.array([[xx, xy], [xy, yy]]), g)
    return refined


@pytest.mark.parametrize(("style", "kernel"), [("dark", 11), ("udp", 11), ("dark", 17), ("udp", 5)])
def test_newton_steps_equal_a_plain_loop(style, kernel):
    points = random(2, 9, 2, seed=kernel, low=-1.0, high=30)
    visible = torch.ones(2, 9, dtype=torch.bool)
    maps, _ = draw_gaussians(points, visible, (28, 24), 2, "dark")
    maps = maps * 0.7 + random(2, 9, 24, 28, high=0.02)
    peaks, _ = find_peaks(maps)
    refined = (refine_dark if style == "dark" else refine_udp)(maps, peaks, kernel)
    flat = plain_newton(maps.flatten(0, 1).numpy(), peaks.flatten(0, 1).numpy(), kernel, style)
    np.testing.assert_allclose(refined.flatten(0, 1).numpy(), flat, atol=2e-3)


@pytest.mark.parametrize(("style", "error"), [("msra", 0.51), ("dark", 0.001), ("udp", 0.1)])
def test_perfect_maps_decode_to_the_truth(style, error):
    points = random(2, 3, 2, seed=3, low=8, high=24)
    maps, _ = draw_gaussians(points, torch.ones(2, 3, dtype=torch.bool), (36, 33), 2, style)
    for layout in (maps, maps.to(memory_format=torch.channels_last)):
        decoded, values = decode_gaussians(layout, style, kernel=11)
        assert (decoded - points).abs().max() < error
        assert values.min() > 0.9


def test_maps_without_a_positive_value_have_no_point():
    maps = random(2, 3, 13, 16, low=-1.0)
    maps[0, 1] = -0.25
    maps[1, 2] = 0
    for style in STYLES:
        points, values = decode_gaussians(maps, style, kernel=11)
        assert points[0, 1].tolist() == points[1, 2].tolist() == [-1, -1]
        assert values[0, 1] == -0.25
        assert points.isfinite().all()
        assert (points[0, 0] != -1).any()
    points, _ = decode_discs_and_offsets(torch.full((2, 3, 13, 16), -0.5), kernel=11)
    assert points.eq(-1).all()


def test_discs_and_offsets_decode_to_the_truth():
    points = random(2, 4, 2, seed=3, low=0, high=31)
    maps, _ = draw_discs_and_offsets(points, torch.ones(2, 4, dtype=torch.bool), (33, 36))
    decoded, scores = decode_discs_and_offsets(maps, kernel=23)
    torch.testing.assert_close(decoded, points, atol=1e-4, rtol=0)
    assert scores.shape == (2, 4)
    assert scores.min() > 0


@pytest.mark.parametrize("kernel", [3, 5, 7, 9, 11, 17, 23])
def test_blur_equals_opencv(kernel):
    maps = random(2, 3, 14, 19, low=-1.0)
    r = kernel // 2
    for border in ("zero", "reflect"):
        for given, blurred in zip(maps.flatten(0, 1).numpy(), blur(maps, kernel, border).flatten(0, 1).numpy()):
            padded = np.pad(given, r) if border == "zero" else np.pad(given, r, mode="reflect")
            expected = cv2.GaussianBlur(padded, (kernel, kernel), 0)[r:-r, r:-r]
            np.testing.assert_allclose(blurred, expected, atol=1e-6)


def test_blur_refuses_an_even_kernel():
    with pytest.raises(ValueError, match="a blur needs an odd kernel, not 4"):
        blur(torch.zeros(5, 7), 4)


def test_reading_between_cells():
    maps = torch.arange(35.0).reshape(5, 7)
    points = [[2, 3], [2.5, 3], [2.5, 3.5], [6, 4], [6.5, 4], [7, 4], [-0.25, 0], [0, -1], [1e9, 0], [NAN, 1]]
    values = read_at(maps.expand(2, 3, 5, 7) + 1, torch.tensor(points).expand(2, 3, 10, 2))
    assert values.shape == (2, 3, 10)
    expected = [24, 24.5, 28, 35, 17.5, 0, 0.75, 0, 0, NAN]
    torch.testing.assert_close(values[1, 2], torch.tensor(expected), equal_nan=True)


def test_reading_equals_grid_sample_with_gradients():
    maps, points = (
        random(6, 5, 7).double().requires_grad_(),
        random(6, 4, 2, low=-1.5, high=7.5, seed=1).double(),
    )
    points.requires_grad_()
    grid = 2 * points / torch.tensor([6.0, 4.0]) - 1
    plain = F.grid_sample(maps[:, None], grid[:, None], align_corners=True)[:, 0, 0]
    ours = read_at(maps, points)
    torch.testing.assert_close(ours, plain)
    weights = random(6, 4, seed=2).double()
    for a, b in zip(*(torch.autograd.grad((v * weights).sum(), (maps, points)) for v in (ours, plain))):
        torch.testing.assert_close(a, b)


def test_reading_broadcasts_people_over_maps():
    maps, points = random(2, 1, 3, 5, 7), random(2, 4, 3, 6, 2, high=5, seed=1)
    values = read_at(maps, points)
    assert values.shape == (2, 4, 3, 6)
    torch.testing.assert_close(values[1, 2, 1], read_at(maps[1, 0, 1], points[1, 2, 1]))


def test_a_mirrored_map_comes_back():
    maps = torch.arange(42.0).reshape(2, 3, 1, 7)
    mirror = torch.tensor([0, 2, 1])
    back = unmirror_maps(maps, mirror)
    assert back[0, :, 0].tolist() == [
        [6, 5, 4, 3, 2, 1, 0],
        [20, 19, 18, 17, 16, 15, 14],
        [13, 12, 11, 10, 9, 8, 7],
    ]
    shifted = unmirror_maps(maps, mirror, shift=True)
    assert shifted[0, 0, 0].tolist() == [6, 6, 5, 4, 3, 2, 1]
    torch.testing.assert_close(unmirror_maps(back, mirror), maps)


def test_maps_of_a_mirrored_person_come_back_as_the_person():
    points, mirror = random(2, 3, 2, seed=4, low=0, high=16), torch.tensor([2, 1, 0])
    visible = torch.ones(2, 3, dtype=torch.bool)
    mirrored = torch.cat([16 - points[..., :1], points[..., 1:]], -1)[:, mirror]
    combined = draw_discs_and_offsets(points, visible, (17, 13))[0]
    back = unmirror_maps(draw_discs_and_offsets(mirrored, visible, (17, 13))[0], mirror, x_offset=1)
    torch.testing.assert_close(back, combined, atol=1e-5, rtol=0)
    torch.testing.assert_close(unmirror_points(mirrored, mirror, x_sum=16), points)
    before = combined.clone()
    unmirror_maps(combined, mirror, x_offset=1)
    assert torch.equal(before, combined)  # the argument is not changed


def test_mirrored_points_may_have_depth():
    points = torch.tensor([[1.0, 2, 3], [4, 5, 6]])
    back = unmirror_points(points, torch.tensor([1, 0]), x_sum=9)
    assert back.tolist() == [[5, 5, 6], [8, 2, 3]]


def test_map_loss_counts_every_cell():
    maps, target = torch.zeros(2, 3, 5, 7), torch.zeros(2, 3, 5, 7)
    maps[0, 1, 2, 3], maps[1, 2, 0, 0] = 2, 5
    weights = torch.tensor([[1.0, 1, 1], [1, 1, 0]])
    torch.testing.assert_close(map_loss(maps, target, weights), torch.tensor(4 / 210))


def test_nothing_waits_for_the_device():
    with FakeTensorMode(allow_non_fake_inputs=True):  # raises where a value would be needed on the host
        points, visible = torch.zeros(2, 3, 2), torch.ones(2, 3, dtype=torch.bool)
        mirror = torch.zeros(3, dtype=torch.long)
        for style in STYLES:
            maps, _ = draw_gaussians(points, visible, (17, 13), 2, style)
            decode_gaussians(unmirror_maps(maps, mirror, shift=True), style, kernel=11)
        decode_discs_and_offsets(draw_discs_and_offsets(points, visible, (17, 13))[0], kernel=11)
        read_at(maps, points[:, :, None])
        unmirror_points(points, mirror, x_sum=16)
        map_loss(maps, maps, visible)
