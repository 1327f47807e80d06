"""`vitruvian import-weights` and `shrink`: checkpoints of others, and checkpoints to hand on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from vitruvian.cli.options import Parser, add_fields, given_values, method_fields
from vitruvian.cli.train import find_recipe
from vitruvian.errors import InputError

if TYPE_CHECKING:
    from vitruvian.checkpoints import Fitted
    from vitruvian.experiment import Experiment


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
