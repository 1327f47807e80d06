"""`vitruvian train`: its options, and what they call."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from vitruvian.cli.options import (
    Parser,
    add_device,
    add_fields,
    fields_of,
    first_value,
    given_values,
    parse,
    wants_help,
    whole_number,
)
from vitruvian.errors import InputError, nearest_name

if TYPE_CHECKING:
    from vitruvian.data.labels import Labels
    from vitruvian.experiment import Experiment


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
