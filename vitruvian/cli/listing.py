"""`vitruvian list`: methods, recipes and networks by name."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from vitruvian.cli.options import Parser


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
