"""Tensors in a safetensors file, whole or not at all."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from mtctl.system.files import replacing


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> None:
    """Write tensors by name, and text by name; what was in `path` stays until all of it is written.

    Raises:
        WriteError: The folder is not writable or the disk is full.
    """
    with replacing(path) as part:
        try:
            whole = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
            save_file(whole, part, None if metadata is None else dict(metadata))
        except SafetensorError as error:
            # Not an OSError: the library is written in Rust and puts the system's reason into the text.
            number = re.search(r"os error (\d+)", str(error))
            if number is None:
                raise
            code = int(number[1])
            raise OSError(code, os.strerror(code), None, code) from error
