"""Where to compute: the choice of a device, and the number format that is quick on it."""

from __future__ import annotations

from typing import TypeVar

import torch

from mtctl.errors import MtctlError
from mtctl.system.memory import keep_freed_memory

Network = TypeVar("Network", bound=torch.nn.Module)

DEVICES = ("auto", "cpu", "cuda", "mps")

# How torch tells before `get_capabilities`; what a version does not have tells of nothing.
_OLDER_QUESTIONS = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")


class DeviceError(MtctlError):
    """The device asked for is not there."""


def choose_device(name: str) -> torch.device:
    """Return the torch device for one of `DEVICES`; "auto" takes CUDA, then Apple's MPS, then the CPU.

    Raises:
        DeviceError: It was asked for by name and this computer does not have it.
    """
    present = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return torch.device(next(kind for kind in ("cuda", "mps", "cpu") if present[kind]))
    if name not in present:
        raise DeviceError(f"device '{name}' is unknown; choose one of {', '.join(DEVICES)}")
    if not present[name]:
        raise DeviceError(f"device '{name}' is not available on this computer; use --device cpu or auto")
    return torch.device(name)


def has_bfloat16(device: torch.device) -> bool:
    """Return whether `device` multiplies bfloat16 in hardware; emulated, it is slower than float32."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu":
        return _cpu_has_bfloat16()
    return False


def autocast(device: torch.device) -> torch.autocast:
    """bfloat16 autocast where the hardware has it, else a context that changes nothing."""
    return torch.autocast(device.type, torch.bfloat16, enabled=has_bfloat16(device))


def to_device(network: Network, device: torch.device) -> Network:
    """`network`, moved to `device` in the memory layout that is quick there (channels last: 1.3 times on a CPU).

    The process keeps the memory that it frees from now on (`keep_freed_memory`), also one of somebody else that
    computes with a `Segmenter`.
    """
    keep_freed_memory()
    # Else CUDA may choose other algorithms, and so other last digits, from run to run.
    torch.backends.cudnn.deterministic = True
    return network.to(device).to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]


def describe(device: torch.device) -> str:
    """Return the device and number format in words, for reports: "cpu (bfloat16)"."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    return f"{name} ({'bfloat16' if has_bfloat16(device) else 'float32'})"


def _cpu_has_bfloat16() -> bool:
    if hasattr(torch.cpu, "get_capabilities"):  # Newer than torch 2.10; 2.6 is enough for us.
        capabilities = torch.cpu.get_capabilities()
        return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16") or capabilities.get("bf16"))
    questions = [getattr(torch.cpu, name, None) for name in _OLDER_QUESTIONS]
    return any(question() for question in questions if question is not None)
