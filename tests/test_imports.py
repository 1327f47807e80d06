"""The layout's two rules about imports: they only point upwards, and some files load without torch."""

from __future__ import annotations

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "vitruvian"

ORDER = [
    "errors",
    "typed_values",
    "files",
    "signals",
    "skeletons",
    "sample",
    "geometry",
    "cameras",
    "image_headers",
    "images",
    "crops",
    "draw",
    "augment",
    "checkpoints",
    "data",
    "metrics",
    "coordinates",
    "heatmaps",
    "layers",
    "backbones",
    "experiment",
    "budgets",
    "methods",
    "recognition",
    "runs",
    "devices",
    "detection",
    "prediction",
    "export",
    "evaluation",
    "training",
    "cli",
    "__main__",
]
"""The package from the foundation to the door: a file imports only from above or its own folder."""

WITHOUT_TORCH = [
    "skeletons",
    "sample",
    "geometry",
    "cameras",
    "images",
    "draw",
    "crops",
    "augment",
    "metrics",
    "errors",
    "files",
    "data.boxes",
    "prediction",
    "prediction.files",
    "evaluation",
]

FILES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")
MODULES = {".".join(p.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__"): p for p in FILES}


def module_of(path: Path) -> str:
    """The entry of ORDER that a file belongs to: its folder or its own name."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(path: Path, types: bool = True) -> set[str]:
    """Modules of the package that a file imports, wherever in the file; `types`: also for annotations only."""
    tree = ast.parse(path.read_text())
    unused = set() if types else {node for block in tree.body if for_types(block) for node in ast.walk(block)}
    found = set()
    for node in ast.walk(tree):
        if node in unused:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            inside = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= inside & MODULES.keys() or {node.module}
    return {name for name in found if name.startswith("vitruvian.")}


def for_types(block: ast.stmt) -> bool:
    """Whether a statement is `if TYPE_CHECKING:`."""
    return isinstance(block, ast.If) and isinstance(block.test, ast.Name) and block.test.id == "TYPE_CHECKING"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_upwards(path: Path) -> None:
    own = ORDER.index(module_of(path))
    for name in imported(path):
        other = name.split(".")[1]
        assert other in ORDER, f"{name} stands nowhere in ORDER"
        assert ORDER.index(other) <= own, f"{path.name} imports {name}, which lies below it"


@pytest.mark.parametrize("path", [p for p in FILES if p.parts[-3:-2] == ("methods",)], ids=lambda p: p.parent.name)
def test_a_method_imports_no_other_method(path: Path) -> None:
    own = f"vitruvian.methods.{path.parent.name}"
    assert not [name for name in imported(path) if name.startswith("vitruvian.methods.") and not name.startswith(own)]


def test_no_circle_of_imports() -> None:
    graph = {name: imported(path, types=False) & MODULES.keys() for name, path in MODULES.items()}
    assert len(list(TopologicalSorter(graph).static_order())) == len(MODULES)


def test_nothing_lies_deeper_than_a_method() -> None:
    assert not [path for path in FILES if len(path.relative_to(PACKAGE).parts) > 3]


@pytest.mark.parametrize("name", WITHOUT_TORCH)
def test_loads_without_torch(name: str) -> None:
    code = f"import sys, vitruvian.{name}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0, f"vitruvian.{name} imports torch"
