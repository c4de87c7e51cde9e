"""The raw form of every IMDB corpus: one uncompressed tar of reviews, named as in aclImdb."""

import io
import re
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from stages.support.process import InputError

_NAME = re.compile(r"aclImdb/(?P<part>train|test)/(?P<label>pos|neg)/\d+_\d+\.txt")


class Review(NamedTuple):
    """One review."""

    name: str  # in the archive
    part: str  # "train" or "test"
    label: int  # 1 positive, 0 negative
    text: str


def write_reviews(path: Path, contents: Iterable[tuple[str, bytes]]) -> None:
    """Write (member name, bytes) pairs, sorted by name, as a tar whose bytes depend on nothing else."""
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in sorted(contents):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def read_reviews(path: Path) -> Iterator[Review]:
    """Yield the reviews of a tar in its order.

    Raises InputError for a missing or damaged archive, a member that is no review, and a review that is not
    UTF-8: none of these is in the pinned corpora, so guessing would only hide a mistake.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file; the fetch stage writes it")
    name = "(first member)"
    try:
        with tarfile.open(path, "r:") as archive:
            for member in archive:
                name = member.name
                match = _NAME.fullmatch(name)
                file = archive.extractfile(member) if match and member.isreg() else None
                if match is None or file is None:
                    raise InputError(f"{path}: {name!r} is no file aclImdb/(train|test)/(pos|neg)/ID_RATING.txt")
                text = file.read().decode("utf-8")
                yield Review(name, match["part"], int(match["label"] == "pos"), text)
            _check_end(archive)
    except tarfile.TarError as error:
        raise InputError(f"{path}: damaged tar after {name}: {error}") from error
    except UnicodeDecodeError as error:
        byte = error.object[error.start]
        raise InputError(
            f"{path}: {name} is not UTF-8 (byte 0x{byte:02x} at {error.start}); reviews must be UTF-8 text"
        ) from error


def _check_end(archive: tarfile.TarFile) -> None:
    """Raise tarfile.ReadError unless the reader stopped at an end mark: it also stops, silently, at a bad header."""
    file = archive.fileobj
    assert file is not None
    file.seek(archive.offset)
    if file.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
        raise tarfile.ReadError("cut off, or the header of the next member is damaged")
