"""What each command but `evaluate` does: its options, and the library's functions that it calls.

Whatever a command needs is imported when it runs, so that `--help` comes at once.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from vitruvian.cli.options import (
    DEFAULT_WEIGHTS,
    Parser,
    add_detector,
    add_device,
    add_fields,
    add_prediction,
    chosen_detector,
    fields_of,
    first_value,
    given_values,
    method_fields,
    parse,
    wants_help,
    whole_number,
)
from vitruvian.errors import InputError, nearest_name

if TYPE_CHECKING:
    from vitruvian.checkpoints import Fitted
    from vitruvian.data.labels import Labels
    from vitruvian.experiment import Experiment
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


def train_command(arguments: list[str]) -> int:
    """vitruvian train [RECIPE] --data FILE ..."""
    from vitruvian.runs import changed, read_run

    name = arguments.pop(0) if arguments and not arguments[0].startswith("-") else ""
    parser = train_parser(name)
    command = parser.prog.removeprefix("vitruvian ")
    config = first_value(arguments, "--config", command)
    data = first_value(arguments, "--data", command, "--dataset.path")
    labels, device = None, None
    if name:
        recipe = find_recipe(name)
        experiment = read_run(config, recipe()) if config else recipe()
        parser.description = (recipe.__doc__ or "").replace("\n    ", "\n")
    elif config:
        experiment = read_run(config)
    elif data and data != "synthetic":
        experiment, labels, device = experiment_for(data, arguments, command)
    elif wants_help(arguments):
        parser.print_help()
        return 0
    else:
        raise InputError(
            "what to train on? give keypoints of your own, vitruvian train --data FILE, or a recipe too, vitruvian "
            "train RECIPE --data FILE (vitruvian list names them all)"
        )
    fields = list(fields_of(experiment))
    add_fields(parser, fields)
    options = parser.read(arguments)
    experiment = changed(experiment, given_values(fields, options), "the options")
    whose = parse(options.joints, Literal["recipe", "data"], "--joints")

    from vitruvian.training import train
    from vitruvian.training.data import read_training
    from vitruvian.training.state import scored

    labels = labels or read_training(experiment.dataset)
    experiment = with_joints(experiment, whose, name or str(config), labels)
    output = Path(options.output or Path("runs", name or (Path(config).parent.name if config else Path(data).stem)))
    if device and labels:
        from vitruvian.training.choice import described

        print("\n".join(described(labels, experiment, device)))
    best = train(experiment, output, options.resume, options.deterministic, options.device, options.processes, labels)
    kept = "the best checkpoint is" if scored(output) else "nothing was scored: the kept checkpoint is the last one,"
    print(f"{kept} {best}; try: vitruvian predict PHOTO --weights {best}")
    return 0


def experiment_for(data: str, arguments: list[str], command: str) -> tuple[Experiment, Labels, Literal["cpu", "cuda"]]:
    """The experiment that fits a file of keypoints of one's own, its labels, and the device that it is for."""
    from vitruvian.data.reading import read_labels
    from vitruvian.devices import choose_device
    from vitruvian.experiment import Dataset
    from vitruvian.training.choice import fitting_experiment

    images = first_value(arguments, "--images", command, "--dataset.images")
    category = first_value(arguments, "--category", command, "--dataset.category")
    split = first_value(arguments, "--split", command, "--dataset.split")
    labels = read_labels(data, images, keep_content=True, category=category, split=split)
    val_path = first_value(arguments, "--dataset.val-path", command)
    dataset = Dataset(path=data, images=images, category=category, split=split, val_path=val_path)
    chosen = choose_device(first_value(arguments, "--device", command) or "auto")
    device = "cuda" if chosen.type == "cuda" else "cpu"
    return fitting_experiment(labels, dataset, device), labels, device


def train_parser(recipe: str) -> Parser:
    """The options of `vitruvian train` beside those of the experiment."""
    parser = Parser(
        f"train {recipe or '[RECIPE]'}",
        "Trains a network. RECIPE says what and how, and each of its fields can be set by an option:\n"
        "vitruvian train RECIPE --help names them, vitruvian list the recipes. Without RECIPE,\n"
        "vitruvian train --data FILE picks what fits keypoints of your own and says what it picked.",
    )
    parser.add_argument("--config", metavar="FILE", help="run.yaml of a run to repeat; options win over it")
    whose = "whose joints are learnt: recipe, or data, for keypoints of one's own (default: recipe)"
    parser.add_argument("--joints", metavar="WHOSE", default="recipe", help=whose)
    parser.add_argument("--output", metavar="FOLDER", help="where the run goes (default: runs/RECIPE)")
    parser.add_argument("--resume", action="store_true", help="go on with the run that the folder holds")
    parser.add_argument("--deterministic", action="store_true", help="the same bits every time; slower on a GPU")
    add_device(parser)
    parser.add_argument("--processes", metavar="N", type=whole_number, default=1, help="GPUs that share each step")
    return parser


def find_recipe(name: str) -> Callable[[], Experiment]:
    """The recipe of a name; raises InputError with the nearest one if there is none."""
    from vitruvian.methods import recipes

    found = recipes()
    if name not in found:
        near = nearest_name(name, found)
        raise InputError(f"there is no recipe {name!r}; the nearest is {near!r} (vitruvian list names them all)")
    return found[name]


def with_joints(experiment: Experiment, whose: str, recipe: str, labels: Labels | None) -> Experiment:
    """The experiment with its own joints, or where `whose` is "data" with those that its data have labelled.

    Raises InputError where they are its own and the data have others.
    """
    from dataclasses import replace

    from vitruvian.data.labels import require_joints
    from vitruvian.data.space import can_convert
    from vitruvian.skeletons import joint_difference

    if labels is None:  # synthetic people have whatever joints are learnt
        return experiment
    own, of_data = experiment.skeleton, labels.skeleton
    if whose == "data" and joint_difference(of_data, own):
        print(f"learning the {of_data.num_joints} joints of {labels.path}, not the {own.num_joints} of {recipe}")
        return replace(experiment, skeleton=of_data)
    if can_convert(of_data, own):
        return experiment
    remedy = "give data with these, or learn those of the data: --joints data"
    require_joints(labels, own, f"{recipe} learns", remedy)
    return experiment


def import_command(arguments: list[str]) -> int:
    """vitruvian import-weights FILE RECIPE --output OUT.safetensors"""
    parser = import_parser()
    recipe = recipe_among(arguments) if len(arguments) > 1 else ""  # --help alone comes at once
    assumed: tuple[str, ...] = ()
    if recipe:
        experiment = find_recipe(recipe)()
    elif path := file_among(arguments):
        found = recognised(path)
        if found is None:
            return import_backbone(parser.read(arguments))
        experiment, assumed = found
    else:
        raise InputError(f"{parser.read(arguments).file}: there is no such file")
    fields = method_fields(experiment)
    add_fields(parser, fields)
    options = parser.read(arguments)

    from dataclasses import replace
    from importlib import import_module

    from vitruvian import checkpoints
    from vitruvian.checkpoints.foreign import read_foreign
    from vitruvian.data.reading import read_skeleton
    from vitruvian.files import check_place
    from vitruvian.methods import build_empty, experiment_to_dict, method_name
    from vitruvian.runs import changed

    check_place(options.output)
    experiment = changed(experiment, given_values(fields, options), "the options")
    if options.joints:
        experiment = replace(experiment, skeleton=read_skeleton(options.joints))
    names = import_module(f"vitruvian.methods.{method_name(experiment)}.weights")
    state = checkpoints.state_dict_of(read_foreign(options.file), options.file)
    method = build_empty(experiment)
    try:
        fitted = names.from_reference(state, method)
    except InputError as error:
        taken = options.recipe or method_name(experiment)
        raise InputError(
            f"{options.file}: {error}; perhaps it is of another recipe than {taken}, "
            f"of other fields (vitruvian import-weights FILE {options.recipe or 'RECIPE'} --help) or of other joints "
            "(--joints)"
        ) from None
    source = {"imported_from": Path(options.file).name}
    checkpoints.save(options.output, fitted.state, experiment_to_dict(experiment), source)
    print(f"{options.output}: {len(fitted.state)} tensors from {options.file}")
    for assumption in assumed:
        print(f"assumed, for the file does not say: {assumption}")
    print_fit(fitted)
    return 0


def print_fit(fitted: Fitted) -> None:
    """Prints which tensors have no partner, and why."""
    for what, reasons in (("dropped", fitted.dropped), ("not in the file", fitted.kept)):
        for reason in dict.fromkeys(reasons.values()):
            names = [name for name, given in reasons.items() if given == reason]
            print(f"{what}, {reason}: {', '.join(names)}")


def import_backbone(options: Any) -> int:
    """vitruvian import-weights of a file that holds a backbone alone."""
    from vitruvian.backbones import build_backbone
    from vitruvian.backbones.weights import convert_backbone
    from vitruvian.checkpoints import state_dict_of
    from vitruvian.checkpoints.foreign import read_foreign
    from vitruvian.files import check_place
    from vitruvian.geometry import Framing
    from vitruvian.recognition import backbone_of

    check_place(options.output)
    state = state_dict_of(read_foreign(options.file), options.file)
    config = backbone_of({name: tuple(tensor.shape) for name, tensor in state.items()}, options.file)
    own = build_backbone(config, Framing().size).network.state_dict()
    fitted = convert_backbone(state, own, options.file, options.output)
    print(
        f"{options.output}: {len(fitted.state)} tensors from {options.file}: {config.name}, a backbone without a head"
    )
    print(
        "it finds no keypoints by itself; start a training from it: vitruvian train RECIPE "
        f"--method.backbone.name {config.name} --method.backbone.weights {options.output}"
    )
    print_fit(fitted)
    return 0


def file_among(arguments: list[str]) -> str:
    """The first argument that is a file and no option's value; or empty."""
    pairs = zip(["", *arguments], arguments)
    return next((given for before, given in pairs if not before.startswith("--") and Path(given).is_file()), "")


def recognised(path: str) -> tuple[Experiment, tuple[str, ...]] | None:
    """The experiment that a file of another program's is taken for, and what was assumed; None for a backbone alone."""
    from vitruvian import checkpoints
    from vitruvian.checkpoints.foreign import read_foreign
    from vitruvian.methods import method_name
    from vitruvian.recognition import is_backbone_alone, recognise

    content = read_foreign(path)
    state = checkpoints.state_dict_of(content, path)
    if is_backbone_alone(state):
        return None
    experiment, assumed = recognise(content, state, path)
    method: Any = experiment.method
    print(f"{path}: {method_name(experiment)}, {method.backbone.name}, {experiment.skeleton.num_joints} joints")
    return experiment, assumed


def import_parser() -> Parser:
    """The options of `vitruvian import-weights` beside those of the recipe's method."""
    parser = Parser(
        "import-weights",
        "Makes a checkpoint of the weights that another program has trained. Options say in what the network differs\n"
        "from RECIPE's, as in --method.backbone.name resnet101: import-weights FILE RECIPE --help names them.",
        "FILE [RECIPE] --output OUT.safetensors [options]",
    )
    parser.add_argument("file", metavar="FILE", help="PyTorch, pickle, NumPy or safetensors file; no code in it is run")
    recipe = "what network they are of (vitruvian list; default: what the file is recognised as)"
    parser.add_argument("recipe", metavar="RECIPE", nargs="?", default="", help=recipe)
    parser.add_argument("--output", metavar="FILE", required=True, help="the checkpoint to write, .safetensors")
    whose = "annotations whose joints the network finds, in their order (default: the recipe's joints)"
    parser.add_argument("--joints", metavar="DATA", help=whose)
    return parser


def recipe_among(arguments: list[str]) -> str:
    """The recipe that stands among arguments, wherever; else what stands in its usual place, the second; or empty."""
    from vitruvian.methods import recipes

    names = recipes()
    if found := next((argument for argument in arguments if argument in names), ""):
        return found
    usual = arguments[:2]
    return usual[1] if len(usual) == 2 and not any(argument.startswith("-") for argument in usual) else ""


def shrink_command(arguments: list[str]) -> int:
    """vitruvian shrink FILE --output OUT.safetensors"""
    parser = Parser(
        "shrink",
        "Makes the file to hand on of a checkpoint: half the size, with no folders of the machine that trained it.",
        "FILE --output OUT.safetensors [options]",
    )
    parser.add_argument("file", metavar="FILE", help="a checkpoint, such as best.safetensors of a run")
    parser.add_argument("--output", metavar="FILE", required=True, help="the checkpoint to write, .safetensors")
    parser.add_argument("--score", metavar="TEXT", default="", help='for vitruvian list: "PCK@0.2 43.6 on LSPET val"')
    options = parser.read(arguments)

    from vitruvian import checkpoints

    state, experiment = checkpoints.load(options.file)
    dataset = {key: without_machine(value) for key, value in experiment.get("dataset", {}).items()}
    training = dict(experiment.get("training", {}), start_from="")
    score = {"score": options.score} if options.score else None
    checkpoints.save(options.output, state, {**experiment, "dataset": dataset, "training": training}, score, half=True)
    sizes = (Path(path).stat().st_size / 1e6 for path in (options.file, options.output))
    print("{}: {:.1f} MB, before {:.1f} MB".format(options.output, *reversed(list(sizes))))
    return 0


def without_machine(value: Any) -> Any:
    """A path with its last three parts, which say what data they are; other values as they are."""
    return Path(*Path(value).parts[-3:]).as_posix() if isinstance(value, str) and value else value


def list_command(arguments: list[str]) -> int:
    """vitruvian list"""
    Parser("list", "Names the networks that come with Vitruvian, the methods and the recipes.").read(arguments)
    from vitruvian.methods import METHODS, recipes
    from vitruvian.prediction import SHIPPED

    print("networks (--weights NAME):")
    print(columns([shipped_row(path) for path in sorted(SHIPPED.glob("*.safetensors"))]) or "  none")
    print("\nmethods:")
    print(
        columns([[f"  {name}", first_sentence(sys.modules[one.__module__].__doc__)] for name, one in METHODS.items()])
    )
    print("\nrecipes (vitruvian train RECIPE --data FILE):")
    print(columns([[f"  {name}", first_sentence(recipe.__doc__)] for name, recipe in recipes().items()]))
    return 0


def shipped_row(path: Path) -> list[str]:
    """Name, joints, input and file size, and the score that the file says, of a shipped network."""
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        metadata = file.metadata()
    experiment = json.loads(metadata["experiment"])
    joints = f"{len(experiment['skeleton']['joints'])} joints of {experiment['skeleton']['name']}"
    width, height = experiment["method"]["framing"]["size"]
    size = f"{width}x{height} px, {path.stat().st_size / 1e6:.1f} MB"
    return [f"  {path.stem}", experiment["name"], joints, size, metadata.get("score", "")]


def first_sentence(text: str | None) -> str:
    """The first sentence of a docstring, as one line."""
    paragraph = " ".join((text or "").strip().partition("\n\n")[0].split())
    return paragraph.partition(". ")[0].removesuffix(".")


def columns(rows: list[list[str]]) -> str:
    """Rows of text with their columns below each other; empty without rows."""
    widths = [max(map(len, column)) for column in zip(*rows)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows)
