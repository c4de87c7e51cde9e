"""Arrays in safetensors files that say whether they are as they were written: weights and checkpoints.

The file's own metadata hold the SHA-256 of the whole file, taken with zeros in its place. No pickle is read.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from stages.support.files import RESTORE, DamagedFileError

_BYTES_AT_ONCE = 1 << 20
_MOST_HEADER_BYTES = 100 << 20  # safetensors' own limit
_BLANK = "0" * 64
_SEAL = re.compile(rb'"sha256":"([0-9a-f]{64})"')
_TYPES = {
    "bool": "BOOL", "uint8": "U8", "int8": "I8", "int16": "I16", "int32": "I32", "int64": "I64",
    "uint16": "U16", "uint32": "U32", "uint64": "U64", "float16": "F16", "float32": "F32", "float64": "F64",
}  # fmt: skip


def write_tensors(path: Path, arrays: Mapping[str, NDArray[Any]], about: Mapping[str, str] | None = None) -> None:
    """Write arrays, and some text about them, to a file; the same content is the same bytes.

    Not by safetensors itself: that writes the metadata in any order, makes a file of its own beside `path`, which a
    kill would leave there, and hides what the system refuses in a text.

    Raises:
        OSError: the system refuses, such as for lack of room.
    """
    header: dict[str, Any] = {"__metadata__": {**(about or {}), "sha256": _BLANK}}
    end = 0
    for name, array in arrays.items():
        start, end = end, end + array.nbytes
        header[name] = {"dtype": _TYPES[array.dtype.name], "shape": array.shape, "data_offsets": (start, end)}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    parts = [len(text).to_bytes(8, "little"), text, *map(_bytes, arrays.values())]
    sha256 = hashlib.sha256()
    with path.open("wb") as file:
        for part in parts:
            sha256.update(part)
            file.write(part)
        file.seek(8 + _place(text))
        file.write(sha256.hexdigest().encode())


def read_tensors(path: Path, remedy: str = RESTORE) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    """The arrays of a file that `write_tensors` wrote, and the text about them; `remedy` says what to run if need be.

    Raises:
        DamagedFileError: a byte of it is another, or it is no such file.
        FileNotFoundError: it is not there.
    """
    try:
        with path.open("rb") as file:
            _check(file)
        with safe_open(path, "numpy") as opened:
            about = dict(opened.metadata())
            about.pop("sha256")
            return {name: opened.get_tensor(name) for name in opened.keys()}, about  # noqa: SIM118 - no mapping
    except (SafetensorError, ValueError) as error:
        raise DamagedFileError(f"{path} is damaged ({error}): {remedy}") from None


def _check(file: BinaryIO) -> None:
    """Raise ValueError unless the digest that a file holds is its own."""
    start = file.read(8)
    length = int.from_bytes(start, "little")
    header = file.read(length) if length <= _MOST_HEADER_BYTES else b""
    place = _place(header)
    sha256 = hashlib.sha256(start + header[:place] + _BLANK.encode() + header[place + len(_BLANK) :])
    while chunk := file.read(_BYTES_AT_ONCE):
        sha256.update(chunk)
    if sha256.hexdigest().encode() != header[place : place + len(_BLANK)]:
        raise ValueError("its digest is another")


def _place(header: bytes) -> int:
    found = _SEAL.search(header)
    if found is None:
        raise ValueError("it holds no digest")
    return found.start(1)


def _bytes(array: NDArray[Any]) -> memoryview | bytes:
    """An array's bytes in C's order, little end first."""
    return np.ascontiguousarray(array, array.dtype.newbyteorder("<")).reshape(-1).view(np.uint8).data
