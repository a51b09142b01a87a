"""Placement: on what a model runs, and in which arithmetic; `auto` is decided here alone."""

from typing import Literal, get_args

from podcaster.errors import ConfigError, EngineMissing

Device = Literal["auto", "cpu", "cuda"]
DEVICES: tuple[str, ...] = get_args(Device)
Library = Literal["torch", "ctranslate2", "onnxruntime"]


def choose_device(wanted: str, library: Library) -> Literal["cpu", "cuda"]:
    """What `wanted` (auto, cpu or cuda) means to the library that runs the model.

    `auto` is a GPU where that library can use one. Nothing is imported to say `cpu`.
    Raises ConfigError for another word, EngineMissing for `cuda` where the library finds no GPU.
    """
    if wanted not in DEVICES:
        raise ConfigError(
            f"The device is {wanted[:40]!r}, expected one of {', '.join(DEVICES)}.",
            next_step='Set device = "auto" where it says so.',
        )
    if wanted == "cpu":
        return "cpu"
    if _finds_gpu(library):
        return "cuda"
    if wanted == "auto":
        return "cpu"
    cure = " or install `onnxruntime-gpu` in its place" if library == "onnxruntime" else ""
    raise EngineMissing(
        f"The device is 'cuda', but {library} finds no GPU on this machine.",
        next_step=f'Set device = "auto" or "cpu"{"," if cure else ""}{cure}.',
    )


def _finds_gpu(library: Library) -> bool:
    if library == "torch":
        import torch

        return bool(torch.cuda.is_available())
    if library == "ctranslate2":
        import ctranslate2

        return int(ctranslate2.get_cuda_device_count()) > 0
    import onnxruntime

    return "CUDAExecutionProvider" in onnxruntime.get_available_providers()


def has_bf16(device: str) -> bool:
    """Whether torch's `device` multiplies bfloat16 in hardware: a step is several times quicker.

    torch has no public name for a processor's; another version that lacks this one is taken to
    have none.
    """
    import torch

    if device.startswith("cuda"):
        return bool(torch.cuda.is_bf16_supported())
    found = (
        getattr(torch.cpu, name, None)
        for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    )
    return any(ask() for ask in found if ask is not None)
