"""What became of an injected fault, decided by what was seen of it alone."""

from collections.abc import Callable
from contextlib import redirect_stderr
from dataclasses import dataclass
from io import StringIO
from typing import TypeVar

from stages.support.process import StageError, one_line

SURVIVED = ("right", "mended", "refused")
"""Results are right and nothing is said; they are right and it is said what was mended; one line names the thing."""
MOST_CHARACTERS = 1000
"""Of what a person reads of one fault."""

_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Seen:
    """What one injected fault did."""

    thing: str
    """What a message must name."""
    wrong: str = ""
    """What is wrong with the result, in few words; empty where it is right, or where there is none."""
    said: str = ""
    """What was printed on standard error."""
    error: Exception | None = None


def judge(seen: Seen) -> str:
    """One of `SURVIVED`, or in few words how the fault was not."""
    if isinstance(seen.error, OSError) and seen.error.errno:
        message = f"{seen.error.filename}: {seen.error.strerror}"
    elif seen.error is None or isinstance(seen.error, StageError):
        message = one_line(str(seen.error or ""))  # as `run_stage` prints it
    else:
        return f"traceback of {type(seen.error).__name__}"
    for text in filter(None, [message, *seen.said.splitlines()]):
        if len(text) > MOST_CHARACTERS:
            return "a message longer than a line"
        if seen.thing not in text:
            return f"a message that does not name {seen.thing}"
    if seen.error is not None:
        return "refused"
    return seen.wrong or ("mended" if seen.said else "right")


def watched(thing: str, use: Callable[[], _Result], wrong: Callable[[_Result], str]) -> Seen:
    """What is seen of `use`, which reads what holds a fault; `wrong` says what is wrong with what it returns."""
    with redirect_stderr(StringIO()) as said:
        try:
            result = use()
        except Exception as error:
            return Seen(thing, said=said.getvalue(), error=error)
    return Seen(thing, wrong(result), said.getvalue())
