"""What the commands that use a trained model have in common."""

import argparse
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from stages.support.params import load_params, load_project
from stages.support.process import InputError
from stages.trained.find import Trained, find_trained

if TYPE_CHECKING:
    from stages.tables.layout import Dropped


class Parser(argparse.ArgumentParser):
    """A parser whose complaints are one line."""

    def error(self, message: str) -> NoReturn:
        """Raise InputError."""
        raise InputError(message)


def make_parser(kind: str, description: str) -> Parser:
    """A parser for `python -m stages.NAME STUDY`, a study of a kind, with the choice of a cell and of a repeat."""
    project = load_project()
    studies = [study for study in project.params.studies if project.settings(study).kind == kind]
    program = f"python -m stages.{Path(sys.argv[0]).stem}"
    parser = Parser(prog=program, description=description, allow_abbrev=False)

    def of_kind(name: str) -> str:
        if not studies:
            raise argparse.ArgumentTypeError(f"no study is a {kind}; `make own FILE=...` makes one")
        if name not in studies:
            raise argparse.ArgumentTypeError(f"{name!r} is not one of {', '.join(studies)}")
        return name

    parser.add_argument("study", type=of_kind, help=f"a {kind}: {', '.join(studies) or 'none yet'}")
    parser.add_argument("--cell", help="which cell's model; default: the cell on show, `cell` of params.yaml")
    parser.add_argument("--repeat", type=int, help="default: the repeat with the lowest validation loss")
    return parser


def chosen_model(arguments: argparse.Namespace, setting: str = "") -> Trained:
    """The trained model that the words ask for.

    Raises:
        InputError: an unknown cell, or a model that is not trained.
    """
    return find_trained(arguments.study, chosen_cell(arguments), setting, arguments.repeat)


def chosen_cell(arguments: argparse.Namespace) -> str:
    """The cell that the words ask for, by default the one on show.

    Raises:
        InputError: an unknown cell.
    """
    params = load_params()
    cell: str = params.cell if arguments.cell is None else arguments.cell
    if cell not in params.cells:
        raise InputError(f"--cell {cell!r}: allowed are {', '.join(params.cells)} (`cells` of params.yaml)")
    return cell


def say_dropped(file: Path, dropped: Iterable["Dropped"]) -> None:
    """Say on standard error which rows of a table are not read."""
    from stages.tables.findings import places

    for one in dropped:
        print(f"{file}: not read: {one.rows:,}, {one.reason} ({places(one)})", file=sys.stderr)


def as_text(word: str, name: str) -> str:
    """A word of the command line as text; `name` is what messages call it.

    Raises:
        InputError: its bytes are text neither in UTF-8 nor in the encoding that the locale names.
    """
    try:
        return os.fsencode(word).decode("utf-8")
    except UnicodeDecodeError as error:
        if any("\udc80" <= c <= "\udcff" for c in word):  # what Python could not read, either
            byte = error.object[error.start]
            raise InputError(f"{name}: byte {byte:#04x} is no UTF-8 text; allowed is UTF-8") from None
    return word
