"""The code that a stage depends on, so that an edit reruns what it can change and nothing else."""

import io
import re
import tokenize
from ast import AST, Constant, Expr, FunctionDef, If, Import, ImportFrom, Module, parse, walk
from collections.abc import Callable, Iterable, Iterator
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

from stages.support.files import digest, file_digest

_TOP = Path(__file__).parent.parent.parent
_DECIDES = ("stages/baselines/", "stages/kinds/", "stages/nn/", "stages/training/")
_DECIDES_NOTHING = ("stages/support/", "stages/tracking/")
_FUNCTIONS = {"fetch": "fetch", "tokenize": "tokenize", "baseline": "baselines"}  # of a kind's package, which they call
_BLOCKS = ("body", "orelse", "finalbody", "handlers", "cases")  # of statements, in statements
_LAYOUT = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.ENCODING, tokenize.ENDMARKER}


@cache
def training_code(kind: str, cell: str) -> dict[str, str]:
    """The modules that training a cell in a study of some kind imports, each with a digest of what it does.

    Without those that decide no number: a kind's settings, whose values stand beside this, files and tracking.
    """
    start = (
        f"stages.kinds.{kind}.task", "stages.training.repeats", "stages.training.tuning", f"stages.nn.cells.{cell}"
    )  # fmt: skip
    found = {_name(path): path for path in _closure({path for name in start for path in _files(name)}, _loaded)}
    decide = {
        name: path
        for name, path in found.items()
        if name.startswith(_DECIDES) and (path.name != "__init__.py" or path.parent.name == "cells")
    }
    decide["stages/train.py"] = _TOP / "stages" / "train.py"
    return {name: _meaning(path) for name, path in sorted(decide.items())}


def code_digest(kind: str, cell: str) -> str:
    """One digest of `training_code`."""
    return digest(training_code(kind, cell))


@cache
def stage_code(stage: str, *kinds: str) -> dict[str, str]:
    """The files that a stage uses for studies of some kinds, each with a digest.

    Those are what its module imports, at its top or later; the kinds' packages, with what the function imports that the
    stage calls there; and files beside a module that a text in it names, such as a document's YAML. Without what
    decides no result and, of an evaluation, the code of the training, but with scores that baselines share.
    """
    left_out = _DECIDES_NOTHING + (("stages/kinds/", "stages/training/") if stage == "evaluate" else ())
    packages = [_TOP / "stages" / "kinds" / kind / "__init__.py" for kind in kinds]
    called = [node for path in packages for node in _tree(path).body if _is_function(node, stage)]
    start = {_TOP / "stages" / f"{stage}.py"}.union(*map(_uses, called))
    if stage == "evaluate":
        tasks = (_loaded(path.with_name("task.py")) for path in packages)
        start = start.union(path for used in tasks for path in used if _name(path).startswith("stages/baselines/"))
    found = _closure(start, _used, left_out).union(() if stage == "evaluate" else packages)
    return {_name(path): file_digest(path)[:16] for path in sorted(found)}


def _is_function(node: AST, stage: str) -> bool:
    return isinstance(node, FunctionDef) and node.name == _FUNCTIONS.get(stage)


def _closure(start: Iterable[Path], used: Callable[[Path], set[Path]], left_out: tuple[str, ...] = ()) -> set[Path]:
    """Some files with all that they use, and what that uses; nothing in a folder that is left out."""
    found: set[Path] = set()
    waiting = set(start)
    while waiting:
        path = waiting.pop()
        if path not in found and not _name(path).startswith(left_out):
            found.add(path)
            waiting |= used(path)
    return found


@cache
def _loaded(path: Path) -> set[Path]:
    """What a module imports when it is imported."""
    return {file for node in _tree(path).body for name in _imported(node) for file in _files(name)}


@cache
def _used(path: Path) -> set[Path]:
    """What a module imports, at its top or later, and the files beside it that a text in it names (`*.yaml`)."""
    if path.suffix != ".py":
        return set()
    data = set()
    for inner in _beside(path.parent):
        if any(fnmatchcase(inner.relative_to(path.parent).parts[0], text) for text in _names(path)):
            data.add(inner)
    return data | _uses(_tree(path))


@cache
def _beside(package: Path) -> list[Path]:
    """The files in a package that are no code, and those in its folders that are no packages."""
    return [
        file
        for inner in package.iterdir()
        if inner.name != "__pycache__" and not (inner / "__init__.py").exists()
        for file in (inner, *inner.rglob("*"))
        if file.is_file() and file.suffix != ".py"
    ]


@cache
def _names(path: Path) -> set[str]:
    """Texts in a module that may name files."""
    texts = (node.value for node in walk(_tree(path)) if isinstance(node, Constant) and isinstance(node.value, str))
    return {text for text in texts if re.fullmatch(r"\*?[\w.-]+", text)}


def _uses(node: AST) -> set[Path]:
    """The files of all that some code imports, but for types alone."""
    if isinstance(node, If) and getattr(node.test, "id", "") == "TYPE_CHECKING":
        return set()
    inside = (inner for block in _BLOCKS for inner in getattr(node, block, ()))
    return {file for name in _imported(node) for file in _files(name)}.union(*map(_uses, inside))


def _imported(node: AST) -> list[str]:
    """What a statement imports: modules, and names of packages that may be modules."""
    if isinstance(node, Import):
        return [name.name for name in node.names]
    if isinstance(node, ImportFrom) and node.module:
        return [f"{node.module}.{name.name}" for name in node.names]
    return []


@cache
def _tree(path: Path) -> Module:
    return parse(path.read_bytes())


@cache
def _name(path: Path) -> str:
    return path.relative_to(_TOP).as_posix()


@cache
def _files(module: str) -> list[Path]:
    """The file of a module and those of the packages that it is in; none where it is not this project's."""
    parts = module.split(".")
    if parts[0] != "stages" or not all(map(str.isidentifier, parts)):
        return []
    places = [_TOP.joinpath(*parts[:count]) for count in range(1, len(parts) + 1)]
    files = [file for place in places for file in (place / "__init__.py", place.with_suffix(".py"))]
    return [file for file in files if file.is_file()]


@cache
def _meaning(path: Path) -> str:
    """A digest of a file without its comments, docstrings and layout."""
    source = path.read_bytes()
    docstrings = {
        (node.lineno, node.col_offset)
        for node in _statements(_tree(path))
        if isinstance(node, Expr) and isinstance(node.value, Constant) and isinstance(node.value.value, str)
    }
    words = []
    for token in _tokens(source):
        if token.type in (tokenize.INDENT, tokenize.DEDENT):
            words.append(tokenize.tok_name[token.type])
        elif token.type == tokenize.NEWLINE:
            words.append("\n")
        elif token.type not in _LAYOUT and token.start not in docstrings:
            words.append(token.string)
    return digest(words)[:16]


def _tokens(source: bytes) -> Iterator[tokenize.TokenInfo]:
    """As Python 3.11 has them: from 3.12 on an f-string comes in parts."""
    lines = source.decode().splitlines(keepends=True)
    opened: list[tokenize.TokenInfo] = []
    for token in tokenize.tokenize(io.BytesIO(source).readline):
        part = tokenize.tok_name[token.type]
        if part == "FSTRING_START":
            opened.append(token)
        elif part == "FSTRING_END" and len(opened) == 1:
            (row, column), (last, end) = opened.pop().start, token.end
            whole = "".join([*lines[row - 1 : last - 1], lines[last - 1][:end]])[column:]
            yield tokenize.TokenInfo(tokenize.STRING, whole, (row, column), token.end, token.line)
        elif part == "FSTRING_END":
            opened.pop()
        elif not opened:
            yield token


def _statements(node: AST) -> Iterator[AST]:
    """All that stands in some code, blocks in blocks too."""
    for block in _BLOCKS:
        for inner in getattr(node, block, ()):
            yield inner
            yield from _statements(inner)
