"""What is said of every kind of file, and the words to say it with."""

import math
from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import Generic, TypeVar

from stages.support.process import InputError
from stages.support.words import count, listed
from stages.tables.findings import Findings
from stages.tables.layout import HEADER_AGAIN, Drops, Layout

_Item = TypeVar("_Item")
_MOST_BAD_ROWS = 0.2  # of a table; with more, what is dropped may be what matters
_HARMLESS = ("empty row", "empty text", "no label", HEADER_AGAIN)


class Sample(Generic[_Item]):
    """Some of a file's many items, in their order: all of few, and of more than 2 `most` at least `most`.

    They are drawn, by the same numbers in every process: every second or fourth item may be all blank, or all of one
    label, as files have rhythms.
    """

    def __init__(self, most: int) -> None:
        self.items: list[_Item] = []
        self._most, self._share, self._random = most, 1.0, Random(0)

    def add(self, items: Sequence[_Item]) -> None:
        """Look at more of the file."""
        self.items += self._drawn(items, self._share)
        while len(self.items) > 2 * self._most:
            self.items = self._drawn(self.items, 0.5)
            self._share /= 2

    def _drawn(self, items: Sequence[_Item], share: float) -> list[_Item]:
        if share == 1:
            return list(items)
        return [items[i] for i in sorted(self._random.sample(range(len(items)), math.ceil(share * len(items))))]


def finished(findings: Findings, drops: Drops, warnings: list[str], refusals: list[str]) -> Findings:
    """The findings with what concerns every kind; raises InputError where too many rows are no rows of the table."""
    layout = findings.layout
    dropped = drops.listed()
    for one in dropped:
        if not one.reason.startswith(_HARMLESS) and one.rows > _MOST_BAD_ROWS * (findings.rows + one.rows):
            raise InputError(
                f"{findings.path}: {one.rows:,} of {findings.rows + one.rows:,} rows can't be read: {one.reason}; "
                f"the first is {'row ' * isinstance(one.first[0], int)}{one.first[0]}"
            )
    if layout is not None:
        warnings = [*warnings, *_encoding_warnings(layout)]
        if layout.repeated_names:
            warnings.append(f"column names stand more than once: {listed(layout.repeated_names)}; copies are numbered")
        if layout.quoting == "none":
            warnings.append("quotes do not pair, so they are read as plain characters")
    return replace(findings, dropped=dropped, warnings=(*findings.warnings, *warnings), refusals=tuple(refusals))


def _encoding_warnings(layout: Layout) -> list[str]:
    encoding = layout.encoding
    warnings = []
    if encoding.guessed:
        where = f"{count(encoding.other_lines, 'line')}, the first is {encoding.first_other_line}"
        warnings.append(f"not UTF-8 ({where}); read as {encoding.name.upper()}, which is a guess")
    if encoding.nul:
        warnings.append("NUL characters are left out")
    if encoding.cut_off:
        warnings.append("the file ends within a character; it seems cut off")
    return warnings


def shortened(text: str) -> str:
    """A text in quotes, not longer than a line has room for."""
    return repr(text if len(text) <= 40 else f"{text[:37]}...")


def share(part: int, total: int) -> str:
    """A number and its share of a total."""
    return f"{part:,} ({part / total:.1%})"
