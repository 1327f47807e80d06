"""`vitruvian predict`: its options, and what they call."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from vitruvian.cli.options import (
    DEFAULT_WEIGHTS,
    Parser,
    add_detector,
    add_prediction,
    chosen_detector,
    parse,
)
from vitruvian.errors import InputError, nearest_name

if TYPE_CHECKING:
    from vitruvian.skeletons import Skeleton

BOX_THRESHOLD = 0.3
"""Score from which a detected box is taken for a person: detection files also list hundreds of guesses a photo."""


def predict_command(arguments: list[str]) -> int:
    """vitruvian predict PHOTO ..."""
    options = predict_parser().read(arguments)
    given = [option for option in ("--box", "--boxes", "--detector") if getattr(options, option[2:])]
    if len(given) > 1:
        raise InputError(f"{' and '.join(given)} were both given; say in one way where the people are")
    boxes: Any = [[parse(text, float, "--box") for text in box] for box in options.box] or None
    if options.box_threshold is not None and not options.boxes:
        raise InputError("--box-threshold is for the scores in a file of boxes; give --boxes FILE, or leave it out")
    threshold = None if options.threshold is None else parse(options.threshold, float, "--threshold")
    box_threshold = parse(options.box_threshold or str(BOX_THRESHOLD), float, "--box-threshold")

    from vitruvian.images import list_images
    from vitruvian.prediction.space import Viewpoint

    camera: Any = tuple(parse(text, float, "--camera") for text in options.camera) if options.camera else None
    root_depth = None if options.root_depth is None else parse(options.root_depth, float, "--root-depth")
    viewpoint = Viewpoint(camera, root_depth)
    photos, problems = list_images(options.photos)
    detector = chosen_detector(options)

    from vitruvian.data.boxes import read_boxes
    from vitruvian.prediction import load
    from vitruvian.prediction.files import predict_files

    if options.boxes:
        boxes = read_boxes(options.boxes)
    predictor = load(options.weights, options.device)
    report = predict_files(
        predictor,
        photos,
        Path(options.output),
        boxes,
        options.flip,
        options.batch_size,
        threshold,
        options.drawings,
        box_threshold=box_threshold,
        detector=detector,
        joints=named_joints(options.joints) if options.joints else None,
        viewpoint=viewpoint,
    )
    report.failed[:0] = problems
    print("\n".join(report.lines()))
    return 2 if report.failed else 0


def named_joints(name: str) -> Skeleton:
    """A known skeleton, or that of an annotation file."""
    from vitruvian.data.reading import read_skeleton
    from vitruvian.skeletons import SKELETONS

    if name in SKELETONS:
        return SKELETONS[name]
    if not Path(name).exists():
        near = nearest_name(name, SKELETONS)
        raise InputError(f"--joints {name}: neither a file nor a known skeleton; the nearest is {near!r}")
    return read_skeleton(name)


def predict_parser() -> Parser:
    """The options of `vitruvian predict`."""
    from vitruvian.detection import THRESHOLD

    parser = Parser(
        "predict",
        "Finds the joints of people in photos; writes results.json (COCO keypoint results) and a drawing of each.",
        "PHOTO ... [options]",
    )
    add = parser.add_argument
    add("photos", metavar="PHOTO", nargs="+", help="photos, folders, patterns, or .txt files with a photo per line")
    add("--weights", metavar="NAME|FILE", default=DEFAULT_WEIGHTS, help=f"the network (default: {DEFAULT_WEIGHTS})")
    add("--boxes", metavar="FILE", help="the people's boxes, as COCO JSON (default: each whole photo is one person)")
    corners = ("X0", "Y0", "X1", "Y1")
    add("--box", nargs=4, metavar=corners, action="append", default=[], help="a person in each photo, px; repeatable")
    add_detector(parser, THRESHOLD)
    add("--output", metavar="FOLDER", default="predictions", help="where the results go (default: predictions)")
    floor = f"leave out boxes of --boxes FILE with a score below this (default: {BOX_THRESHOLD})"
    add("--box-threshold", metavar="SCORE", help=floor)
    drawn = "draw joints with a score above this; results.json has them all (default: 0.2; for sar, whose scores are"
    add("--threshold", metavar="SCORE", help=f"{drawn} shares of a map and small, 0, which draws them all)")
    whose = "whose joints results.json has, found by name: a known skeleton, such as coco, or annotations"
    add("--joints", metavar="NAME|DATA", help=f"{whose} (default: the network's)")
    seen = "for networks in space: focal lengths and centre of the camera, px"
    numbers = ("FX", "FY", "CX", "CY")
    add("--camera", nargs=4, metavar=numbers, help=f"{seen} (default: 1.15 of the longer side, and the middle)")
    distance = "distance of everybody's pelvis (default: where the crop's longer side measures 2 m)"
    add("--root-depth", metavar="MM", help=f"for networks in space: {distance}")
    add("--no-drawings", dest="drawings", action="store_false", help="only write results.json")
    add_prediction(parser)
    return parser
