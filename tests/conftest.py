"""Options of the test run, and what it says about parity cases that nothing is built for yet."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parent.parent


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--parity", default=None, help="folder of parity cases, with fill.py at its root")


def pytest_configure(config: pytest.Config) -> None:
    chosen = config.getoption("--parity") or os.environ.get("VITRUVIAN_PARITY") or ROOT.parent / "shared" / "parity"
    config.parity_folder = Path(chosen).resolve()  # type: ignore[attr-defined]
    if os.environ.get("PYTEST_XDIST_WORKER"):
        torch.set_num_threads(1)


def pytest_terminal_summary(terminalreporter, exitstatus, config: pytest.Config) -> None:
    from test_parity import is_not_built  # the module of this folder

    names = []
    for path in sorted(config.parity_folder.glob("*/*/case.json")):  # type: ignore[attr-defined]
        description = json.loads(path.read_text())
        if is_not_built((description["system"], description["kind"])):
            names.append(f"{description['system']}/{description['kind']}")
    if names:
        kinds = ", ".join(f"{kind} x{names.count(kind)}" for kind in sorted(set(names)))
        terminalreporter.write_line(f"parity: {len(names)} cases deselected, not built yet: {kinds}")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data; tests that ask for it are skipped where it is absent."""
    folder = Path(os.environ.get("VITRUVIAN_DATA") or ROOT.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder} (set $VITRUVIAN_DATA)")
    return folder
