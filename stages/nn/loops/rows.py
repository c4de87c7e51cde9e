"""Rows of units or sequences, side by side in vector registers: a cell's scalars between arrays.

Arrays have four axes, read as [outer, block, inner, lane] or, `blocks_first`, as [block, inner, outer, lane]; the lanes
are what one loop goes through. A tuple that repeats one array, an entry a block, tells the compiler that the blocks
share no element, as arrays of one call do: else it would look for overlaps in every row, or not use vectors at all.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from stages.nn.compiled import Array, inlined

Compiled = Callable[..., Any]
Blocks = tuple[Array, ...]


@inlined
def unsigned(index: int) -> Any:  # noqa: ANN401
    """An index as a type that cannot count from the end: Numba would ask at every access."""
    return np.uintp(index)


def reader(count: int, blocks_first: bool, apart: bool = False) -> Compiled:
    """(arrays, outer, inner, lane) -> a number of each of `count` blocks; `apart`: of block 0 of each array."""
    if count == 0:
        return _nothing
    last = count - 1
    block = 0 if apart else last
    rest = reader(last, blocks_first, apart)

    if blocks_first:

        @inlined
        def read(arrays: Blocks, i: int, j: int, lane: int) -> Any:  # noqa: ANN401
            return rest(arrays, i, j, lane) + (arrays[last][block, j, i, lane],)  # noqa: RUF005 - Numba joins no tuples by *
    else:

        @inlined
        def read(arrays: Blocks, i: int, j: int, lane: int) -> Any:  # noqa: ANN401
            return rest(arrays, i, j, lane) + (arrays[last][i, block, j, lane],)  # noqa: RUF005

    return read


def writer(count: int, blocks_first: bool, apart: bool = False, first: int = 0) -> Compiled:
    """(arrays, numbers, outer, inner, lane): writes `count` numbers from the `first` one on where `reader` reads."""
    if count == 0:
        return _no_write
    last = count - 1
    number, block = first + last, 0 if apart else last
    rest = writer(last, blocks_first, apart, first)

    if blocks_first:

        @inlined
        def write(arrays: Blocks, numbers: Any, i: int, j: int, lane: int) -> None:  # noqa: ANN401
            rest(arrays, numbers, i, j, lane)
            arrays[last][block, j, i, lane] = numbers[number]
    else:

        @inlined
        def write(arrays: Blocks, numbers: Any, i: int, j: int, lane: int) -> None:  # noqa: ANN401
            rest(arrays, numbers, i, j, lane)
            arrays[last][i, block, j, lane] = numbers[number]

    return write


@inlined
def _nothing(arrays: Blocks, i: int, j: int, lane: int) -> Any:  # noqa: ANN401
    return ()


@inlined
def _no_write(arrays: Blocks, numbers: Any, i: int, j: int, lane: int) -> None:  # noqa: ANN401
    return


def repeated(count: int) -> Compiled:
    """An array -> a tuple of it, `count` times."""
    if count == 1:

        @inlined
        def once(array: Array) -> Blocks:
            return (array,)

        return once
    rest = repeated(count - 1)

    @inlined
    def several(array: Array) -> Any:  # noqa: ANN401
        return rest(array) + (array,)  # noqa: RUF005

    return several
