"""Prediction for files: a folder of photos in, a drawing of each and one file of results out."""

from __future__ import annotations

import json
import os
import re
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm import tqdm

from vitruvian.crops import in_order, num_threads
from vitruvian.data.boxes import PERSON, Boxes
from vitruvian.draw import draw_in_space, draw_poses
from vitruvian.errors import InputError
from vitruvian.files import make_folder, write_atomically
from vitruvian.images import WRITABLE, read_image, write_image
from vitruvian.prediction import Prediction, Predictor
from vitruvian.prediction.space import EVERYWHERE, Viewpoint, before_camera, space_fields
from vitruvian.skeletons import Skeleton, matching_joints

if TYPE_CHECKING:
    from vitruvian.detection import Detector

RESULTS = "results.json"
"""The file of results in the output folder."""


@dataclass
class Report:
    """What `predict_files` has done."""

    results: Path
    photos: int = 0  # done, without the failed ones
    people: int = 0
    whole: int = 0  # photos that were taken as one person, for they came without boxes
    empty: int = 0  # photos for which the file of boxes has none, or in which the detector found nobody
    unsure: int = 0  # boxes of the file that were left out because of their score
    faint: int = 0  # people of whom no joint was drawn because of their scores
    box_threshold: float = 0.0
    threshold: float = 0.0
    detector: Detector | None = None  # what found the people, if anything did
    failed: list[str] = field(default_factory=list)  # why, one line a photo, with its path
    assumptions: list[str] = field(default_factory=list)  # what was taken for granted of cameras and distances
    undrawn: list[str] = field(default_factory=list)  # photos with results, but without a drawing, and why

    def lines(self) -> list[str]:
        """The report in words, one line a fact."""
        said = [f"{self.results}: {counted(self.people, 'person', 'people')} in {counted(self.photos, 'photo')}"]
        if self.whole:
            said.append(
                f"no boxes were given: {counted(self.whole, 'whole photo')} taken as one person each; give boxes or a "
                "detector for several or small people"
            )
        if self.empty and self.detector:
            floor = f"a score of {self.detector.threshold:g} or more (--detector-threshold)"
            said.append(f"{self.detector.name} found nobody with {floor} in {counted(self.empty, 'photo')}")
        elif self.empty:
            said.append(f"the boxes name nobody in {counted(self.empty, 'photo')}: nothing was looked for there")
        if self.unsure:
            boxes = counted(self.unsure, "box", "boxes")
            said.append(f"{boxes} left out, with a score below {self.box_threshold:g} (--box-threshold)")
        if self.faint:
            people = counted(self.faint, "person", "people")
            said.append(f"{people} not drawn: no joint has a score above {self.threshold:g} (--threshold)")
        said += self.assumptions
        for what, reasons in (("failed", self.failed), ("not drawn", self.undrawn)):
            said += [f"{what}: {reason}" for reason in reasons]
        if self.failed:
            said.append(f"{counted(len(self.failed), 'photo')} failed, for the reasons above")
        return said


def predict_files(
    predictor: Predictor,
    photos: Sequence[Path],
    output: Path,
    boxes: Boxes | Sequence[Sequence[float]] | np.ndarray | None = None,
    flip: bool | None = None,
    batch_size: int | None = None,
    threshold: float | None = None,
    drawings: bool = True,
    progress: bool = True,
    box_threshold: float = 0.0,
    detector: Detector | None = None,
    joints: Skeleton | None = None,
    viewpoint: Viewpoint = EVERYWHERE,
) -> Report:
    """Predicts any number of photos into the folder `output`.

    It gets a drawing of each photo under the photo's name, and results.json: COCO keypoint results, best first in each
    photo, with the image's number where the file is named by one (`000000000790.jpg`) and else the file's name, and
    beside the usual fields `box`, the box that was looked into (x0 y0 x1 y1 px). Results of a network in space have the
    fields of `prediction.space.space_fields` too, and its drawings show people from front, side and above. Each file is
    written whole or not at all. A photo that cannot be read or has a bad box is left out, and the report says why.

    Args:
        predictor: the network.
        photos: their paths, as `images.list_images` gives them.
        output: the folder; it is made.
        boxes: what `data.boxes.read_boxes` gives, matched by the photo's name or number; or boxes (N, 4) x0 y0 x1 y1 px
            for every photo; None: each whole photo is one person.
        flip: also look at the mirrored crops; None: see `Predictor.predict`.
        batch_size: people at a time; None: see there.
        threshold: score above which a joint is drawn; the results hold all. None: the method's own, `drawn_above`.
        drawings: whether to draw at all.
        progress: show a bar.
        box_threshold: boxes of `read_boxes` with a score below it are left out.
        detector: what finds the people where there are no boxes.
        joints: those that the results have, found by their names, with the score NOT_KNOWN where the network has no
            such; None: the network's.
        viewpoint: what is known of camera and distance, for a network in space.

    Raises:
        InputError: the network finds no depths, but a viewpoint was given; the boxes are of other photos, a drawing
            would replace a photo, or the disk takes no more.
    """
    output = Path(output)
    names = unique_names(photos)
    threshold = predictor.drawn_above if threshold is None else threshold
    sources = None if joints is None else matching_joints(predictor.skeleton, joints)
    if joints is not None and max(sources or ()) < 0:
        raise InputError(
            f"no joint of {joints.name!r} has the name of one of the network, which finds {predictor.skeleton.name!r}"
        )
    report = Report(output / RESULTS, box_threshold=box_threshold, threshold=threshold, detector=detector)
    if isinstance(boxes, Mapping):
        matched = match_boxes(photos, boxes)
        of_photos: list[Any] = [found[found[:, 4] >= box_threshold] for found in matched]
        report.unsure = sum(map(len, matched)) - sum(map(len, of_photos))
    else:
        of_photos = [boxes] * len(photos)
    targets = [output / drawing_name(name) for name in names] if drawings else [None] * len(photos)
    check_targets(photos, targets)
    make_folder(output)
    predictions = predictor.predict_stream(photos, None if detector else of_photos, flip, batch_size, detector)
    padding = predictor.framing.padding
    draw = partial(draw_photo, skeleton=predictor.skeleton, threshold=threshold, padding=padding, viewpoint=viewpoint)
    image_ids = image_ids_of(names)

    def write(part: Path) -> None:
        with (
            closing(predictions),
            closing(in_order(draw, zip(predictions, photos, targets), num_threads())) as finished,
            part.open("w", encoding="utf-8") as file,
            tqdm(finished, total=len(photos), unit=" photos", disable=not progress, mininterval=bar_interval()) as bar,
        ):
            separator = "["
            for (prediction, undrawn), image_id, of_photo in zip(bar, image_ids, of_photos):
                note(report, prediction, of_photo, undrawn, drawings)
                if sources is not None and prediction.poses is not None:
                    prediction = prediction._replace(poses=prediction.poses.with_joints(sources))
                for record in records(image_id, prediction, padding, viewpoint):
                    file.write(separator + "\n" + json.dumps(record))
                    separator = ","
                    report.assumptions = viewpoint.assumptions() if "keypoints_3d" in record else []
            file.write("\n]\n" if separator == "," else "[]\n")

    write_atomically(report.results, write)
    return report


def draw_photo(
    item: tuple[Prediction, Path, Path | None],
    skeleton: Skeleton,
    threshold: float,
    padding: float,
    viewpoint: Viewpoint,
) -> tuple[Prediction, str]:
    """Draws one photo into a file; runs in a thread. Gives back the prediction, and why there is no drawing."""
    prediction, photo, target = item
    if target is None or prediction.poses is None:
        return prediction, ""
    try:
        drawing = draw_poses(read_image(photo), prediction.poses, skeleton, threshold)
        if prediction.poses.keypoints.shape[2] == 3:
            joints, _, _ = before_camera(prediction.poses, prediction.photo_size, padding, viewpoint)
            drawing = draw_in_space(drawing, joints, prediction.poses.joint_scores, skeleton, threshold)
        make_folder(target.parent)
        write_image(target, drawing)
    except InputError as error:
        if isinstance(error.__cause__, OSError):
            raise  # the disk's fault and not the photo's: it would go on for all others
        return prediction, str(error)
    return prediction, ""


def note(report: Report, prediction: Prediction, boxes: Any, undrawn: str, drawings: bool) -> None:
    """Counts one photo."""
    if prediction.poses is None:
        report.failed.append(str(prediction.error))
        return
    report.photos += 1
    report.people += len(prediction.poses)
    report.whole += boxes is None and report.detector is None
    report.empty += not len(prediction.poses)
    report.faint += int((prediction.poses.joint_scores <= report.threshold).all(1).sum()) if drawings else 0
    if undrawn:
        report.undrawn.append(undrawn)


def records(
    image_id: int | str, prediction: Prediction, padding: float, viewpoint: Viewpoint
) -> Iterator[dict[str, Any]]:
    """COCO keypoint results of one photo, best first."""
    poses = prediction.poses
    if poses is None:
        return
    further = space_fields(poses, prediction.photo_size, padding, viewpoint)
    places = np.round(poses.keypoints[..., :2].astype(np.float64), 2)
    triples = np.concatenate([places, np.round(poses.joint_scores[..., None].astype(np.float64), 6)], -1)
    boxes = np.zeros((len(poses), 0)) if poses.boxes is None else np.round(poses.boxes, 2)
    for person in range(len(poses)):
        yield {
            "image_id": image_id,
            "category_id": PERSON,
            "keypoints": triples[person].ravel().tolist(),
            "score": round(float(poses.scores[person]), 6),
            "box": boxes[person].tolist(),
            **further[person],
        }


def unique_names(photos: Sequence[Path]) -> list[str]:
    """What each photo is called in the output: its file name, or where two share one, all paths below their folder."""
    names = [photo.name for photo in photos]
    if len(set(names)) == len(names):
        return names
    paths = [Path(os.path.abspath(photo)) for photo in photos]
    common = os.path.commonpath([path.parent for path in paths])
    return [path.relative_to(common).as_posix() for path in paths]


def drawing_name(name: str) -> str:
    """The file of a drawing; where the photo's format cannot be written it is a JPEG."""
    return name if name.lower().endswith(WRITABLE) else f"{name}.jpg"


def coco_number(name: str) -> int | None:
    """The image id that COCO's file names are made of: 000000000790.jpg and COCO_val2014_000000000790.jpg are 790."""
    found = re.fullmatch(r"(?:COCO_[a-z]+\d*_)?(\d{1,18})", Path(name).stem, re.ASCII)
    return int(found[1]) if found else None


def image_ids_of(names: Sequence[str]) -> list[int | str]:
    """Each photo's number, or its name if it has none or shares the number with another photo."""
    numbers = [coco_number(name) for name in names]
    count = Counter(numbers)
    return [name if number is None or count[number] > 1 else number for name, number in zip(names, numbers)]


def match_boxes(photos: Sequence[Path], boxes: Boxes) -> list[np.ndarray]:
    """For each photo its boxes and scores (N, 5), found by its path, name or number; (0, 5) where there are none.

    Raises InputError when no photo has any.
    """
    none = np.zeros((0, 5))
    matched, count = [], 0
    for photo in photos:
        number = coco_number(photo.name)
        keys = (str(photo), photo.name, photo.stem, number, str(number))
        key = next((key for key in keys if key is not None and key in boxes), None)
        matched.append(none if key is None else np.column_stack(boxes[key]))
        count += key is not None
    if not count and photos:
        raise InputError(
            f"the boxes are of other photos: image_id {next(iter(boxes), None)!r} and so on, but the photos are "
            f"{photos[0].name} and so on; an image_id has to be the file's name, or the number that it consists of"
        )
    return matched


def check_targets(photos: Sequence[Path], targets: Sequence[Path | None]) -> None:
    """Raises InputError when a drawing would take the place of a photo."""
    paths = {os.path.realpath(photo) for photo in photos}
    for target in targets:
        if target is not None and os.path.realpath(target) in paths:
            raise InputError(f"the drawing {target} would replace that photo; choose another output folder")


def bar_interval() -> float:
    """Seconds between two states of the progress bar: few lines for a log."""
    return 0.2 if sys.stderr.isatty() else 10.0


def counted(count: int, one: str, many: str = "") -> str:
    """A number with its noun."""
    return f"{count} {one if count == 1 else many or one + 's'}"
