"""`vitruvian evaluate`: predicts a data set and scores the predictions, or scores a file of them."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vitruvian.cli.options import (
    DEFAULT_WEIGHTS,
    SPLIT_HELP,
    Parser,
    add_detector,
    add_fields,
    add_prediction,
    chosen_detector,
    first_value,
    given_values,
    method_fields,
    parse,
    wants_help,
)
from vitruvian.errors import InputError

if TYPE_CHECKING:
    from vitruvian.data.labels import Labels
    from vitruvian.evaluation.scoring import PckhWay
    from vitruvian.prediction import Predictor

DETECTED_FROM = 0.05
"""Score from which what a detector shows counts in an evaluation: AP ranks people, and gains by unlikely ones."""


def evaluate_command(arguments: list[str]) -> int:
    """vitruvian evaluate --data FILE ..."""
    parser = evaluate_parser()
    if wants_help(arguments) and not first_value(arguments, "--weights", "evaluate"):
        parser.print_help()
        return 0

    from vitruvian.data.labels import left_out
    from vitruvian.evaluation.scoring import figures_table, missing_figures, score_results, without_nan
    from vitruvian.files import check_place, write_atomically

    if first_value(arguments, "--results", "evaluate"):
        refuse_ignored(parser, arguments)
        options = parser.read(arguments)
        scores = options.json or Path(options.results).with_suffix(".scores.json")
        labels = labels_of(options)
        check_place(scores)
        figures = score_results(options.results, labels, pckh_way(options))
        figures = {"data": options.data, "results": options.results, **figures}
    else:
        predictor, weights, options = predictor_to_evaluate(parser, arguments)
        scores = options.json or Path(options.output, "scores.json")
        labels = labels_of(options)
        if lines := [line for line in (*labels.notes, left_out(labels)) if line]:
            print("\n".join(lines))
        figures = {"weights": weights, **predict_and_score(predictor, labels, options, scores)}
        print(f"{weights} on {options.data}, {len(labels.photos)} photos: " + conditions(figures))
    write_atomically(scores, lambda temporary: temporary.write_text(json.dumps(without_nan(figures), indent=1) + "\n"))
    print(f"{figures['people']} people annotated, {figures['poses']} poses found")
    if "joints" in figures:
        count, everything = len(figures["joints"]), labels.skeleton.num_joints
        print(f"{count} of the {everything} joints count, which the network has too: {', '.join(figures['joints'])}")
    print()
    print("\n\n".join(part for part in (figures_table(figures), *missing_figures(figures, labels)) if part))
    for note in figures.get("notes", ()):
        print(f"note: {note}")
    print(f"\nresults in {figures['results']}, scores in {scores}")
    return 0


def labels_of(options: argparse.Namespace) -> Labels:
    """What the options say to score against."""
    from vitruvian.data.reading import read_labels

    return read_labels(options.data, options.images, keep_content=True, category=options.category, split=options.split)


def evaluate_parser() -> Parser:
    """The options of `vitruvian evaluate` beside those of the network's method."""
    parser = Parser(
        "evaluate",
        "Predicts everybody in a data set into a file of COCO results, and scores the file.\n"
        "--weights NAME --help also names the fields of that network's method, which options can change.",
        "--data FILE [options]",
    )
    add = parser.add_argument
    add("--data", "--dataset.path", metavar="FILE", required=True, help="annotations to score against")
    add("--images", metavar="FOLDER", default="", help="the photos (default: the usual places beside the annotations)")
    add("--category", metavar="NAME", default="", help="in COCO format, whose keypoints (default: the first with any)")
    add("--split", metavar="NAME", default="", help=SPLIT_HELP)
    add("--weights", metavar="NAME|FILE", help=f"the network (default: {DEFAULT_WEIGHTS})")
    add("--detections", metavar="FILE", default="", help="detected boxes as COCO JSON (default: the annotated boxes)")
    add_detector(parser, DETECTED_FROM)
    add(
        "--output",
        metavar="FOLDER",
        default="evaluation",
        help="for results.json and scores.json (default: evaluation)",
    )
    add("--json", metavar="FILE", help="for the scores alone, in place of scores.json")
    add("--results", metavar="FILE", help="score this file of COCO results instead of predicting")
    modes = "box_keypoint, box_rle, box or keypoint"
    add("--score", metavar="MODE", help=f"what a person's score is made of: {modes} (default: the network's own)")
    ways = "inclusive, as MPII's own evaluation; or mmpose, where an error of just 0.5 heads is wrong"
    add("--pckh", metavar="WAY", default="inclusive", help=f"how PCKh counts: {ways} (default: inclusive)")
    add_prediction(parser)
    return parser


def predictor_to_evaluate(parser: Parser, arguments: list[str]) -> tuple[Predictor, str, argparse.Namespace]:
    """The network with the options' changes to its method, its file, and all options."""
    from vitruvian.prediction import checkpoint_path, is_exported, load

    weights = checkpoint_path(first_value(arguments, "--weights", "evaluate") or DEFAULT_WEIGHTS)
    if is_exported(weights):  # its method cannot be changed any more
        options = parser.read(arguments)
        return load(weights, options.device), str(weights), options

    from vitruvian.prediction.networks import predictor_of, read_network
    from vitruvian.runs import changed

    state, experiment = read_network(weights)
    fields = method_fields(experiment)
    add_fields(parser, fields)
    options = parser.read(arguments)
    experiment = changed(experiment, given_values(fields, options), "the options")
    return predictor_of(state, experiment, weights, options.device), str(weights), options


def refuse_ignored(parser: Parser, arguments: list[str]) -> None:
    """Raises InputError for an option that says how to predict: given results are scored as they are."""
    useful = (
        "--data",
        "--dataset.path",
        "--images",
        "--category",
        "--split",
        "--json",
        "--results",
        "--pckh",
        "--help",
    )
    for argument in arguments:
        name = argument.partition("=")[0].replace("_", "-")
        if name.startswith("--method.") or (name in parser.long_options() and name not in useful):
            raise InputError(
                f"{name} says how to predict, but --results FILE is scored as it is; leave one of them out"
            )


def predict_and_score(
    predictor: Predictor, labels: Labels, options: argparse.Namespace, scores: str | Path
) -> dict[str, Any]:
    """Figures of a network on labels, by way of a results file; `scores` is where they will be written."""
    from vitruvian.data.boxes import read_boxes
    from vitruvian.evaluation import evaluate
    from vitruvian.evaluation.detections import write_detections
    from vitruvian.evaluation.joints import shared_joints
    from vitruvian.files import check_place, make_folder
    from vitruvian.metrics.oks import ScoreMode

    if options.detector and options.detections:
        raise InputError("--detector and --detections were both given; say in one way where the people are")
    detections = options.detections
    boxes = read_boxes(detections, labels) if detections else None
    detector = chosen_detector(options)
    mode = parse(options.score, ScoreMode, "--score") if options.score else None
    results = make_folder(options.output) / "results.json"
    for path in (results, scores):
        check_place(path)  # now, and not after hours of prediction
    if detector:
        shared_joints(predictor.skeleton, labels)  # says now that there are none
        detections = str(results.with_name("detections.json"))
        write_detections(detector, labels, detections)
        boxes = read_boxes(detections, labels)
    figures = evaluate(predictor, labels, results, boxes, options.flip, options.batch_size, mode, pckh_way(options))
    return {**figures, "detections": detections, "detector": options.detector}


def pckh_way(options: argparse.Namespace) -> PckhWay:
    """How PCKh is counted."""
    from vitruvian.evaluation.scoring import PckhWay

    return parse(options.pckh, PckhWay, "--pckh")


def conditions(figures: dict[str, Any]) -> str:
    """Under which conditions figures were obtained, in words."""
    boxes = f"boxes of {figures['detections']}" if figures["detections"] else "annotated boxes with score 1"
    if figures["detector"]:
        boxes = f"boxes found by {figures['detector']}"
    return f"{boxes}, flip {'on' if figures['flip'] else 'off'}, person score {figures['score']}"
