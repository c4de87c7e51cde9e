"""How several things are said in one sentence."""

from collections.abc import Iterable


def listed(names: Iterable[str]) -> str:
    """Names with commas and an "and"."""
    *before, last = names
    return f"{', '.join(before)} and {last}" if before else last
