"""Files written whole or not at all, read back as they were written, and the places that outlive a DVC run."""

import glob
import hashlib
import json
import math
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import MISSING, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from stages.support.process import InputError, short

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

MANIFEST = "manifest.json"
RESTORE = "run `python -m stages.mend --cache`, then `dvc repro`"
"""What to run where an output of the pipeline is damaged: DVC's cache may hold the same damage."""

CONFLICT = re.compile(r"^(<{7}|>{7}) ", re.M)
_ZERO_AT_END = re.compile(rb"\0\n|\n\0")
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1f]")


@contextmanager
def alone(lock: Path, waiting: str) -> Iterator[None]:
    """Hold a lock between processes, and say `waiting` where another one holds it; it goes however this one ends."""
    from filelock import FileLock, Timeout

    held = FileLock(lock)
    try:
        held.acquire(timeout=0)
    except Timeout:
        print(waiting, file=sys.stderr, flush=True)
        held.acquire()
    try:
        yield
    finally:
        held.release()


class DamagedFileError(InputError, ValueError):
    """A file that does not hold what it should; the message names it and says what to do."""


def root() -> Path:
    """The repository that DVC runs in; for an experiment in a temporary folder, the one it came from."""
    return Path(os.environ.get("DVC_ROOT") or Path.cwd()).resolve()


def at_hand(path: Path) -> Path:
    """A person's file; for an experiment in a temporary folder, which has no links, that of the repository."""
    return path if path.exists() else root() / path


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` if the block ends well, else remove it.

    The block may create a file or a folder there. An existing folder at `path` is replaced. What a killed process
    left there is removed. What the system refuses is said of `path`.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for left in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
            from psutil import pid_exists

            process = left.name.split(".")[-2]
            if process.isdecimal() and not pid_exists(int(process)):
                _remove(left)
        yield temporary
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        temporary.replace(path)
    except OSError as error:
        # A write that finds the disk full names no file.
        error.filename = str(error.filename or path).replace(temporary.name, path.name)
        error.filename2 = None
        raise
    finally:
        _remove(temporary)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path`, whole or not at all."""
    with whole(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: Path, value: object) -> None:
    """Write `value` as indented JSON with a final newline, whole or not at all; refuses NaN and infinity.

    A list of numbers stands on one line.
    """
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    write_text(path, re.sub(r"\[\n\s*([-+.\de,\s]+?)\n\s*\]", _on_one_line, text) + "\n")


def write_if_possible(path: Path, value: object) -> None:
    """Write JSON that no result needs, such as times: a full disk or a read-only folder costs a warning."""
    try:
        write_json(path, value)
    except OSError as error:
        print(f"{path} is not written: {error.strerror or error}", file=sys.stderr, flush=True)


def _on_one_line(numbers: re.Match[str]) -> str:
    return f"[{' '.join(numbers[1].split())}]"


def read_text(path: Path) -> str:
    """Read a text file.

    Raises:
        DamagedFileError: it is not UTF-8, or it has the marks of a merge that Git could not settle.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise DamagedFileError(
            f"{path} is no UTF-8 text: byte {error.start} is {error.object[error.start]:#04x}"
        ) from None
    if conflict := CONFLICT.search(text):
        line = text.count("\n", 0, conflict.start()) + 1
        raise DamagedFileError(
            f"{path}, line {line}: a merge in Git left {conflict[1]!r} here: choose what shall stand"
        )
    return text


def read_json(path: Path) -> Any:  # noqa: ANN401 - JSON has no narrower type
    """Read a JSON file.

    Raises:
        DamagedFileError: it holds something else, which NaN and infinite numbers are as well.
    """
    text = read_text(path)
    try:
        return parse_json(text)
    except ValueError as error:
        raise DamagedFileError(f"{path} is no JSON: {short(error, 200)}") from None


def parse_json(text: str) -> Any:  # noqa: ANN401 - JSON has no narrower type
    """What JSON says.

    Raises:
        ValueError: it is none, or says what could not be written again: NaN, infinite numbers, halves of characters.
    """
    try:
        value = json.loads(text, parse_constant=_finite, parse_float=_finite)
    except RecursionError:
        raise ValueError("nested too deep") from None
    if "\\u" in text:
        json.dumps(value, ensure_ascii=False).encode()
    return value


def parse_yaml(text: str) -> Any:  # noqa: ANN401
    """What YAML says, read by libyaml where PyYAML has it, in an eighth of the time.

    Raises:
        yaml.YAMLError: it is none.
    """
    return yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def once_a_version(read: Callable[[Path], Any]) -> Callable[[Path], Any]:
    """`read`, which reads a file again only where it has changed."""
    kept: dict[Path, tuple[tuple[int, ...], Any]] = {}

    def read_once(path: Path) -> Any:  # noqa: ANN401
        found = path.stat()
        version = (found.st_size, found.st_mtime_ns, found.st_ino)
        if path not in kept or kept[path][0] != version:
            kept[path] = (version, read(path))
        return kept[path][1]

    return read_once


def _finite(number: str) -> float:
    value = float(number)
    if not math.isfinite(value):
        raise ValueError(f"{number[:20]} is no finite number")
    return value


def digest(value: object) -> str:
    """SHA-256 of a JSON-like value, independent of the order of its keys."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def seal(folder: Path, facts: Mapping[str, object]) -> None:
    """Write `folder`/manifest.json: the facts, and the SHA-256 of every file in the folder and of the rest of itself.

    What reads the folder calls `verify` first.
    """
    files = {str(path.relative_to(folder)): path for path in sorted(folder.rglob("*")) if path.is_file()}
    manifest = {**facts, "files": {name: file_digest(path) for name, path in files.items() if name != MANIFEST}}
    write_json(folder / MANIFEST, manifest | {"sha256": digest(manifest)})


def verify(folder: Path, remedy: str = RESTORE) -> dict[str, Any]:
    """The manifest of a folder whose files are those that `seal` saw; `remedy` says what to run where they are not.

    Files that came later are not looked at.

    Raises:
        DamagedFileError: it names the file that is another, or is not there.
    """
    path = folder / MANIFEST
    try:
        manifest = dict(read_json(path))
        files = dict(manifest["files"])
        is_whole = digest({k: v for k, v in manifest.items() if k != "sha256"}) == manifest["sha256"]
    except FileNotFoundError:
        raise DamagedFileError(f"{path} is not there: {remedy}") from None
    except (ValueError, TypeError, KeyError):
        is_whole, files = False, {}
    if not is_whole:
        raise DamagedFileError(f"{path} is damaged, or of an earlier version of this project: {remedy}")
    for name, sha256 in files.items():
        try:
            is_as_written = file_digest(folder / name) == sha256
        except FileNotFoundError:
            raise DamagedFileError(f"{folder / name} is not there: {remedy}") from None
        if not is_as_written:
            raise DamagedFileError(f"{folder / name} is damaged: {remedy}")
    return manifest


def decode(data: bytes, name: str) -> str:
    r"""The text of a file that a person made, with `\n` as its line end; `name` is what messages call it.

    UTF-8 is understood, and what PowerShell and Notepad write as "Unicode": UTF-16, or UTF-32, by its first bytes, and
    UTF-16 without them where every other byte of it shows it. All else is refused: read as if it were UTF-8, it would
    be another text.

    Raises:
        InputError: it names the line and the byte that is not UTF-8.
    """
    marked = (encoding for mark, encoding in _MARKS.items() if data.startswith(mark))
    encoding = next(marked, "") or _without_mark(data)
    if encoding == "utf-8" and (zero := _ZERO_AT_END.search(data)):  # Chinese in UTF-16 may be UTF-8 of another text
        line = data.count(b"\n", 0, zero.start()) + 1
        raise InputError(f"{name}, line {line}: a zero byte at its end, as in UTF-16; save it as UTF-8")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        what = f"byte {data[error.start]:#04x}" if error.start < len(data) else "the end"
        raise InputError(f"{name}, line {line}: {what} is no {encoding.upper()} text; save it as UTF-8") from None
    text = text.replace("\r\n", "\n")
    return text if "\n" in text else text.replace("\r", "\n")


_MARKS = {
    b"\xef\xbb\xbf": "utf-8-sig",
    b"\xff\xfe\0\0": "utf-32",
    b"\0\0\xfe\xff": "utf-32",
    b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16",
}


def _without_mark(data: bytes) -> str:
    """The encoding of text without a byte order mark; in UTF-16 one of two bytes is mostly a small number."""
    first, second = (len(_CONTROL.findall(data[start::2])) for start in (0, 1))
    if 4 * max(first, second) < len(data) or 10 * min(first, second) > max(first, second):
        return "utf-8"
    return "utf-16-be" if first > second else "utf-16-le"


def without_defaults(instance: "DataclassInstance") -> dict[str, Any]:
    """A dataclass as a dictionary, without the fields that have their default, in dataclasses inside it too.

    So a field that is added later, with a default, leaves what was written before as it was, and its digest.
    """
    found = {}
    for about in fields(instance):
        value = getattr(instance, about.name)
        default = about.default if about.default_factory is MISSING else about.default_factory()
        if value == default and type(value) is type(default):
            continue
        found[about.name] = without_defaults(value) if hasattr(value, "__dataclass_fields__") else value
    return found
