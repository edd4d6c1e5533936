"""What the compiled kernels are made with: the compiler's settings and two bit operations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

F = TypeVar("F", bound=Callable[..., Any])

ZERO, ONE, LAST = np.uint64(0), np.uint64(1), np.uint64(63)
ALL = np.uint64(0xFFFFFFFFFFFFFFFF)


def compiled(function: F) -> F:
    """Compile for one thread, without Python's lock, and keep the result on disk."""
    return cast(F, numba.njit(cache=True, nogil=True)(function))


def _bit_operation(name: str) -> Any:
    """Make a numba function of one word from the processor's bit operation of that name."""

    def operation(_typing: Any, _word: Any) -> Any:
        def code(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
            if name == "ctpop":
                return builder.ctpop(arguments[0])
            return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 0))

        return types.uint64(types.uint64), code

    return intrinsic(operation)


count_bits = _bit_operation("ctpop")
lowest_bit = _bit_operation("cttz")
