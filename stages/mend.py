"""Mend what a kill leaves of DVC's and Git's own files: `python -m stages.mend`; `make repro` calls it first.

Links to files of a person that are gone go as well, since DVC stops at them.

It says in a line each what it mended, and nothing where there is nothing to mend. A file that a living DVC or Git may
be writing is left alone. `python -m stages.mend --cache` also looks at every file in DVC's cache, and removes those
whose content is not the one that their name says, with their copies in the workspace: `dvc repro` makes them anew.
"""

import fcntl
import hashlib
import json
import os
import re
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import yaml

from stages.support import git
from stages.support.files import CONFLICT, parse_yaml, write_json, write_text
from stages.support.process import InputError, StageError, run_stage

_DVC = Path(".dvc")
_SECONDS_FOR_DVC = 3.0  # DVC holds its locks for moments
_NO_MD5 = "0" * 32  # for a file whose digest is of another kind
_STAGE = re.compile(r"^  (?=\S)", re.M)  # where an entry of dvc.lock begins


def main(*words: str) -> None:
    """Mend the lock files of DVC and Git; with `--cache`, DVC's cache as well."""
    if words not in ((), ("--cache",)):
        raise InputError(f"mend: {' '.join(words)!r}: allowed are no words, or --cache")
    mend_git()
    mend_links(Path("data/own"))
    with _while_dvc_rests(_DVC / "tmp/rwlock.lock") as rests:
        if rests:
            mend_rwlock(_DVC / "tmp/rwlock")
    with _while_dvc_rests(_DVC / "tmp/lock") as rests:
        if rests and not _is_held(_DVC / "tmp/rwlock"):
            for path in (Path("dvc.lock"), *sorted(Path().glob("*/dvc.lock"))):
                mend_lock(path)
            for path in (Path("dvc.yaml"), Path("params.yaml")):
                mend_emptied(path)
            if words:
                mend_cache()
        elif words:
            raise StageError("mend: DVC is at work here; wait until it has ended")


def mend_git() -> None:
    """Remove Git's lock files where no living program can be their owner."""
    try:
        locks = git.lock_files()
        top = Path(git.git("rev-parse", "--show-toplevel").removesuffix("\n")).resolve()
    except (OSError, subprocess.CalledProcessError):
        return  # no Git, or no repository
    if not locks or any(_works_in(process, top) for process in psutil.process_iter()):
        return
    for lock in locks:
        lock.unlink(missing_ok=True)
        _say(f"removed {_short(lock)}, which a killed Git left")


def _works_in(process: psutil.Process, top: Path) -> bool:
    """Whether a process is a Git or a DVC at work somewhere in the repository."""
    try:
        if process.pid == os.getpid() or not _is_program(process, "git", "dvc"):
            return False
        return Path(process.cwd()).is_relative_to(top)
    except psutil.NoSuchProcess:
        return False
    except (psutil.Error, OSError):  # another user's: where it works cannot be seen
        return True


def _is_program(process: psutil.Process, *names: str) -> bool:
    """Whether a process lives that was started as one of these programs, or as a script or module of that name."""
    if process.status() == psutil.STATUS_ZOMBIE:
        return False
    words = [Path(word) for word in process.cmdline()[:4]]
    return any(word.name.partition("-")[0] in names or word.parent.name in names for word in words)


def mend_links(folder: Path) -> None:
    """Remove links of `make own` to files that are gone: DVC ends at such a one, whatever it is asked to do."""
    for link in sorted(folder.glob("*")):
        if link.is_symlink() and not link.exists():
            target = link.readlink()
            link.unlink()
            _say(f"removed {link}: {target} is not there; `make own FILE=...` links a file anew")


def mend_rwlock(path: Path) -> None:
    """Remove the entries of processes that ended from DVC's list of files in use; all of it where it is no list."""
    try:
        text = path.read_text(encoding="utf-8")
        written = path.stat().st_mtime
        held = json.loads(text)
        infos = [info for _, info in _entries(held)]
        ended = {info["pid"]: info["cmd"] for info in infos if not _is_alive(info["pid"], info["cmd"], written)}
    except FileNotFoundError:
        return
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        path.unlink()
        _say(f"removed {path}, which a kill left unreadable")
        return
    if not ended:
        return
    write = {file: info for file, info in held.get("write", {}).items() if info["pid"] not in ended}
    read = {
        file: left
        for file, infos in held.get("read", {}).items()
        if (left := [info for info in infos if info["pid"] not in ended])
    }
    write_json(path, {"write": write, "read": read})
    for process, command in ended.items():
        _say(f"removed from {path} what process {process} ({' '.join(command.split())[:60]}) held, which has ended")


def _entries(held: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each file in use with who uses it."""
    yield from held.get("write", {}).items()
    for file, infos in held.get("read", {}).items():
        yield from ((file, info) for info in infos)


def _is_alive(pid: int, command: str, written: float) -> bool:
    """Whether the process that wrote its number at a time still lives, and is not another one of that number."""
    try:
        process = psutil.Process(pid)
        # Two seconds, since the time of a start is counted from that of the machine's start, which is rounded.
        if process.status() == psutil.STATUS_ZOMBIE or process.create_time() > written + 2:
            return False
        # DVC in a program of another name writes that program's words.
        return _is_program(process, "dvc") or " ".join(process.cmdline()).endswith(command)
    except psutil.NoSuchProcess:
        return False
    except psutil.Error:
        return True


def _is_held(path: Path) -> bool:
    """Whether DVC's list of files in use has an entry; after `mend_rwlock` such are of living processes."""
    try:
        return any(_entries(json.loads(path.read_text(encoding="utf-8"))))
    except FileNotFoundError:
        return False
    except ValueError:
        return True  # DVC writes it at this moment


def mend_lock(path: Path) -> None:
    """Restore a dvc.lock that was killed while DVC wrote it: what is whole in it, the rest as Git has it last.

    What neither has DVC does again, or finds by its inputs in the cache.
    """
    try:
        text = path.read_bytes().decode("utf-8", "replace")
    except FileNotFoundError:
        return
    if (text.endswith("\n") and _is_lock(_yaml(text))) or CONFLICT.search(text):  # a merge is the user's to settle
        return
    try:
        committed = git.git("show", f"HEAD:./{path}")
    except (OSError, subprocess.CalledProcessError):
        committed = ""
    entries = _stages(text) if text.startswith("schema:") else []
    whole = dict(entries[:-1])  # the last one may be torn where YAML does not show it
    known = dict(_stages(committed))
    stages = {name: whole.get(name, entry) for name, entry in known.items()} | whole
    if stages:
        write_text(path, "schema: '2.0'\nstages:\n" + "".join(stages.values()))
    else:
        path.unlink()
    _say(f"restored {path}, which a kill left torn: {len(whole)} stages from it, {len(stages) - len(whole)} from Git")


def mend_emptied(path: Path) -> None:
    """Restore from Git a file of the user's that a killed `dvc exp run -S` has emptied."""
    if path.exists() and not path.stat().st_size:
        try:
            text = git.git("show", f"HEAD:./{path}")
        except (OSError, subprocess.CalledProcessError):
            return
        write_text(path, text)
        _say(f"restored {path}, which a kill left empty, from Git")


def _stages(text: str) -> list[tuple[str, str]]:
    """The name and the text of each entry of a dvc.lock that can be read."""
    _, _, body = text.partition("\nstages:\n")
    found = []
    for block in _STAGE.split(body)[1:]:
        block = f"  {block}" + "\n" * (not block.endswith("\n"))
        entry = _yaml(block)
        if isinstance(entry, dict) and all(_is_entry(value) for value in entry.values()):
            found.append((str(next(iter(entry))), block))
    return found


def _yaml(text: str) -> object:
    try:
        return parse_yaml(text)
    except (yaml.YAMLError, ValueError):
        return None


def _is_lock(value: object) -> bool:
    """Whether it has all that DVC writes into a dvc.lock.

    Every stage has outputs, which DVC writes last: without any the last entry was torn at the end of a line.
    """
    if not isinstance(value, dict) or "schema" not in value:
        return False
    stages = value.get("stages")
    if not isinstance(stages, dict) or not all(_is_entry(entry) for entry in stages.values()):
        return False
    return not stages or bool(list(stages.values())[-1].get("outs"))


def _is_entry(entry: object) -> bool:
    """Whether it is the record of a stage that has run: its command, and digests of all its files."""
    if not isinstance(entry, dict) or not isinstance(entry.get("cmd"), str | list):
        return False
    files = [*(entry.get("deps") or []), *(entry.get("outs") or [])]
    return all(isinstance(file, dict) and "path" in file and _is_md5(_md5_in(file)) for file in files)


def _md5_in(file: Mapping[str, Any]) -> object:
    """The digest of a file; of another kind one that stands for it; where a kill took it, what is none."""
    return file.get("md5", "" if file.keys() <= {"path", "hash"} else _NO_MD5)


def _is_md5(value: object) -> bool:
    return bool(re.fullmatch(r"[0-9a-f]{32}(\.dir)?", str(value)))


def mend_cache() -> None:
    """Remove from DVC's cache what is damaged, and the copies that DVC made of it in the workspace."""
    from dvc.config import Config  # slow

    cache = Path(Config(str(_DVC)).get("cache", {}).get("dir") or _DVC / "cache") / "files/md5"
    damaged = [path for path in sorted(cache.glob("??/*")) if _is_damaged(path)]
    for path in damaged:
        copies = _copies(path.parent.name + path.name, cache)
        for each in (path, *copies):
            each.unlink(missing_ok=True)
        where = ", ".join(str(copy) for copy in copies) or "nothing in the workspace"
        _say(f"removed {path} from DVC's cache, whose content is damaged; with it {where}")


def _is_damaged(path: Path) -> bool:
    if not path.is_file() or not _is_md5(path.parent.name + path.name):
        return False
    with path.open("rb") as file:
        found = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    return found != f"{path.parent.name}{path.name}".removesuffix(".dir")


def _copies(md5: str, cache: Path) -> list[Path]:
    """The files of the workspace that dvc.lock says are this object's, in folders as well."""
    lock = _yaml(Path("dvc.lock").read_text(encoding="utf-8")) if Path("dvc.lock").exists() else None
    stages = lock.get("stages", {}) if isinstance(lock, dict) else {}
    outputs = {out["path"]: out["md5"] for stage in stages.values() for out in stage.get("outs") or []}
    found = [Path(path) for path, held in outputs.items() if held == md5 and not held.endswith(".dir")]
    for folder, listing in outputs.items():
        path = cache / listing[:2] / listing[2:]
        if listing.endswith(".dir") and path.is_file():
            try:
                found += [Path(folder, file["relpath"]) for file in json.loads(path.read_bytes()) if file["md5"] == md5]
            except (ValueError, TypeError, KeyError):
                continue  # the list itself is damaged
    return [path for path in found if path.is_file()]


@contextmanager
def _while_dvc_rests(path: Path) -> Iterator[bool]:
    """Hold one of DVC's locks, so that DVC writes nothing meanwhile; yield whether it could be had."""
    if not _DVC.is_dir():
        yield False
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as lock:
        deadline = time.monotonic() + _SECONDS_FOR_DVC
        while not (had := _lock_at_once(lock.fileno())) and time.monotonic() < deadline:
            time.sleep(0.05)
        yield had


def _lock_at_once(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _short(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _say(message: str) -> None:
    print(f"mend: {message}", flush=True)


if __name__ == "__main__":
    run_stage(main)
