"""Devices by name: what the machine has, and messages about what it has not."""

from __future__ import annotations

import pytest
import torch

from vitruvian.devices import choose_device
from vitruvian.errors import InputError


@pytest.mark.parametrize("kind", ["mps", "xpu", "cuda"])
def test_devices_by_what_the_machine_has(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: torch.device(kind))
    monkeypatch.setattr(torch.accelerator, "device_count", lambda: 2)
    assert choose_device(kind) == torch.device(kind)
    assert choose_device(f"{kind}:1") == torch.device(kind, 1)
    assert choose_device("cpu:0") == choose_device(torch.device("cpu")) == torch.device("cpu")
    assert choose_device("auto").type == ("cuda" if kind == "cuda" else "cpu")
    other = "mps" if kind == "xpu" else "xpu"
    for name in (f"{kind}:2", other):
        with pytest.raises(InputError, match=f"'{name}' is not there; available: auto, cpu, {kind}:0, {kind}:1$"):
            choose_device(name)
