"""The code that decides a training, so that an edit trains again what it can change and nothing else."""

import io
import tokenize
from ast import Constant, Expr, Import, ImportFrom, parse
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from stages.support.files import digest

_TOP = Path(__file__).parent.parent.parent
_DECIDES = ("stages/kinds/", "stages/nn/", "stages/training/")
_LAYOUT = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.ENCODING, tokenize.ENDMARKER}


def training_code(kind: str, cell: str) -> dict[str, str]:
    """The modules that training a cell in a study of some kind imports, each with a digest of what it does.

    Without those that decide no number: a kind's settings, whose values stand beside this, files and tracking.
    """
    start = (f"stages.kinds.{kind}.task", "stages.training.repeats", f"stages.nn.cells.{cell}")
    found = {path.relative_to(_TOP).as_posix(): path for path in sorted(_closure(start))}
    return {name: _meaning(path) for name, path in found.items() if name.startswith(_DECIDES) and _has_code(path)}


def code_digest(kind: str, cell: str) -> str:
    """One digest of `training_code`."""
    return digest(training_code(kind, cell))


def kind_code(kind: str) -> str:
    """A digest of what a kind's package does itself: its settings, and how it fetches and tokenizes."""
    return _meaning(_TOP / "stages" / "kinds" / kind / "__init__.py")


def _has_code(path: Path) -> bool:
    return path.name != "__init__.py" or path.parent.name == "cells"


def _closure(modules: Iterable[str]) -> set[Path]:
    """The files of some modules and of all of this project's that they import when they are imported."""
    found: set[Path] = set()
    waiting = [path for name in modules for path in _files(name)]
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting += [needed for name in _imports(path) for needed in _files(name)]
    return found


def _files(module: str) -> Iterator[Path]:
    """The file of a module and those of the packages that it is in; nothing where it is not this project's."""
    parts = module.split(".")
    if parts[0] != "stages" or not all(map(str.isidentifier, parts)):
        return
    for count in range(1, len(parts) + 1):
        place = _TOP.joinpath(*parts[:count])
        yield from (path for path in (place / "__init__.py", place.with_suffix(".py")) if path.is_file())


@cache
def _imports(path: Path) -> list[str]:
    """What a file imports at its top level: modules, and names of packages that may be modules."""
    found = []
    for node in parse(path.read_bytes()).body:
        if isinstance(node, Import):
            found += [name.name for name in node.names]
        elif isinstance(node, ImportFrom) and node.module:
            found += [f"{node.module}.{name.name}" for name in node.names]
    return found


@cache
def _meaning(path: Path) -> str:
    """A digest of a file without its comments, docstrings and layout."""
    source = path.read_bytes()
    docstrings = {
        (node.lineno, node.col_offset)
        for node in _statements(parse(source))
        if isinstance(node, Expr) and isinstance(node.value, Constant) and isinstance(node.value.value, str)
    }
    words = []
    for token in tokenize.tokenize(io.BytesIO(source).readline):
        if token.type in (tokenize.INDENT, tokenize.DEDENT):
            words.append(tokenize.tok_name[token.type])
        elif token.type == tokenize.NEWLINE:
            words.append("\n")
        elif token.type not in _LAYOUT and token.start not in docstrings:
            words.append(token.string)
    return digest(words)[:16]


def _statements(tree: object) -> Iterator[object]:
    for node in getattr(tree, "body", ()):
        yield node
        yield from _statements(node)
