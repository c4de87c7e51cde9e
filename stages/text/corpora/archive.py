"""Archives that strangers made: read from the stream, never extracted to disk, never believed about sizes."""

import importlib
import lzma
import tarfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast

from stages.support.process import StageError

MEMBER_LIMIT_BYTES = 1 << 20
TOTAL_LIMIT_BYTES = 1 << 30  # of the unpacked archive; the official aclImdb unpacks to a third of it
_SKIP_BYTES = 1 << 18
# What tarfile and the unpackers raise for bytes that make no sense.
_DAMAGE = (tarfile.TarError, EOFError, OSError, ValueError, RecursionError, zlib.error, lzma.LZMAError)
_PACKERS = {b"\x1f\x8b": "gzip", b"BZh": "bz2", b"\xfd7zXZ": "lzma"}


def read_members(path: Path, wanted: Callable[[str], object]) -> Iterator[tuple[str, bytes]]:
    """Yield (name, content) of each member whose name is `wanted`, of a tar, packed with gzip, bzip2, xz or not.

    Names lose a leading "./". Memory stays that of one member.

    Raises StageError for an archive that is damaged, that unpacks to an absurd size, in which a wanted member
    comes twice, or in which any member is not a plain file or folder or has a name that leads outside.
    """
    seen: set[str] = set()
    try:
        with _unpack(path) as unpacked:
            stream = _Forward(unpacked)
            with tarfile.open(fileobj=cast(BinaryIO, stream), mode="r:") as archive:
                for member in archive:
                    archive.members = []  # type: ignore[attr-defined] # else every header stays in memory
                    place = PurePosixPath(member.name)
                    if place.is_absolute() or ".." in place.parts:
                        raise StageError(f"{path}: refused: {member.name!r} leads outside the archive")
                    if not (member.isreg() or member.isdir()) or member.issparse():
                        raise StageError(f"{path}: refused: {member.name!r} is no plain file or folder")
                    name = str(place)
                    if member.isdir() or not wanted(name):
                        continue
                    if name in seen:
                        raise StageError(f"{path}: refused: member {name!r} comes twice")
                    seen.add(name)
                    content = stream.read(member.size)
                    if len(content) < member.size:
                        raise EOFError("it ends in the middle of a member")
                    yield name, content
    except _AbsurdSizeError as error:
        raise StageError(f"{path}: refused: {error}") from error
    except _DAMAGE as error:
        raise StageError(f"{path}: not a readable archive: {error}") from error


class _AbsurdSizeError(Exception):
    """More bytes than any honest archive of reviews has."""


class _Forward:
    """Unpacked bytes as tarfile reads them: forward only, and no more than the limits at once or in all."""

    def __init__(self, unpacked: BinaryIO) -> None:
        self._unpacked = unpacked
        self._position = 0

    def tell(self) -> int:
        return self._position

    def seek(self, position: int) -> None:
        if position > TOTAL_LIMIT_BYTES:
            raise _AbsurdSizeError(f"it unpacks to more than {TOTAL_LIMIT_BYTES} bytes")
        if position < self._position:
            raise OSError("its members overlap")
        while self._position < position and self.read(min(position - self._position, _SKIP_BYTES)):
            pass

    def read(self, size: int) -> bytes:
        # Headers come through here too: one that claims gigabytes is refused before it takes the memory.
        if not 0 <= size <= MEMBER_LIMIT_BYTES:
            raise _AbsurdSizeError(f"a member of {size} bytes, where {MEMBER_LIMIT_BYTES} is the limit")
        content = self._unpacked.read(size)
        self._position += len(content)
        if self._position > TOTAL_LIMIT_BYTES:
            raise _AbsurdSizeError(f"it unpacks to more than {TOTAL_LIMIT_BYTES} bytes")
        return content


def _unpack(path: Path) -> AbstractContextManager[BinaryIO]:
    with path.open("rb") as file:
        start = file.read(8)
    for magic, packer in _PACKERS.items():
        if start.startswith(magic):
            return cast(AbstractContextManager[BinaryIO], importlib.import_module(packer).open(path))
    return path.open("rb")
