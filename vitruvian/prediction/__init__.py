"""Prediction: a trained network and photos in, poses in pixels of the photos out.

Networks are run by PyTorch (`networks.py`) or, once exported, by ONNX Runtime (`exported.py`). All else in this folder
loads without torch.
"""

from __future__ import annotations

from pathlib import Path

from vitruvian.errors import InputError, nearest_name
from vitruvian.prediction.streaming import Prediction, Predictor

__all__ = ["SHIPPED", "Prediction", "Predictor", "checkpoint_path", "is_exported", "load", "shipped"]

SHIPPED = Path(__file__).parents[1] / "weights"
"""The networks that come with the package: NAME.safetensors."""


def load(name_or_path: str | Path, device: str = "auto") -> Predictor:
    """A network that is ready to predict.

    Args:
        name_or_path: a shipped network (see `shipped`), or the path of a checkpoint that training or `import-weights`
            wrote, or of a .onnx file that `export` wrote, which runs without torch. Where a name could be both, it is
            the shipped network's.
        device: "auto" (a GPU of CUDA if there is one), or one of `devices.available_devices`; "cuda" is the first GPU.
            A .onnx file runs on the CPU only.

    Raises:
        InputError: there is no such network, the file is damaged or of another program, or there is no such device.
    """
    path = checkpoint_path(name_or_path)
    if is_exported(path):
        from vitruvian.prediction.exported import load_exported

        return load_exported(path, device)
    from vitruvian.prediction.networks import load_network

    return load_network(path, device)


def is_exported(path: str | Path) -> bool:
    """Whether a path is that of an exported network, by its name."""
    return Path(path).suffix.lower() == ".onnx"


def shipped() -> list[str]:
    """The names of the networks that come with the package."""
    return sorted(path.stem for path in SHIPPED.glob("*.safetensors"))


def checkpoint_path(name_or_path: str | Path) -> Path:
    """The file of a shipped network's name, or the path as it is; raises InputError if it is neither."""
    path = Path(name_or_path)
    names = shipped()
    if str(name_or_path) in names:
        return SHIPPED / f"{name_or_path}.safetensors"
    if path.is_dir():
        raise InputError(f"{path} is a folder; name the checkpoint in it (best.safetensors of a run)")
    if path.is_file() or path.suffix or len(path.parts) > 1:
        return path
    near = f"the nearest is {nearest_name(str(path), names)!r} of {', '.join(names)}" if names else "none is installed"
    raise InputError(f"there is no network {str(path)!r}: {near}; give a name, or the path of a checkpoint")
