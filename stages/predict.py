"""Ask the trained model of a classification study: `python -m stages.predict imdb "I loved the movie"`.

`python -m stages.predict reviews --file new.csv` reads the column of texts that the study's own file has.
"""

import json
import sys
from dataclasses import asdict, replace
from pathlib import Path

from stages.support.files import decode
from stages.support.params import load_project
from stages.support.process import InputError, one_line, run_stage
from stages.trained.command_line import as_text, chosen_model, make_parser, say_dropped

_UNKNOWN_WORDS_SHOWN = 5


def main(*words: str) -> None:
    """Print each text's likeliest label: a readable line, or with --json an object a line, with all labels."""
    parser = make_parser("classification", "Which label does a text have? The trained model says how probable each is.")
    parser.add_argument("texts", nargs="*", metavar="TEXT", help="- or none: a text a line of standard input")
    parser.add_argument("--file", type=Path, help="a text file, a text a line; of a study of your own, a table like it")
    parser.add_argument("--json", action="store_true", help="print one JSON object a text")
    arguments = parser.parse_intermixed_args(words)
    trained = chosen_model(arguments)
    column: str = getattr(load_project().settings(arguments.study).corpus, "text", "")
    texts = _texts(arguments.texts, arguments.file, column)

    from stages.trained.reviews import ReviewModel
    from stages.training.device import prepare  # torch is slow

    prepare("cpu")
    assert trained.vocabulary
    model = ReviewModel(trained.settings["hyperparameters"], trained.weights, trained.vocabulary, trained.ready)
    if not arguments.json:
        print(trained, file=sys.stderr)
    for found in model.predict(texts):
        if arguments.json:
            print(json.dumps(asdict(found)))
            continue
        unknown = found.unknown_words
        named = ", ".join(one_line(word, 20) for word in unknown[:_UNKNOWN_WORDS_SHOWN])
        more = f" and {len(unknown) - _UNKNOWN_WORDS_SHOWN} more" * (len(unknown) > _UNKNOWN_WORDS_SHOWN)
        note = f"   (unknown: {named}{more})" if unknown else ""
        print(f"{found.label}  {found.probabilities[found.label]:.4f}  {one_line(found.text, 80)}{note}")


def _texts(words: list[str], file: Path | None, column: str) -> list[str]:
    """The texts of the command line, of a file (a column of it where it is a table), or of standard input.

    Raises:
        InputError: a file that can't be read, is no text or holds nothing, or texts in two places.
    """
    if words and file:
        raise InputError(f"--file {file} and texts on the command line: give one of the two")
    if words and words != ["-"]:
        return [as_text(word, f"text {number}") for number, word in enumerate(words, 1)]
    if file and file.is_file() and column and (table := _column_of_table(file, column)) is not None:
        return table
    from stages.tables.layout import TABLE_SUFFIXES

    if file and not column and file.suffix.lower() in TABLE_SUFFIXES:
        raise InputError(f"--file {file}: a text a line is needed, and no table: write its column of texts to a .txt")
    try:
        data = file.read_bytes() if file else sys.stdin.buffer.read()
    except OSError as error:
        raise InputError(f"--file {file}: {error.strerror}; allowed is a text file, a text a line") from None
    text = decode(data, str(file or "standard input"))
    if not text:
        raise InputError(f"{file or 'standard input'} is empty: a text a line is needed")
    return text.removesuffix("\n").split("\n")


def _column_of_table(file: Path, column: str) -> list[str] | None:
    """A text a row, or None where the file is a plain text; raises InputError where the table lacks the column."""
    from stages.tables.layout import Drops, find_layout, place_of, rows

    layout, drops = find_layout(file), Drops()
    place = place_of(column, layout.columns)
    if place is not None and column not in layout.columns and column.isdecimal():  # a study without a header
        layout = replace(layout, header=False, columns=tuple(map(str, range(1, len(layout.columns) + 1))))
    if place is None:
        if layout.format == "plain text" or file.suffix.lower() == ".txt":
            return None
        there = ", ".join(layout.columns[:20])
        raise InputError(f"--file {file}: no column {column}, which has the texts; there are: {there}")
    texts = [row[place] for _, row in rows(file, layout, drops)]
    say_dropped(file, drops.listed())
    if not texts:
        raise InputError(f"--file {file}: no row below its header ({', '.join(layout.columns[:20])})")
    return texts


if __name__ == "__main__":
    run_stage(main, has_help=True)
