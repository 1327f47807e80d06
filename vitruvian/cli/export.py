"""`vitruvian export`: a network as an ONNX file."""

from __future__ import annotations

from pathlib import Path

from vitruvian.cli.options import Parser, parse
from vitruvian.errors import InputError


def export_command(arguments: list[str]) -> int:
    """vitruvian export WEIGHTS --output model.onnx"""
    options = export_parser().read(arguments)
    tolerance = None if options.tolerance is None else parse(options.tolerance, float, "--tolerance")
    if tolerance is not None and tolerance < 0:
        raise InputError(f"--tolerance is {tolerance:g}, expected 0 px or more")

    from vitruvian.export import TOLERANCE, export
    from vitruvian.prediction.exported import description_path

    tolerance = TOLERANCE if tolerance is None else tolerance
    description, difference = export(options.weights, options.output, options.flip, options.photos, tolerance)
    width, height = description.framing.size
    views = "plain and mirrored crops" if description.flip else "crops as they are"
    size = Path(options.output).stat().st_size / 1e6
    print(f"{options.output}: {description.name}, {description.skeleton.num_joints} joints, {views}, {size:.1f} MB")
    print(
        f"takes pixels (batch, {height}, {width}, 3) uint8 RGB; {description_path(Path(options.output))} says the rest"
    )
    print(
        f"against PyTorch: at most {difference.points:.2g} px and {difference.scores:.2g} in a score apart, over "
        f"{difference.keypoints} keypoints of {difference.photos} photos (allowed: {tolerance:g} px)"
    )
    if difference.undecided:
        print(f"beside {difference.undecided} that lie between two places, of which PyTorch itself gives either")
    return 0


def export_parser() -> Parser:
    """The options of `vitruvian export`."""
    parser = Parser(
        "export",
        "Writes a network as ONNX, decoding and all: vitruvian predict --weights OUT.onnx runs it without PyTorch. It\n"
        "is compared with PyTorch on photos, and no file is left where the two differ.",
        "NAME|FILE --output OUT.onnx [options]",
    )
    add = parser.add_argument
    add("weights", metavar="NAME|FILE", help="the network: a shipped one's name, or a checkpoint")
    add("--output", metavar="FILE", required=True, help="the file to write, .onnx; FILE.json beside it describes it")
    flip = "merge what the mirrored crops give, too: more accurate, twice the time (default: --flip)"
    add("--flip", action="store_true", default=True, help=flip)
    add("--no-flip", dest="flip", action="store_false", help="only look at the crops as they are")
    photos = "what it is compared on: photos, folders, patterns (default: the four photos of the sources)"
    add("--photos", metavar="PHOTO", nargs="+", default=[], help=photos)
    add("--tolerance", metavar="PX", help="how far a keypoint may be off, pixels of the input (default: 0.05)")
    return parser
