"""Detectors with random weights that a test can make: folders of transformers and a file of torchvision."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from torch import nn

LABELS = {0: "cat", 1: "kite", 2: "Person"}
SIZE = {"height": 64, "width": 96}
ENCODER = {"encoder_hidden_dim": 16, "encoder_ffn_dim": 16, "encoder_attention_heads": 2, "feat_strides": [8, 16, 32]}
DECODER = {"decoder_in_channels": [16] * 3, "decoder_ffn_dim": 16, "decoder_layers": 2, "decoder_attention_heads": 2}
NEITHER = {"d_model": 16, "num_queries": 7, "num_denoising": 0, "id2label": LABELS}


def rt_detr(folder: Path, sure: float = 4.0) -> Path:
    """A folder of a tiny RT-DETR; `sure` says how much it takes everything for a person."""
    transformers = pytest.importorskip("transformers")
    backbone = transformers.RTDetrResNetConfig(
        embedding_size=8,
        hidden_sizes=[8, 16, 24, 32],
        depths=[1, 1, 1, 1],
        layer_type="basic",
        out_features=["stage2", "stage3", "stage4"],
    )
    config = transformers.RTDetrConfig(
        backbone_config=backbone, encoder_in_channels=[16, 24, 32], **ENCODER, **DECODER, **NEITHER
    )
    return saved(transformers.RTDetrForObjectDetection, config, folder, sure)


def d_fine(folder: Path, sure: float = 4.0) -> Path:
    """A folder of a tiny D-FINE."""
    transformers = pytest.importorskip("transformers")
    backbone = transformers.HGNetV2Config(
        stem_channels=[3, 8, 8],
        stage_in_channels=[8, 16, 16, 16],
        stage_mid_channels=[8, 8, 8, 8],
        stage_out_channels=[16, 16, 16, 24],
        stage_num_blocks=[1, 1, 1, 1],
        stage_light_block=[False] * 4,
        stage_kernel_size=[3, 3, 3, 3],
        stage_numb_of_layers=[1, 1, 1, 1],
        embedding_size=8,
        hidden_sizes=[16, 16, 16, 24],
        depths=[1, 1, 1, 1],
        out_features=["stage2", "stage3", "stage4"],
    )
    config = transformers.DFineConfig(
        backbone_config=backbone,
        encoder_in_channels=[16, 16, 24],
        decoder_n_points=[2, 2, 2],
        max_num_bins=8,
        **ENCODER,
        **DECODER,
        **NEITHER,
    )
    return saved(transformers.DFineForObjectDetection, config, folder, sure)


def saved(kind: type, config: object, folder: Path, sure: float) -> Path:
    """Makes the network of a configuration and saves it with its image processor."""
    from transformers import RTDetrImageProcessor

    torch.manual_seed(0)
    model = kind(config)
    with torch.no_grad():
        for layer in model.model.decoder.class_embed:
            nn.init.normal_(layer.weight)
            layer.bias[2] = sure
    model.save_pretrained(folder)
    RTDetrImageProcessor(size=SIZE).save_pretrained(folder)
    return folder


def ssdlite(path: Path, sure: float = 4.0) -> Path:
    """A file of torchvision's SSDLite of 2 classes, as its training code saves it."""
    from torchvision.models.detection import ssdlite320_mobilenet_v3_large

    torch.manual_seed(0)
    model = ssdlite320_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=2)
    with torch.no_grad():
        for name, parameter in model.head.classification_head.named_parameters():
            if name.endswith("1.bias"):
                parameter.view(-1, 2)[:, 1] += sure
    path.parent.mkdir(exist_ok=True)
    torch.save({"model": model.state_dict(), "epoch": 3}, path)
    return path


def no_network(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    """Meanwhile nothing can be reached, and nothing was fetched before."""

    def refuse(*_arguments: object, **_options: object) -> None:
        raise OSError(101, os.strerror(101))

    monkeypatch.setattr("socket.create_connection", refuse)
    monkeypatch.setattr("socket.getaddrinfo", refuse)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
    monkeypatch.setenv("TORCH_HOME", str(cache))
