"""The one gate through which torch and everything built on it is first imported.

On Linux, a viewer loads Mesa's LLVM into the process. Triton, which CUDA builds of torch bring
along, exports its own LLVM symbols; loaded later it binds to Mesa's and crashes the process. Triton
is therefore loaded first, with symbols bound to itself. The allocator and OpenMP settings
must be in the environment before torch starts.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import threading
from types import ModuleType

_lock = threading.Lock()


def prepare_process() -> None:
    """Make a later import of torch safe and fast; cheap, idempotent, from any thread.

    Sets ``OMP_WAIT_POLICY=PASSIVE`` (idle OpenMP threads sleep instead of spinning) and, on
    Linux, ``THP_MEM_ALLOC_ENABLE=1`` (large buffers on huge pages), unless they are set already.
    """
    with _lock:
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        if sys.platform == "linux":
            os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
            _preload_triton()


def _preload_triton() -> None:
    if "triton" in sys.modules or importlib.util.find_spec("triton") is None:
        return
    flags = sys.getdlopenflags()
    sys.setdlopenflags(os.RTLD_NOW | os.RTLD_DEEPBIND)
    try:
        importlib.import_module("triton")
    except ImportError:
        pass  # a broken triton only costs torch.compile
    finally:
        sys.setdlopenflags(flags)


def gated_import(name: str) -> ModuleType:
    """Import `name` (torch, torchvision, timm, segmentation_models_pytorch) through the gate."""
    prepare_process()
    return importlib.import_module(name)


prepare_process()
import torch  # noqa: E402

__all__ = ["gated_import", "prepare_process", "torch"]
