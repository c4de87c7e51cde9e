"""What code compiled by Numba is made of here: the compiler's settings, and functions that fill vector registers."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np
from numba import config, njit, types
from numba.core.compiler import Compiler
from numba.extending import overload
from numpy.typing import NDArray

_ARITHMETIC = {"error_model": "numpy", "fastmath": {"contract"}}  # of the C compiler's licences only a * b + c in one

# Numba caches a function beside its file until that changes; what is inlined from this file may change, too.
config.CACHE_DIR = config.CACHE_DIR or str(
    Path(__file__).parent / "__pycache__" / hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:12]
)

Array = NDArray[Any]
Function = TypeVar("Function", bound=Callable[..., Any])


class _DisjointArrays(Compiler):  # type: ignore[misc]
    """Numba's compiler, told that a call's arrays share no memory: else few of the loops become vector code."""

    def define_pipelines(self) -> Any:  # noqa: ANN401
        self.state.flags.noalias = True
        return super().define_pipelines()


def compiled(function: Function) -> Function:
    """Compile a function of arrays that share no memory, on first use; the result is cached on disk."""
    return cast(Function, njit(pipeline_class=_DisjointArrays, forceinline=True, cache=True, **_ARITHMETIC)(function))


def sigmoid(x: Any) -> Any:  # noqa: ANN401
    """1 / (1 + exp(-x)), in compiled code."""
    raise NotImplementedError


@overload(sigmoid, jit_options=_ARITHMETIC)  # type: ignore[untyped-decorator]
def _sigmoid_in_lanes(x: Any) -> Callable[[Any], Any]:  # noqa: ANN401
    """For float32 or float64: exp(y) is 2^n exp(r) with |r| <= log(2) / 2 and Taylor's series for exp(r).

    Plain arithmetic goes through all lanes at once; the C library's exp goes through one after the other.
    """
    formats: dict[Any, tuple[Any, ...]] = {
        types.float32: (np.float32, np.int32, 23, 127, 7, 87),
        types.float64: (np.float64, np.int64, 52, 1023, 13, 708),
    }
    real, integer, mantissa_bits, bias, degree, limit = formats[x]
    coefficients = tuple(real(1 / math.factorial(k)) for k in range(degree, -1, -1))
    zero, one, largest, per_log_2 = real(0), real(1), real(limit), real(1 / math.log(2))
    scale = 2 ** (mantissa_bits // 2)
    log_2 = real(round(math.log(2) * scale) / scale)  # so few bits that n times it is exact
    log_2_rest = real(math.log(2) - float(log_2))
    rounder = real(1.5 * 2**mantissa_bits)  # its last bit is worth 1: a sum with it is rounded, and ends in n's bits
    bits_of_one, exponent_at = integer(bias << mantissa_bits), integer(mantissa_bits)

    def in_lanes(x: Any) -> Any:  # noqa: ANN401
        y = min(max(-x, -largest), largest)
        rounded = real(y * per_log_2 + rounder)
        n = rounded - rounder
        r = y - n * log_2 - n * log_2_rest
        exp_r = zero
        for coefficient in coefficients:
            exp_r = exp_r * r + coefficient
        power = integer((rounded.view(integer) << exponent_at) + bits_of_one)
        return one / (one + exp_r * power.view(real))

    return in_lanes


@compiled
def tanh(x: Any) -> Any:  # noqa: ANN401
    """The hyperbolic tangent, as 2 sigmoid(2x) - 1, in compiled code."""
    s = sigmoid(x + x)
    return s + (s - type(x)(1))
