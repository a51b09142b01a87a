"""AudioSeal's two files with random weights, laid out as the published ones are."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from audioseal.builder import (
    AudioSealDetectorConfig,
    AudioSealWMConfig,
    create_detector,
    create_generator,
)
from audioseal.loader import AudioSeal, load_local_model_config
from omegaconf import OmegaConf


def write_random_audioseal(folder: Path, *, hears: Sequence[int] = (), seed: int = 7) -> Path:
    """Write both files into `folder`. With `hears`, the detector finds those bits in any sound."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(seed)
    for card, kind, create, name in (
        ("audioseal_wm_16bits", AudioSealWMConfig, create_generator, "generator_base.pth"),
        (
            "audioseal_detector_16bits",
            AudioSealDetectorConfig,
            create_detector,
            "detector_base.pth",
        ),
    ):
        values: Any = OmegaConf.to_container(load_local_model_config(card))
        model: Any = create(AudioSeal.parse_config(values, config_type=kind))
        state = model.state_dict()
        if hears and name.startswith("detector"):
            last = [key for key in state if key.startswith("detector.1.")]
            state[next(key for key in last if key.endswith("weight"))].zero_()
            bias = torch.tensor([-5.0, 5.0, *(5.0 if bit else -5.0 for bit in hears)])
            state[next(key for key in last if key.endswith("bias"))].copy_(bias)
        # as published: the training's configuration lies in it, as an object of omegaconf
        settings = OmegaConf.create({"nbits": 16, "seanet": {"ratios": [8, 5, 4, 2], "norm": None}})
        published = {key.replace(".inner_conv", ""): value for key, value in state.items()}
        torch.save({"xp.cfg": settings, "model": published}, folder / name)
    return folder
