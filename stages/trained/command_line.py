"""What the commands that use a trained model have in common."""

import argparse
import os
import signal
import sys
from pathlib import Path
from typing import NoReturn

from stages.support.params import load_params
from stages.support.process import InputError
from stages.trained.find import Trained, find_trained


class Parser(argparse.ArgumentParser):
    """A parser whose complaints are one line."""

    def error(self, message: str) -> NoReturn:
        """Raise InputError."""
        raise InputError(message)


def make_parser(study: str, description: str) -> Parser:
    """A parser for `python -m stages.NAME STUDY`, with the choice of a cell and of a repeat."""
    program = f"python -m stages.{Path(sys.argv[0]).stem}"
    parser = Parser(prog=program, description=description, allow_abbrev=False)
    parser.add_argument("study", choices=[study])
    parser.add_argument("--cell", help="which cell's model; default: the cell on show, `cell` of params.yaml")
    parser.add_argument("--repeat", type=int, help="default: the repeat with the lowest validation loss")
    return parser


def chosen_model(arguments: argparse.Namespace, setting: str = "") -> Trained:
    """The trained model that the words ask for.

    Raises:
        InputError: an unknown cell, or a model that is not trained.
    """
    params = load_params()
    cell = params.cell if arguments.cell is None else arguments.cell
    if cell not in params.cells:
        raise InputError(f"--cell {cell!r}: allowed are {', '.join(params.cells)} (`cells` of params.yaml)")
    return find_trained(arguments.study, cell, setting, arguments.repeat)


def as_text(word: str) -> str:
    """A word of the command line as text: bytes that are not UTF-8 become U+FFFD."""
    return os.fsencode(word).decode("utf-8", "replace")


def prepare_output() -> None:
    """Let nothing in a text stop its printing: neither a terminal's encoding nor a reader who has seen enough."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]


def printable(words: str, width: int) -> str:
    """Words on one line of at most `width` characters, without control characters."""
    line = "".join(c if c.isprintable() else "�" for c in " ".join(words[: 10 * width].split()))
    return line if len(line) <= width else f"{line[: width - 1]}…"
