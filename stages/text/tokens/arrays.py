"""What data/ready holds: token arrays that load by memory-mapping, text beside them, and a manifest."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stages.support.files import digest, file_digest, seal, write_text


def write_tokens(folder: Path, split: str, tokens: NDArray[Any], vocabulary_size: int) -> None:
    """Write token numbers, `(tokens,)`, as SPLIT.tokens.npy: two bytes each where the vocabulary allows, else four."""
    dtype = np.uint16 if vocabulary_size <= 1 << 16 else np.int32
    np.save(folder / f"{split}.tokens.npy", tokens.astype(dtype))


def write_lines(folder: Path, name: str, lines: Sequence[str]) -> None:
    """Write NAME.txt, one entry a line."""
    write_text(folder / f"{name}.txt", "".join(f"{line}\n" for line in lines))


def write_manifest(folder: Path, corpus: str, vocabulary_size: int, **more: Any) -> None:  # noqa: ANN401 - JSON
    """Write manifest.json, whose digest covers every file already in the folder."""
    files = {path.name: file_digest(path) for path in folder.iterdir()}
    manifest = {"corpus": corpus, "digest": digest(files), "vocabulary_size": vocabulary_size, **more}
    seal(folder, manifest)
