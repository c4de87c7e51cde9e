"""Penn Treebank: three files of sentences to three streams of token numbers."""

from pathlib import Path

import numpy as np

from stages.support.files import read_json
from stages.support.process import InputError
from stages.text.tokens.arrays import write_lines, write_manifest, write_tokens
from stages.text.tokens.vocabulary import UNKNOWN, AppearanceNumbers, most_frequent, translation

END = "<eos>"
FILES = {"train": "ptb.train.txt", "validation": "ptb.valid.txt", "test": "ptb.test.txt"}


def read_stream(path: Path) -> list[str]:
    """The words of a file in order, with <eos> at the end of every line.

    Raises InputError where the file is missing, empty, not UTF-8, or holds <eos> as a word.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file; the fetch stage writes it") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 at byte {error.start}; the corpus must be UTF-8 text") from error
    words = text.replace("\n", f" {END} ").split()
    if len(words) == 0:
        raise InputError(f"{path}: empty; it must hold one sentence a line")
    if words.count(END) != text.count("\n"):
        raise InputError(f"{path}: {END} stands in the text; it is kept for the end of a line")
    return words


def tokenize_ptb(raw: Path, ready: Path) -> None:
    """Write the arrays of data/ready/ptb into `ready`, a new folder, from the three files in `raw`.

    The vocabulary is every word of the training file and <eos>, most frequent first. A word that only the
    other files have becomes <unk>, which must then be a word of the training file.

    Raises InputError for a damaged file and for a word that cannot be numbered.
    """
    numbers = AppearanceNumbers()
    streams = {split: numbers.number(read_stream(raw / name)) for split, name in FILES.items()}
    vocabulary = most_frequent(numbers.tokens, streams["train"])
    table = translation(numbers.tokens, vocabulary)
    unseen = table < 0
    if unseen.any():
        if UNKNOWN not in vocabulary:
            word = numbers.tokens[int(np.argmax(unseen))]
            raise InputError(f"{raw}: {word!r} is not in {FILES['train']}, which has no {UNKNOWN} to stand for it")
        table[unseen] = vocabulary.index(UNKNOWN)

    ready.mkdir(parents=True)
    for split, stream in streams.items():
        write_tokens(ready, split, table[stream], len(vocabulary))
    write_lines(ready, "vocabulary", vocabulary)
    tokens = {split: len(stream) for split, stream in streams.items()}
    write_manifest(ready, read_json(raw / "provenance.json")["corpus"], len(vocabulary), tokens=tokens)
