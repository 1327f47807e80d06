"""`vitruvian data`: says what a file of annotations, boxes or results holds, and all that is wrong with it."""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vitruvian.cli.options import SPLIT_HELP, Parser, whole_number
from vitruvian.errors import InputError, nearest_name

if TYPE_CHECKING:
    from vitruvian.data.inspection import Inspection

SYNTHETIC = "synthetic"
"""PATH of people who are drawn; `vitruvian.data.synthetic` has the same, and takes a while to load."""

SHOWN = 10
"""Lines of one kind that are printed; the file that the command writes has all."""

SHARES = "per cent of people with joints"

MOST_JOINTS = 30
"""So many joints get a line each."""


def data_command(arguments: list[str]) -> int:
    """vitruvian data PATH"""
    options = data_parser().read(arguments)
    if options.path == SYNTHETIC:
        options.path = str(draw_scenes(options))

    from vitruvian.data.cofw import write_photos
    from vitruvian.data.inspection import inspect, sheet_of
    from vitruvian.files import make_folder, write_atomically
    from vitruvian.images import write_image

    if options.extract:
        count = write_photos(Path(options.path), Path(options.extract))
        print(f"{count} photos written to {options.extract}")
    images = options.images or options.extract or ""
    found = inspect(options.path, images, options.data or "", options.category, options.split)
    folder = make_folder(options.output)
    sheet = sheet_of(found)
    written = []
    if sheet is not None:
        write_image(folder / "sheet.jpg", sheet)
        written.append(f"a sheet of {min(len(found.pictures), 24)} photos in {folder / 'sheet.jpg'}")
    report = Path(options.json or folder / "data.json")
    text = json.dumps(as_json(found), indent=1) + "\n"
    write_atomically(report, lambda temporary: temporary.write_text(text, encoding="utf-8"))
    written.append(f"all of this in {report}")
    print("\n".join([*lines_of(found), "", *written]))
    return 2 if found.problems else 0


def data_parser() -> Parser:
    """The options of `vitruvian data`."""
    parser = Parser(
        "data",
        "Says what a file holds: annotations of any format that the library reads, detected boxes, or results; lists\n"
        "all that is wrong with it and with its photos, and draws a sheet of photos with the labels. Nothing of it is\n"
        "changed. Exit code 0: no problem was found, though there may be notes; 2: there are problems.\n"
        "PATH synthetic draws people first: photos and annotations in the folder of the output.",
        "PATH [options]",
    )
    add = parser.add_argument
    add("path", metavar="PATH", help="the file; for points of 300W (.pts) their folder")
    add("--images", metavar="FOLDER", default="", help="the photos (default: the usual places beside the file)")
    add("--data", metavar="FILE", help="for boxes and results: the annotations of their photos")
    add("--category", metavar="NAME", default="", help="in COCO format, what is looked at (default: the first)")
    add("--split", metavar="NAME", default="", help=SPLIT_HELP)
    add("--output", metavar="FOLDER", default="inspection", help="for sheet.jpg and data.json (default: inspection)")
    add("--json", metavar="FILE", help="for the report alone, in place of data.json")
    drawn = (
        "for PATH synthetic, people who are drawn: so many scenes are written, as photos and annotations (default: 24)"
    )
    add("--count", metavar="N", type=whole_number, default=24, help=drawn)
    one = "write crops of one person each, so many pixels wide and high, as top-down training draws them"
    add("--crops", metavar="SIDE", type=whole_number, help=one)
    add("--seed", metavar="N", type=int, default=0, help="of synthetic people (default: 0)")
    add("--joints", metavar="NAME", default="coco", help="of synthetic people: coco, lsp, mpii ... (default: coco)")
    add(
        "--poses", metavar="FILE", default="", help="motion capture for synthetic people (default: the package's poses)"
    )
    add("--backgrounds", metavar="FOLDER", default="", help="photos behind synthetic people (default: drawn ones)")
    held = "pose synthetic people as motion that training keeps aside does, to score networks on"
    add("--held-back", action="store_true", help=held)
    add("--extract", metavar="FOLDER", help="write the photos that a file of COFW holds into this folder first")
    return parser


def draw_scenes(options: argparse.Namespace) -> Path:
    """Writes scenes of synthetic people into the folder of the output; returns the annotation file."""
    from vitruvian.data.synthetic import SyntheticPeople, write_crops, write_scenes
    from vitruvian.images import list_images
    from vitruvian.skeletons import SKELETONS

    if options.joints not in SKELETONS:
        near = nearest_name(options.joints, SKELETONS)
        raise InputError(f"--joints is {options.joints!r}, which is no skeleton; the nearest is {near!r}")
    if options.seed < 0:
        raise InputError(f"--seed is {options.seed}; give 0 or more")
    photos = tuple(list_images([options.backgrounds])[0]) if options.backgrounds else ()
    people = SyntheticPeople(SKELETONS[options.joints], options.seed, options.poses, photos, options.held_back)
    if options.crops:
        return write_crops(people, options.output, options.count, options.crops)
    return write_scenes(people, options.output, options.count)


def as_json(found: Inspection) -> dict[str, Any]:
    """An inspection as plain values."""
    about = {"path": str(found.path), "format": found.form}
    return {**about, **found.facts, "problems": found.problems, "notes": found.notes}


def lines_of(found: Inspection) -> list[str]:
    """What is printed of an inspection."""
    facts = found.facts
    lines = [f"{found.path}: {found.form}"]
    if "people" in facts:
        lines[0] += f", {facts['joints']} joints of {facts['skeleton']!r}" + (" in space" if facts["in space"] else "")
        lines += ["", *lines_of_labels(facts), *lines_of_joints(found)]
    elif facts:
        lines[0] += (
            f", {facts['records']} records of {facts['images']} images, at most {facts['most of an image']} each"
        )
        lines.append(f"scores {ranged(facts['scores'])}")
        if "images without any" in facts:
            lines.append(f"{facts['images without any']} images of the annotations have none")
    for title, texts in (("note", found.notes), ("problem", found.problems)):
        if texts:
            lines += ["", f"{len(texts)} {title}{'s' * (len(texts) > 1)}:", *shortened(texts)]
    if not found.problems:
        lines += ["", "no problem found"]
    return lines


def lines_of_labels(facts: dict[str, Any]) -> list[str]:
    """How many images and people there are, and their sizes."""
    count = facts["images"] - facts["photos found"]
    missing = f", {count} missing or damaged" if count else ""
    rows = [
        ("images", f"{facts['images']}, {facts['images without people']} of them without people"),
        ("photos", f"{facts['photos found']} in {facts['folder of the photos']}{missing}"),
        ("  width, height", f"{ranged(facts['photo widths'])}; {ranged(facts['photo heights'])} px"),
        ("people", f"{facts['people']}, at most {facts['most people in an image']} in an image"),
        ("  to be ignored", f"{facts['ignored']}"),
        ("  no joint", f"{facts['without a labelled joint']} more without a labelled joint"),
        ("  no extent", f"{facts['without extent']} more whose box or area has none"),
        ("boxes", f"longer side {ranged(facts['box sides'])} px"),
    ]
    return [f"{name.ljust(16)} {text}" for name, text in rows if not text.startswith("0 more")]


def lines_of_joints(found: Inspection) -> list[str]:
    """The share of people in whom each joint is labelled, and seen; of large skeletons each part's mean."""
    skeleton = found.skeleton
    if skeleton is None or not found.facts["people"]:
        return []
    labelled, seen = (list(found.facts[key].values()) for key in ("labelled", "seen"))
    groups = {name: (index,) for index, name in enumerate(skeleton.joints)}
    if len(groups) > MOST_JOINTS:
        groups = {name: part for name, part in skeleton.parts.items() if name not in ("upper", "lower")}
        groups = groups or {"all joints": tuple(range(skeleton.num_joints))}
    width = max(len(SHARES), *(len(name) + 2 for name in groups))
    lines = ["", f"{SHARES.ljust(width)}  labelled   seen"]
    for name, part in groups.items():
        shares = (100 * sum(values[joint] for joint in part) / len(part) for values in (labelled, seen))
        lines.append(f"  {name}".ljust(width) + "  {:8.1f} {:6.1f}".format(*shares))
    return lines


def ranged(values: list[float]) -> str:
    """Least, median and largest in words."""
    if not values:
        return "unknown"
    low, middle, high = (f"{value:g}" for value in values)
    return low if low == high else f"{low} to {high}, median {middle}"


def shortened(texts: list[str]) -> list[str]:
    """The first lines of each kind; lines of one kind differ in their numbers and in what stands in quotes alone."""
    kinds: dict[str, list[str]] = {}
    for text in texts:
        kinds.setdefault(re.sub(r"'[^']*'|\S*[\d/]\S*", "#", text), []).append(text)
    lines = []
    for alike in kinds.values():
        lines += [f"  {text}" for text in alike[:SHOWN]]
        if len(alike) > SHOWN:
            lines.append(f"  ... and {len(alike) - SHOWN} more like these")
    return lines
