"""A table, said once: read as Markdown in a terminal or on a web host, or set as HTML by results/templates."""

from collections.abc import Sequence
from dataclasses import dataclass

import tabulate

tabulate.MIN_PADDING = 0  # otherwise a column is two wider than its header


@dataclass(frozen=True)
class Cell:
    """A table's cell: what is read first, and what stands small beneath or after it; a line break parts the latter."""

    text: str
    small: str = ""

    def __str__(self) -> str:
        return " ".join(filter(None, [self.text, self.small.replace("\n", "; ")]))


@dataclass(frozen=True)
class Table:
    """Headers of the leading columns, then groups of columns, (label, labels of its columns); rows of all of them.

    A row's first cell is its header.
    """

    caption: str
    leading: Sequence[str]
    groups: Sequence[tuple[str, Sequence[str]]]
    rows: Sequence[Sequence[Cell]]

    def markdown(self, *, padded: bool = True) -> str:
        """As Markdown, padded so that it reads in a terminal too; a group's label stands before its first column."""
        header = [*self.leading]
        for label, (first, *rest) in self.groups:
            header += [f"{label}: {first}", *rest]
        lines = [[str(cell) for cell in row] for row in self.rows]
        escaped = [[text.replace("|", "\\|").replace("\n", " ") for text in line] for line in (header, *lines)]
        if not padded:
            rows = [escaped[0], ["---"] * len(escaped[0]), *escaped[1:]]
            return "\n".join(f"| {' | '.join(row)} |" for row in rows)
        return str(tabulate.tabulate(escaped[1:], escaped[0], tablefmt="github", disable_numparse=True))


def as_sentence(text: str) -> str:
    """A text as a sentence: a capital first, and a full stop."""
    return f"{text[:1].upper()}{text[1:]}."
