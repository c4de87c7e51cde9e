"""How names are listed and numbers told apart in a sentence."""

from collections.abc import Callable, Iterable

_MOST_MORE_DIGITS = 3


def listed(names: Iterable[str]) -> str:
    """Names with commas and an "and"."""
    *before, last = names
    return f"{', '.join(before)} and {last}" if before else last


def told_apart(value: float, bounds: Iterable[float], say: Callable[[float, int], str]) -> str:
    """A number as `say` says it, with the fewest more digits by which it is told from all bounds that it is not."""
    others = [bound for bound in bounds if bound != value]
    for more in range(_MOST_MORE_DIGITS):
        text = say(value, more)
        if text not in {say(bound, more) for bound in others}:
            return text
    return say(value, _MOST_MORE_DIGITS)


def count(number: int, what: str) -> str:
    """A number of things."""
    return f"{number:,} {what}{'s' * (number != 1)}"
