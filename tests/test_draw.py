"""Drawing: what is shown, where, in whose colour; what is not shown; and sizes of sheets."""

import numpy as np
import pytest

from vitruvian.draw import LEFT, PEOPLE, RIGHT, as_poses, contact_sheet, draw_maps, draw_poses, enlarge
from vitruvian.sample import People, Poses
from vitruvian.skeletons import COCO_WHOLEBODY, WFLW, Skeleton

ARMS = Skeleton("arms", ("left_hand", "right_hand", "chin"), ((0, 2), (1, 2)), (1, 0, 2), (0.1, 0.1, 0.1))
GREY = np.full((120, 200, 3), 128, np.uint8)
PLACES = np.array([[[150.0, 90], [50, 90], [100, 30]]])


def poses(keypoints=PLACES, scores=1.0, boxes=None) -> Poses:
    n, k = keypoints.shape[:2]
    return Poses(keypoints, np.broadcast_to(np.asarray(scores, float), (n, k)), np.ones(n), boxes)


def changed(image: np.ndarray, before: np.ndarray = GREY) -> np.ndarray:
    return (image != before).any(-1)


def test_joints_have_the_colour_of_their_side_and_limbs_that_of_the_person():
    before = GREY.copy()
    image = draw_poses(GREY, poses(), ARMS)
    np.testing.assert_array_equal(GREY, before)
    assert image.dtype == np.uint8
    assert tuple(image[90, 150]) == LEFT
    assert tuple(image[90, 50]) == RIGHT
    left, right = image[60, 125].astype(int), image[60, 75].astype(int)
    assert (left > PEOPLE[0]).all()  # lighter
    assert (right < PEOPLE[0]).all()  # darker
    assert changed(image)[25:97, 40:160].sum() == changed(image).sum()


def test_a_mirrored_person_is_drawn_mirrored():
    mirrored = PLACES[:, [1, 0, 2]] * [-1, 1] + [199, 0]
    there = changed(draw_poses(GREY, poses(PLACES + 0.25), ARMS))
    back = changed(draw_poses(GREY, poses(mirrored + np.array([-0.25, 0.25])), ARMS))[:, ::-1]
    assert (there != back).mean() < 0.004


def test_joints_below_the_threshold_or_without_a_place_are_left_out():
    image = draw_poses(GREY, poses(scores=[[0.9, 0.3, 0.9]]), ARMS, threshold=0.3)
    assert not changed(image)[:, :90].any()
    assert changed(image)[60, 125]
    for nowhere in (np.nan, np.inf, -1e12):
        places = PLACES.copy()
        places[0, 1] = nowhere
        np.testing.assert_array_equal(
            draw_poses(GREY, poses(places), ARMS), draw_poses(GREY, poses(scores=[[1, 0, 1]]), ARMS)
        )


def test_people_have_different_colours_and_the_best_is_on_top():
    apart = np.concatenate([PLACES * 0.4, PLACES * 0.4 + [100, 0]])
    image = draw_poses(GREY, poses(apart), ARMS)
    assert tuple(image[24, 50]) != tuple(image[24, 150])
    same = draw_poses(GREY, poses(np.concatenate([PLACES, PLACES])), ARMS)
    assert tuple(same[60, 125]) == tuple(draw_poses(GREY, poses(), ARMS)[60, 125])


def test_widths_follow_the_size_of_the_person_and_of_the_image():
    def width(image):
        return int(changed(image, np.full_like(image, 128))[image.shape[0] // 2].sum())

    small = draw_poses(GREY, poses(), ARMS)
    large = draw_poses(np.full((1200, 2000, 3), 128, np.uint8), poses(PLACES * 10), ARMS)
    assert 5 <= width(small) <= 20
    assert 3 * width(small) < width(large) < 10 * width(small)  # never as thin as its size would have it


def test_no_people_and_people_outside():
    np.testing.assert_array_equal(draw_poses(GREY, poses(np.zeros((0, 3, 2))), ARMS), GREY)
    np.testing.assert_array_equal(draw_poses(GREY, poses(PLACES + 1000), ARMS), GREY)
    np.testing.assert_array_equal(draw_poses(GREY, poses(PLACES - 500), ARMS), GREY)
    assert changed(draw_poses(GREY, poses(PLACES + np.array([100, 0])), ARMS)).any()  # half outside


def test_boxes_are_drawn_when_asked():
    with_box = poses(boxes=np.array([[10.0, 20, 190, 100]]))
    assert not changed(draw_poses(GREY, with_box, ARMS))[:, 10].any()
    image = draw_poses(GREY, with_box, ARMS, boxes=True)
    assert tuple(image[60, 10]) == PEOPLE[0]
    np.testing.assert_array_equal(draw_poses(GREY, poses(), ARMS, boxes=True), draw_poses(GREY, poses(), ARMS))


def test_poses_of_another_skeleton_are_refused():
    with pytest.raises(ValueError, match="the poses have 3 joints, but the skeleton wflw has 98; draw them with"):
        draw_poses(GREY, poses(), WFLW)


def test_faces_and_hands_are_drawn_finer_than_the_body():
    rng = np.random.default_rng(0)
    places = rng.uniform(200, 800, (2, 133, 2))
    places[:, 23:91] = rng.uniform(450, 500, (2, 68, 2))
    scores = np.zeros((2, 133))
    image = np.full((1000, 1000, 3), 128, np.uint8)

    def area(joints):
        scores[:] = 0
        scores[0, joints] = 1
        return changed(draw_poses(image, poses(places, scores), COCO_WHOLEBODY), image).sum() / len(joints)

    assert area(range(23, 91)) < area([0, 3, 9, 10, 15, 16]) / 4


def test_as_poses():
    people = People(
        keypoints=np.repeat(PLACES, 2, 0),
        visibility=np.array([[2, 1, 0], [-1, 0, 2]], np.int8),
        boxes=np.zeros((2, 4)),
        areas=np.ones(2),
        ignored=np.zeros(2, bool),
    )
    truth = as_poses(people)
    assert truth.joint_scores.tolist() == [[1, 1, 0], [0, 0, 1]]
    assert truth.scores.tolist() == [1, 1]


def test_enlarge():
    image, larger = enlarge(GREY, poses(boxes=np.array([[0.0, 0, 199, 119]])), 400)
    assert image.shape == (240, 400, 3)
    np.testing.assert_allclose(larger.keypoints[0, 0], [300.5, 180.5])
    np.testing.assert_allclose(larger.boxes, [[0.5, 0.5, 398.5, 238.5]])
    given = poses()
    assert enlarge(GREY, given, 150) == (GREY, given)


def test_draw_maps():
    maps = np.zeros((3, 30, 50), np.float32)
    maps[0, 10, 20] = 0.5
    maps[1, 5, 40] = 1
    sheet = draw_maps(GREY, maps, ARMS.joints, tile=200)  # 2 columns of 200 x 120 px
    gap, strip = 4, 14
    assert sheet.shape == (gap + 2 * (120 + strip + gap), gap + 2 * (200 + gap), 3)
    first, second = sheet[gap:, gap:], sheet[gap:, 2 * gap + 200 :]
    grey = tuple(first[100, 100])
    assert grey == (89, 89, 89)
    assert tuple(first[40, 80]) != grey  # cell (20, 10) is pixel (80, 40)
    assert tuple(first[40, 90]) == grey
    red, green, blue = second[20, 160].astype(int)  # the highest value of all
    assert red > 2 * max(green, blue)
    with pytest.raises(ValueError, match=r"maps have shape \(3, 30, 50\), expected \(2, h, w\) for 2 names"):
        draw_maps(GREY, maps, ["a", "b"])


def test_maps_without_a_peak_and_with_unknown_values():
    maps = np.full((3, 5, 7), np.nan, np.float32)
    maps[0] = -1
    assert draw_maps(GREY, maps, ARMS.joints).dtype == np.uint8


def test_contact_sheet():
    tall = np.full((90, 30, 3), 200, np.uint8)
    sheet = contact_sheet(
        [GREY, tall, GREY], columns=2, captions=["truth", "a caption that is much too long", "é"], tile=60
    )
    gap, strip = 4, 14
    assert sheet.shape == (gap + 60 + strip + gap + 36 + strip + gap, gap + 2 * (60 + gap), 3)
    assert tuple(sheet[gap + 30, gap + 30]) == (128, 128, 128)
    assert tuple(sheet[gap + 30, 2 * gap + 60 + 30]) == (200, 200, 200)
    assert (sheet[gap + 60 : gap + 60 + strip, -gap:] == sheet[0, 0]).all()  # the caption is cut
    assert contact_sheet([GREY], columns=1, tile=60).shape == (4 + 36 + 4, 68, 3)
    with pytest.raises(ValueError, match="0 images in 2 columns: give at least one of each"):
        contact_sheet([], 2)
    with pytest.raises(ValueError, match="1 captions for 2 images; give one for each"):
        contact_sheet([GREY, GREY], 2, ["a"])
