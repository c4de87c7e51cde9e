"""How a command starts and how it stops: protected before its slow imports, and one clear line for what goes wrong."""

import ctypes
import errno
import gc
import inspect
import os
import re
import select
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

REFUSAL = "LSTM_VS_GRU_REFUSAL"
"""In the environment: a file that gets the line of a stage's InputError, for who started it through DVC."""
_MOST_CHARACTERS = 1000
_MENDABLE = {  # by whoever ran the command
    errno.ENOENT, errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EISDIR,
    errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP,
}  # fmt: skip
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_OUTPUT_FOLDERS = ("data", "models", "metrics", "plots", "report")  # what `dvc repro` makes
_OBJECTS_BETWEEN_COLLECTIONS = 100_000  # Python's 700 looks through torch's imports, which stay, again and again
_EXIT_CODE_OF_A_CLOSED_PIPE = 128 + signal.SIGPIPE  # as a shell says of a program that the signal ended


class StageError(Exception):
    """A stage that cannot go on; the message is the one line that its user reads."""

    exit_code = 1


class InputError(StageError):
    """Bad input: the message names the thing, its value and what is allowed."""

    exit_code = 2


def protect() -> None:
    """Make this process stop as a command should. It comes before all that is slow: `stages/__init__.py` calls it.

    Ctrl-C ends it and its workers at once and in silence, as a kill does: all that it writes is written whole, and
    training goes on from its checkpoints. Started by DVC it ends when DVC does, unless it leads a session of its own,
    as the tracker does on purpose; started by torchrun, which gives it one, it ends when that does. No setting of the
    user's for Numba reaches it, but for the place of its cache.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else it is ignored, as `nohup` wants it
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    if started_by_torchrun():
        die_with_parent()  # which in a container may be process 1, as who takes in orphans is
    elif "DVC_STAGE" in os.environ and os.getsid(0) != os.getpid():
        die_with_parent()
        if _is_adopted():
            os.kill(os.getpid(), signal.SIGKILL)
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS)
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # more round otherwise, and wait for each other; `prepare` may raise it
    for name in [name for name in os.environ if name.startswith("NUMBA_") and name != "NUMBA_CACHE_DIR"]:
        del os.environ[name]
    # A closed stream's number would be the next opened file's, and what is printed would go into that.
    sys.stdin = sys.stdin or open(os.devnull, encoding="utf-8")  # noqa: SIM115, PTH123
    sys.stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123
    sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # no terminal's encoding stops what is printed


def started_by_torchrun() -> bool:
    """Whether this is one of the processes that share a training."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def die_with_parent(parent: int = 0) -> None:
    """Ask Linux to end this process when its parent ends, so that a killed `dvc` leaves nobody writing.

    `parent` is the parent's number where that is known: a process that asks late, after its imports say, then ends
    where the parent has ended before. Elsewhere than on Linux it does nothing.
    """
    if sys.platform != "linux":
        return
    pr_set_pdeathsig = 1
    parent = parent or os.getppid()
    ctypes.CDLL(None, use_errno=True).prctl(pr_set_pdeathsig, signal.SIGKILL)
    if os.getppid() != parent:  # the parent ended before the request was in place
        os.kill(os.getpid(), signal.SIGKILL)


def _is_adopted() -> bool:
    """Whether DVC had ended before this process could ask anything: its parent is now who takes in orphans."""
    parent = os.getppid()
    try:
        words = Path(f"/proc/{parent}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    takes_in_orphans = parent == 1 or words[0].endswith(b"systemd")
    return takes_in_orphans and not any(b"dvc" in word for word in words)


@contextmanager
def taking_back() -> Iterator[None]:
    """Have Ctrl-C raise KeyboardInterrupt within, where there is something to take back, and end the process then."""
    before = signal.getsignal(signal.SIGINT)
    if before is signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    except KeyboardInterrupt:
        print("error: interrupted", file=sys.stderr)
        sys.exit(128 + signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)


def run_to_its_end(command: Sequence[str], environment: Mapping[str, str] | None = None) -> int:
    """Run a command that Ctrl-C reaches as it does this process, and wait until it has ended by itself: its exit code.

    `environment` is added to this process's. Within `taking_back`: raises KeyboardInterrupt then, once it has ended.
    """
    interrupted, process = False, subprocess.Popen(command, env=os.environ | (environment or {}))
    while True:
        try:
            code = process.wait()
            break
        except KeyboardInterrupt:
            interrupted = True
    if interrupted:
        raise KeyboardInterrupt
    return code


def run_stage(main: Callable[..., None], has_help: bool = False) -> None:
    """Call `main` with the command line's words; end with one line and an exit code where it fails.

    The word `--help` alone prints the docstring of the module that `main` is in, unless `main` has a help of its own.

    Exit codes: 0 done, 2 what the user can mend (words, files, permissions, a full disk), 1 all else that fails; 141
    where nobody reads the output any more. The word `--traceback`, for developers, shows where it failed.
    """
    protect()
    words = [word for word in sys.argv[1:] if word != "--traceback"]
    try:
        try:
            if words in (["--help"], ["-h"]) and not has_help:
                print(inspect.getmodule(main).__doc__)
                return
            _check_words(main, words)
            main(*words)
            gc.freeze()  # Python's end would look through all that is left, for half a second where torch is
        finally:
            _flush_output()
    except Exception as error:
        line, exit_code = _said_of(error)
        if isinstance(error, InputError) and (path := os.environ.get(REFUSAL)):
            with suppress(OSError):
                Path(path).write_text(line, encoding="utf-8")
        if len(words) < len(sys.argv) - 1:
            traceback.print_exc()
        elif not (_output_is_closed() and isinstance(error, BrokenPipeError)):
            print(f"error: {one_line(line)}", file=sys.stderr)
        sys.exit(exit_code)


def one_line(text: str, most: int = _MOST_CHARACTERS) -> str:
    """`text` without line breaks and control characters, cut to `most` characters."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in short(text, most))


def short(value: object, most: int = 60) -> str:
    """A value's text in one line, cut to `most` characters: a value may be a whole file."""
    text = " ".join(str(value).split())
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _check_words(main: Callable[..., None], words: Sequence[str]) -> None:
    """Refuse too few and too many words, and a `study` or a `cell` that params.yaml has not.

    Raises:
        InputError: it says which words `main` takes.
    """
    signature = inspect.signature(main)
    program = f"python -m stages.{Path(sys.argv[0]).stem}"
    try:
        given = signature.bind(*words).arguments
    except TypeError:
        names = [
            f"[{parameter.name.upper()}]" if parameter.default != parameter.empty else parameter.name.upper()
            for parameter in signature.parameters.values()
        ]
        raise InputError(
            f"{program} takes {' '.join(names) or 'no words'}; given: {' '.join(words) or 'none'}"
        ) from None
    if given.keys() & {"study", "cell"}:
        from stages.support.params import load_params  # which imports this module

        params = load_params()
        for name, allowed in (("study", params.studies), ("cell", params.cells)):
            if given.get(name, allowed[0]) not in allowed:
                raise InputError(f"{program}: {name} {given[name]!r}: params.yaml has {', '.join(allowed)}")


def _said_of(error: Exception) -> tuple[str, int]:
    """What to tell the user of an exception, and the exit code."""
    match error:
        case StageError():
            return str(error), error.exit_code
        case BrokenPipeError() if error.filename is None:
            return "a pipe was closed by its reader", _EXIT_CODE_OF_A_CLOSED_PIPE
        case OSError(errno=int()):
            return _said_of_the_system(error), 2 if error.errno in _MENDABLE else 1
        case MemoryError():
            return f"the memory of this machine does not suffice: {error}", 1
    own = [frame for frame in traceback.extract_tb(error.__traceback__) if f"{os.sep}stages{os.sep}" in frame.filename]
    where = f" ({Path(own[-1].filename).name}, line {own[-1].lineno})" if own else ""
    return f"{type(error).__name__}: {error}{where}; with --traceback it says where", 1


def _said_of_the_system(error: OSError) -> str:
    """What the operating system refused, and what to do."""
    names = [os.fsdecode(name) for name in (error.filename, error.filename2) if isinstance(name, str | bytes)]
    name = " to ".join(names) or "standard output or a file"
    reason = f"{name}: {error.strerror or error}"
    if error.errno in _FULL:
        return f"{reason}: make room and run again"
    if error.errno == errno.ENOENT and names and re.match(rf"({'|'.join(_OUTPUT_FOLDERS)})/", names[0]):
        return f"{reason}: run `dvc repro`, which makes it"
    return reason


def _flush_output() -> None:
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        error.filename = "standard output"
        raise


def _output_is_closed() -> bool:
    """Whether nobody reads standard output any more; what it still holds is then thrown away."""
    output = sys.stdout.fileno()
    poll = select.poll()
    poll.register(output, 0)
    is_closed = any(event & select.POLLERR for _, event in poll.poll(0))
    try:
        sys.stdout.flush()
    except OSError:
        is_closed = True
    if is_closed:
        os.dup2(os.open(os.devnull, os.O_WRONLY), output)
    return is_closed
