"""Vitruvian finds keypoints: the joints of people in photos.

    import vitruvian

    predictor = vitruvian.load("person")
    poses = predictor.predict(["photo.jpg"], boxes=[[[10, 20, 110, 320]]])

Importing the package imports nothing else; a network needs torch only when it is loaded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from vitruvian.prediction import Predictor

__all__ = ["__version__", "load"]

__version__: str


def load(name_or_path: str | Path, device: str = "auto") -> Predictor:
    """A network that is ready to predict: see `vitruvian.prediction.load`."""
    from vitruvian import prediction

    return prediction.load(name_or_path, device)


def __getattr__(name: str) -> str:
    """`__version__`, which is looked up when it is asked for."""
    if name == "__version__":
        from importlib.metadata import version

        return version("vitruvian")
    raise AttributeError(f"module 'vitruvian' has no attribute {name!r}")
