"""What the tests of the commands share: a small data set and a network of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_run import make_data, make_weights


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_data(tmp_path_factory.mktemp("data"), 3)


@pytest.fixture(scope="module")
def weights(data: Path) -> Path:
    return make_weights(data)
