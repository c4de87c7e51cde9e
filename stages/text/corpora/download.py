"""Files from public homes and mirrors: resumed, retried, checked, and whole or not at all."""

import os
import re
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn
from urllib.parse import quote, urlsplit

import requests
import urllib3.exceptions
from tqdm import tqdm

from stages.support.files import alone, file_digest
from stages.support.process import InputError, StageError, one_line

CHUNK_BYTES = 1 << 16
_ENOUGH_TO_SEE_HTML = 1 << 9
UNPINNED_LIMIT_BYTES = 1 << 30
MIRROR_VARIABLE = "LSTM_VS_GRU_MIRROR"
WHAT_TO_DO = (
    f"set mirror in params.yaml (or {MIRROR_VARIABLE}) to a folder or address that holds it, or use profile: sample"
)
_HTML = re.compile(rb"(\xef\xbb\xbf)?\s*(<!--.*?-->\s*)*<(!doctype\s+html|html|head|body)\b", re.I | re.S)
_TRANSIENT_STATUS = {408, 425, 429}  # of the 4xx; all others will say the same again


@dataclass(frozen=True)
class RemoteFile:
    """A file to fetch, with its addresses in the order to try.

    Size and SHA-256 are None where only the contents tell whether it is right, as in a re-packed archive.
    """

    name: str
    addresses: tuple[str, ...]
    size_bytes: int | None = None
    sha256: str | None = None


@dataclass(frozen=True)
class Patience:
    """How long to wait for a server, how fast it must be, and how often to go round the addresses with too few bytes.

    Over `read_seconds` a server must send `bytes_per_second` on average, or it is left for the next address.
    """

    connect_seconds: float = 6.0
    read_seconds: float = 30.0
    bytes_per_second: float = 2000.0
    fruitless_rounds: int = 3
    backoff_seconds: float = 1.0


@dataclass(frozen=True)
class Mirror:
    """The user's own copy of the files: a folder, an http(s) address, or neither."""

    folder: Path | None = None
    address: str = ""

    @classmethod
    def parse(cls, text: str, base: Path) -> "Mirror":
        """Read the parameter `mirror` of params.yaml; a relative folder starts at `base`.

        Raises InputError for a user or a password, since DVC copies params.yaml into dvc.lock, and both are committed;
        for another scheme than http(s); and for a folder that does not exist.
        """
        if "://" in text and "@" in text:
            raise InputError(
                f"mirror: {_shown(text)} has a user or a password, which params.yaml would make public; "
                f"set the whole address as {MIRROR_VARIABLE} in the environment instead"
            )
        return cls._parse(text, base, "mirror")

    @classmethod
    def chosen(cls, parameter: str, base: Path) -> "Mirror":
        """The mirror that params.yaml names, or else the environment, where a user and a password are allowed.

        Raises InputError as `parse` does, and for a password whose signs would cut the address in two.
        """
        if parameter or not (text := os.environ.get(MIRROR_VARIABLE, "")):
            return cls.parse(parameter, base)
        if "@" in text.partition("://")[2] and "@" not in urlsplit(text).netloc:
            raise InputError(
                f"{MIRROR_VARIABLE}: its user or password has a / or ? or #: write them as %2F, %3F and %23"
            )
        return cls._parse(text, base, MIRROR_VARIABLE)

    @classmethod
    def _parse(cls, text: str, base: Path, name: str) -> "Mirror":
        if not text:
            return cls()
        if re.match(r"https?://[^/]", text, re.I):
            if re.search(r"[?#\s]", text):
                raise InputError(f"{name}: {_shown(text)} has ? or # or a space, and no file name can follow those")
            return cls(address=text.rstrip("/"))
        if "://" in text:
            raise InputError(f"{name}: {_shown(text)} is no folder and no http(s) address")
        try:
            folder = (base / Path(text).expanduser()).resolve()
            is_folder = folder.is_dir()
        except (OSError, ValueError, RuntimeError) as error:  # too long, a zero byte, a loop of links, ~nosuchuser
            raise InputError(f"{name}: {_shown(text)} is no folder: {one_line(str(error))[:200]}") from None
        if not is_folder:
            raise InputError(f"{name}: {_shown(str(folder))} is no folder; name one, or an http(s) address")
        return cls(folder=folder)

    def find(self, *names: str) -> Path | None:
        """The first of `names` that the folder holds, to be read in place; None without a folder."""
        if self.folder is None:
            return None
        paths = (self.folder / name for name in names)
        return next((path for path in paths if path.is_file()), None)

    def addresses(self, *names: str) -> tuple[str, ...]:
        """Where the mirror would have each of `names`; empty where the mirror is no address."""
        return tuple(f"{self.address}/{quote(name)}" for name in names) if self.address else ()


class _AttemptError(Exception):
    """One request that did not give the file; `final` where asking again is no use."""

    def __init__(self, reason: str, *, final: bool = False) -> None:
        super().__init__(reason)
        self.final = final


def note(message: str) -> None:
    """Tell the user what is going on, on standard error."""
    print(f"fetch: {message}", file=sys.stderr, flush=True)


def mismatch(path: Path, file: RemoteFile) -> str:
    """Why `path` does not hold the pinned bytes of `file`; empty where nothing speaks against it."""
    size_bytes = path.stat().st_size
    if file.size_bytes is not None and size_bytes != file.size_bytes:
        return f"it has {size_bytes} bytes, not {file.size_bytes}"
    if file.sha256 is not None and (found := file_digest(path)) != file.sha256:
        return f"its SHA-256 is {found}, not {file.sha256}"
    return ""


def download(offers: Sequence[RemoteFile], folder: Path, patience: Patience, what_to_do: str = WHAT_TO_DO) -> Path:
    """Return the checked file of the first offer that can be had, in `folder`.

    A file that is already there and right is used without a request. A partial one is kept as NAME.part and,
    where its digest is known, resumed. Processes that want the same file wait for one another.

    Raises StageError, in one line with each server's reason and what to do, where no offer can be had.
    """
    for file in offers:
        path = folder / file.name
        if path.is_file() and not mismatch(path, file):
            return path
    reasons: list[str] = []
    for file in offers:
        try:
            return _download(file, folder, patience)
        except _AttemptError as error:
            reasons.append(str(error))
        except OSError as error:
            raise StageError(f"cannot write {folder / file.name}: {error.strerror or error}") from error
    raise StageError(f"{offers[-1].name} could not be fetched: {'; '.join(reasons)}; {what_to_do}")


def _download(file: RemoteFile, folder: Path, patience: Patience) -> Path:
    """Go round the addresses of one file until it is whole, or until several rounds gained nothing."""
    folder.mkdir(parents=True, exist_ok=True)
    path, part = folder / file.name, folder / f"{file.name}.part"
    addresses = list(file.addresses)
    reasons: dict[str, str] = {}
    fruitless_rounds, most_bytes = 0, _size_bytes(part)
    lock = folder / f".{file.name}.lock"
    with alone(lock, f"waiting for another process that holds {lock}"):
        if path.is_file() and not mismatch(path, file):  # fetched by the process that held the lock
            return path
        note(f"{file.name}: trying {', '.join(dict.fromkeys(map(_host, addresses)))}")
        while addresses and fruitless_rounds < patience.fruitless_rounds:
            if reasons:
                time.sleep(patience.backoff_seconds * 2 ** max(fruitless_rounds - 1, 0))
            started = time.monotonic()
            for address in tuple(addresses):
                try:
                    _attempt(file, address, part, patience)
                except _AttemptError as error:
                    reasons[_host(address)] = str(error)
                    if error.final:
                        addresses.remove(address)
                else:
                    part.replace(path)
                    return path
            seconds = time.monotonic() - started
            gained = _size_bytes(part) - most_bytes
            fruitless_rounds = 0 if gained > patience.bytes_per_second * seconds else fruitless_rounds + 1
            most_bytes = max(most_bytes, _size_bytes(part))
    raise _AttemptError("; ".join(f"{host}: {reason}" for host, reason in reasons.items()))


def _attempt(file: RemoteFile, address: str, part: Path, patience: Patience) -> None:
    """Bring `part` to its end with one request and check it; raise _AttemptError where that fails."""
    if file.sha256 is None:  # a file that has changed since could not be told from the one that was begun
        part.unlink(missing_ok=True)
    offset = _size_bytes(part)
    if offset != file.size_bytes:
        offset = _transfer(file, address, part, patience)
    if wrong := mismatch(part, file):
        if file.size_bytes is not None and _size_bytes(part) < file.size_bytes:
            raise _AttemptError(f"ended after {_size_bytes(part)} of {file.size_bytes} bytes")
        part.unlink()
        # Where the first bytes came from an earlier request, they may be the wrong ones.
        raise _AttemptError(f"other content: {wrong}", final=offset == 0)


def _transfer(file: RemoteFile, address: str, part: Path, patience: Patience) -> int:
    """Append what is missing to `part`, or write all of it where the server sends all.

    Return the place in the file of the first byte that was received.
    """
    offset = _size_bytes(part)
    # The pins are of the bytes as stored: no encoding on the way, none undone here.
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={offset}-"} if offset else {})
    try:
        with requests.get(
            address,
            headers=headers,
            stream=True,
            timeout=(patience.connect_seconds, patience.read_seconds),
        ) as response:
            if response.status_code == requests.codes.ok:
                offset = 0
            else:
                _check_resumed(response, part, offset)
            pace = _Pace(patience)
            chunk = _read(response)
            while 0 < len(chunk) < _ENOUGH_TO_SEE_HTML and (more := _read(response)):
                chunk += more
                pace.check(len(more))
            if offset == 0 and ("html" in response.headers.get("Content-Type", "") or _HTML.match(chunk)):
                raise _AttemptError("an HTML page instead of the file")
            note(f"{file.name}: receiving from {_host(address)}" + (f", from byte {offset} on" if offset else ""))
            limit_bytes = file.size_bytes or UNPINNED_LIMIT_BYTES
            with (
                part.open("ab" if offset else "wb") as output,
                # Shown on a terminal only.
                tqdm(
                    total=file.size_bytes,
                    initial=offset,
                    unit="B",
                    unit_scale=True,
                    desc=file.name,
                    disable=None,
                ) as bar,
            ):
                while chunk:
                    output.write(chunk)
                    bar.update(len(chunk))
                    pace.check(len(chunk))
                    if output.tell() > limit_bytes:
                        _discard(part, f"sends more than {limit_bytes} bytes", final=True)
                    chunk = _read(response)
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        raise _AttemptError(_reason(error, patience)) from error
    return offset


def _read(response: requests.Response) -> bytes:
    """What has come, as it was sent, at once: a server that drips is seen only so. Nothing at the end."""
    return bytes(response.raw.read1(CHUNK_BYTES, decode_content=False))


class _Pace:
    """Whether a server sends fast enough, a window of `read_seconds` after another."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._start, self._received_bytes = time.monotonic(), 0

    def check(self, received_bytes: int) -> None:
        """Count bytes; raise _AttemptError at the end of a window that had too few."""
        self._received_bytes += received_bytes
        seconds = time.monotonic() - self._start
        if seconds < self._patience.read_seconds:
            return
        if self._received_bytes < self._patience.bytes_per_second * seconds:
            raise _AttemptError(f"sends less than {self._patience.bytes_per_second:g} bytes a second")
        self._start, self._received_bytes = time.monotonic(), 0


def _check_resumed(response: requests.Response, part: Path, offset: int) -> None:
    """Raise _AttemptError unless the response goes on from byte `offset`, as was asked."""
    status = response.status_code
    if status == requests.codes.partial_content:
        if not response.headers.get("Content-Range", "").startswith(f"bytes {offset}-"):
            _discard(part, "sends another part of the file than was asked for")
        return
    if status == requests.codes.requested_range_not_satisfiable:
        _discard(part, "has no such part of the file")
    raise _AttemptError(f"HTTP {status}", final=400 <= status < 500 and status not in _TRANSIENT_STATUS)


def _discard(part: Path, reason: str, *, final: bool = False) -> NoReturn:
    part.unlink(missing_ok=True)
    raise _AttemptError(reason, final=final)


def _reason(error: Exception, patience: Patience) -> str:
    match error:
        case requests.ConnectTimeout():
            return f"no connection within {patience.connect_seconds:g} s"
        case requests.ReadTimeout() | urllib3.exceptions.ReadTimeoutError():
            return f"stalled for {patience.read_seconds:g} s"
        case requests.exceptions.SSLError():
            return "its certificate is not trusted"
        case requests.ConnectionError():
            return "no connection"
        case requests.exceptions.InvalidSchema():
            return "leads to an address that is not http(s)"
        case urllib3.exceptions.ProtocolError():
            return "the connection broke off"
        case _:
            return type(error).__name__


def _host(address: str) -> str:
    return urlsplit(address).netloc.rpartition("@")[2]


def _without_password(text: str) -> str:
    """`text` without what stands between // and its last @, since a password may hold any sign."""
    return re.sub(r"//.*@", "//", text, flags=re.S)


def _shown(text: str) -> str:
    return repr(_without_password(text)[:200])


def _size_bytes(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0
