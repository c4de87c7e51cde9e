"""How a stage starts and how it stops: one clear line for bad input, and no orphans."""

import ctypes
import os
import signal
import sys
from collections.abc import Callable


class StageError(Exception):
    """A stage that cannot go on; the message is the one line that its user reads."""

    exit_code = 1


class InputError(StageError):
    """Bad input: the message names the thing, its value and what is allowed."""

    exit_code = 2


def is_alive(process: int) -> bool:
    """Whether a process of this id exists, anybody's."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def die_with_parent() -> None:
    """Ask Linux to end this process when its parent ends, so that a killed `dvc` leaves nobody writing.

    Elsewhere it does nothing.
    """
    if sys.platform != "linux":
        return
    pr_set_pdeathsig = 1
    parent = os.getppid()
    ctypes.CDLL(None, use_errno=True).prctl(pr_set_pdeathsig, signal.SIGKILL)
    if os.getppid() != parent:  # the parent ended before the request was in place
        os.kill(os.getpid(), signal.SIGKILL)


def run_stage(main: Callable[..., None]) -> None:
    """Call `main` with the command line's words; end with one line and an exit code where it fails.

    Exit codes: 0 done, 1 the stage failed, 2 bad input. Ctrl-C ends the stage and its workers at once, as a kill
    does: all that a stage writes is written whole, and training goes on from its checkpoints.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    die_with_parent()
    try:
        main(*sys.argv[1:])
    except StageError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
