"""Parquet files as rows of objects, a batch of them in memory at a time."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stages.support.process import InputError

_MAGIC = b"PAR1"


def is_parquet(path: Path) -> bool:
    """Whether a file can be read and begins as Parquet files do."""
    with contextlib.suppress(OSError), path.open("rb") as file:
        return file.read(len(_MAGIC)) == _MAGIC
    return False


def parquet_objects(path: Path) -> Iterator[dict[str, Any]]:
    """The rows by column name, in Python's types; columns of bytes, such as images, are left out.

    Raises:
        InputError: the file is damaged: cut off, or other than its pages' checksums say, where it has some.
    """
    from pyarrow import ArrowException, types  # slow
    from pyarrow.parquet import ParquetFile

    try:
        with ParquetFile(path, page_checksum_verification=True) as file:
            columns = [
                field.name
                for field in file.schema_arrow
                if not (types.is_binary(field.type) or types.is_large_binary(field.type))
            ]
            for batch in file.iter_batches(columns=columns):
                yield from batch.to_pylist()
    except (ArrowException, OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: is a damaged Parquet file: {str(error).splitlines()[0]}") from error
