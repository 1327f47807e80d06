"""Devices: the CPU and the accelerators that PyTorch can use, by name."""

from __future__ import annotations

import torch

from vitruvian.errors import InputError


def choose_device(name: str | torch.device) -> torch.device:
    """The device that a name stands for; raises InputError that names the available ones if there is none."""
    available = available_devices()
    if str(name) == "auto":
        return torch.device("cuda" if "cuda:0" in available else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise InputError(f"device {str(name)!r} is unknown; available: auto, {', '.join(available)}") from None
    if device.type == "cpu" and not device.index:
        return torch.device("cpu")
    if f"{device.type}:{device.index or 0}" not in available:
        raise InputError(f"device {str(name)!r} is not there; available: auto, {', '.join(available)}")
    return device


def available_devices() -> list[str]:
    """The CPU, and each accelerator that PyTorch can use: cuda:0, cuda:1, mps:0, xpu:0."""
    accelerator = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    count = torch.accelerator.device_count() if accelerator else 0
    return ["cpu", *(f"{accelerator.type}:{index}" for index in range(count) if accelerator)]
