"""What code compiled by Numba is made of here: the compiler's settings, its cache, functions in plain arithmetic."""

from __future__ import annotations

import contextlib
import hashlib
import inspect
import math
import os
import pickle
import uuid
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
import numpy as np
from filelock import FileLock
from numba import njit, types
from numba.core.caching import _Cache
from numba.core.compiler import Compiler, CompileResult
from numba.core.dispatcher import Dispatcher
from numba.core.runtime import rtsys
from numba.core.serialize import dumps
from numba.extending import overload
from numpy.typing import NDArray

_ARITHMETIC = {"error_model": "numpy", "fastmath": {"contract"}}  # the one licence: a * b + c in one instruction

_SECONDS_TO_WAIT = 120.0  # for another process to compile a function

Array = NDArray[Any]
Function = TypeVar("Function", bound=Callable[..., Any])


def cache_folder() -> Path:
    """Where a user's compiled code lies, shared by all clones: NUMBA_CACHE_DIR, else below XDG_CACHE_HOME."""
    named = os.environ.get("NUMBA_CACHE_DIR")
    if named:
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lstm-vs-gru" / "numba"


class _ContentCache(_Cache):  # type: ignore[misc]
    """A file for each function, signature and processor, named by the digest of all that decides the compiled code.

    Numba's own cache lies beside the source, knows it by its time stamp, looks at no other file, and keeps an index
    that two processes can write over each other's. Here no file ever changes, so that any number may write at once.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self._enabled = True

    @property
    def cache_path(self) -> str:
        return str(cache_folder())

    def enable(self) -> None:
        self._enabled = True

    def disable(self) -> None:
        self._enabled = False

    def flush(self) -> None:
        """Nothing is ever out of date."""

    def load_overload(self, signature: Any, target: Any) -> Any:  # noqa: ANN401 - Numba's types have no stubs
        """The compiled function, or None; a file that cannot be read counts as none."""
        rtsys.initialize(target)  # all of `target.refresh()` that is needed: the rest serves compiling
        if not self._enabled:
            return None
        try:
            payload = pickle.loads(self._path(signature, target).read_bytes())
        except (OSError, EOFError, pickle.UnpicklingError):
            return None
        return CompileResult._rebuild(target, *payload)

    def save_overload(self, signature: Any, result: Any) -> None:  # noqa: ANN401
        """Keep the compiled function where that can be written."""
        if not self._enabled or result.objectmode or result.lifted:
            return
        path = self._path(signature, result.target_context)
        part = path.with_name(f"{path.name}.{uuid.uuid4().hex}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            part.write_bytes(dumps(result._reduce()))
            part.replace(path)
        except OSError:
            with contextlib.suppress(OSError):
                part.unlink()

    def _path(self, signature: Any, target: Any) -> Path:  # noqa: ANN401
        machine = target.codegen().magic_tuple()
        versions = numba.__version__, np.__version__, _digest(Path(__file__))
        key = repr((*versions, machine, str(signature), *_content(self._function)))
        return cache_folder() / f"{self._function.__name__}-{hashlib.sha256(key.encode()).hexdigest()[:32]}"


def _content(function: Callable[..., Any]) -> tuple[object, ...]:
    """What a function's compiled code depends on: its own name, which has its text, and that of its callees."""
    enclosed = [cell.cell_contents for cell in function.__closure__ or ()]
    named = [function.__globals__.get(name) for name in function.__code__.co_names]
    callees = [value.py_func for value in (*enclosed, *named) if isinstance(value, Dispatcher)]
    return (function.__module__, function.__qualname__, *(_content(callee) for callee in callees))


def _content_name(function: Callable[..., Any]) -> str:
    """A name that no other function has: with the digest of its file's text and of what it closes over.

    Numba calls a symbol by its function's name and a number that counts in one process. From a cache come numbers of
    other processes, and of two closures that differ in a constant alone one would be linked in the other's place.
    """
    enclosed = [cell.cell_contents for cell in function.__closure__ or ()]
    parts = [_digest(Path(inspect.getfile(function))), *(getattr(one, "__qualname__", repr(one)) for one in enclosed)]
    return f"{function.__qualname__}_{hashlib.sha256(repr(parts).encode()).hexdigest()[:16]}"


@cache
def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


class _DisjointArrays(Compiler):  # type: ignore[misc]
    """Numba's compiler, told that a call's arrays share no memory: else few of the loops become vector code."""

    def define_pipelines(self) -> Any:  # noqa: ANN401
        self.state.flags.noalias = True
        return super().define_pipelines()


def compiled(function: Function) -> Function:
    """Compile a function of arrays that share no element, on first use; all of a user's clones share the result.

    The cache keeps the text of the function's file and of its callees', but no constant that another file defines.
    """
    return cast(Function, _dispatcher(function))


def inlined(function: Function) -> Function:
    """As `compiled`, for a function that compiled code alone calls, and takes in: a quarter less to compile.

    Called from Python it raises TypeError.
    """
    dispatcher = _dispatcher(function, forceinline=True, no_cpython_wrapper=True)

    def refuse(*arguments: object) -> None:
        raise TypeError(f"{function.__name__}: compiled code alone calls it")

    dispatcher._insert = lambda *overload: None  # into the table that a call from Python looks at first
    dispatcher._compile_for_args = refuse
    return cast(Function, dispatcher)


def _dispatcher(function: Callable[..., Any], **options: bool) -> Any:  # noqa: ANN401
    function.__qualname__ = _content_name(function)
    dispatcher = njit(pipeline_class=_DisjointArrays, no_cfunc_wrapper=True, **options, **_ARITHMETIC)(function)
    dispatcher._cache = _ContentCache(function)
    compile_here = dispatcher.compile

    def compile_once(signature: Any) -> Any:  # noqa: ANN401
        """Repeats side by side want the same functions: one compiles, the others wait for what it leaves."""
        with contextlib.ExitStack() as held:
            with contextlib.suppress(OSError):  # where the cache can't be written, or the other takes too long
                locks = cache_folder() / "locks"
                locks.mkdir(parents=True, exist_ok=True)
                name = hashlib.sha256(function.__qualname__.encode()).hexdigest()[:32]
                held.enter_context(FileLock(locks / name, timeout=_SECONDS_TO_WAIT))
            return compile_here(signature)

    dispatcher.compile = compile_once
    return dispatcher


def exp(x: Any) -> Any:  # noqa: ANN401
    """The exponential function, in compiled code; where it would leave a float's range, its last value within."""
    raise NotImplementedError


@overload(exp, jit_options=_ARITHMETIC)  # type: ignore[untyped-decorator]
def _exp_in_lanes(x: Any) -> Callable[[Any], Any]:  # noqa: ANN401
    """For float32 or float64: 2^n exp(r) with |r| <= log(2) / 2 and Taylor's series for exp(r).

    Plain arithmetic goes through all lanes at once; the C library's exp goes through one after the other.
    """
    formats: dict[Any, tuple[Any, ...]] = {
        types.float32: (np.float32, np.int32, 23, 127, 7, 87),
        types.float64: (np.float64, np.int64, 52, 1023, 13, 708),
    }
    real, integer, mantissa_bits, bias, degree, limit = formats[x]
    coefficients = tuple(real(1 / math.factorial(k)) for k in range(degree, -1, -1))
    zero, largest, per_log_2 = real(0), real(limit), real(1 / math.log(2))
    scale = 2 ** (mantissa_bits // 2)
    log_2 = real(round(math.log(2) * scale) / scale)  # so few bits that n times it is exact
    log_2_rest = real(math.log(2) - float(log_2))
    rounder = real(1.5 * 2**mantissa_bits)  # adding it rounds to a whole number n, and leaves n in the lowest bits
    bits_of_one, exponent_at = integer(bias << mantissa_bits), integer(mantissa_bits)

    def in_lanes(x: Any) -> Any:  # noqa: ANN401
        y = min(max(x, -largest), largest)
        rounded = real(y * per_log_2 + rounder)
        n = rounded - rounder
        r = y - n * log_2 - n * log_2_rest
        exp_r = zero
        for coefficient in coefficients:
            exp_r = exp_r * r + coefficient
        power = integer((rounded.view(integer) << exponent_at) + bits_of_one)
        return exp_r * power.view(real)

    return in_lanes


@inlined
def sigmoid(x: Any) -> Any:  # noqa: ANN401
    """1 / (1 + exp(-x)), in compiled code."""
    one = type(x)(1)
    return one / (one + exp(-x))


@inlined
def tanh(x: Any) -> Any:  # noqa: ANN401
    """The hyperbolic tangent, as 2 sigmoid(2x) - 1, in compiled code."""
    s = sigmoid(x + x)
    return s + (s - type(x)(1))


@inlined
def hard_sigmoid(x: Any) -> Any:  # noqa: ANN401
    """Keras 2's cheap sigmoid, x / 5 + 1/2 within 0 and 1, in compiled code."""
    return min(max(type(x)(0.2) * x + type(x)(0.5), type(x)(0)), type(x)(1))


@inlined
def one_minus(y: Any) -> Any:  # noqa: ANN401
    """1 - y in y's own precision, which Numba would widen, in compiled code."""
    return type(y)(1) - y


@inlined
def sigmoid_slope(y: Any) -> Any:  # noqa: ANN401
    """The sigmoid's derivative, from its value y, in compiled code."""
    return y * (type(y)(1) - y)


@inlined
def tanh_slope(y: Any) -> Any:  # noqa: ANN401
    """The hyperbolic tangent's derivative, from its value y, in compiled code."""
    return type(y)(1) - y * y


@inlined
def hard_sigmoid_slope(y: Any) -> Any:  # noqa: ANN401
    """The hard sigmoid's derivative, from its value y, in compiled code."""
    return type(y)(0.2) if type(y)(0) < y < type(y)(1) else type(y)(0)
