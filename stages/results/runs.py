"""The rows of one study that may decide a claim, found as rules name them."""

from collections.abc import Iterable, Sequence
from itertools import chain

from stages.results.documents import SAMPLE, SEQUENCES, documents
from stages.results.measures import departures_of, diverged
from stages.results.row import Row

ONE_ARM = "corrected"
"""Where one arm stands under both protocols, either name finds it."""


class Runs:
    """The runs of one study: those that may decide, and how the others left the protocol.

    Custom runs, which left the protocol, decide nothing about it. With `scaled` those count whose sizes alone were
    changed or whose text is the sample's. Rules call an arm `CELL`, whatever its setting but no variant, or
    `SETTING CELL`; the protocol '' is of claims for which one arm stands under both.
    """

    def __init__(self, rows: Sequence[Row] = (), scaled: bool = False) -> None:
        self._rows: list[Row] = []
        self._custom: list[Row] = []
        self._departures: dict[tuple[str, str, str], str] = {}
        self._variants = set(documents()[rows[0].study]["variants"]) if rows else set()
        left: dict[tuple[str, str, str], str] = {}
        for row in rows:
            departed = _departed(row)
            keys = [(protocol, row.setting, row.cell) for protocol in row.protocols]
            if not departed or (scaled and not departures_of(row, SAMPLE)):
                self._rows.append(row)
                self._departures |= dict.fromkeys(keys, departed)
            else:
                self._custom.append(row)
                left = dict.fromkeys(keys, departed) | left
        self._departures = left | self._departures

    def arm(self, protocol: str, name: str) -> Row:
        """A row of an arm, a custom one where there is no other: for what is the same in all of its repeats."""
        return next(row for row in chain(self._rows, self._custom) if self._is(row, protocol, name))

    def rows(self, protocol: str, name: str) -> list[Row]:
        """The repeats of an arm, or of a sweep's arms."""
        return [row for row in self._rows if self._is(row, protocol, name)]

    def under(self, heading: str) -> list[Row]:
        """All rows of a heading."""
        return [row for row in self._rows if heading in row.protocols]

    def lacking(self, protocol: str, names: Iterable[str], custom: bool = False) -> str:
        """Why some of the arms have no repeats that count, or with `custom` none at all; empty where all have."""
        known = [*self._rows, *(self._custom if custom else ())]
        reasons = []
        for name in names:
            if not any(self._is(row, protocol, name) for row in known):
                arm = f"{name} as {protocol}" if protocol else name
                left = self.departures(protocol, [name])
                reasons.append(
                    f"{arm} left the protocol, so that it does not count: {left}" if left else f"no repeats of {arm}"
                )
        return "; ".join(reasons) if self._departures else "no repeats recorded"

    def diverged(self, protocol: str, names: Iterable[str]) -> str:
        """Which of some arms have repeats that diverged, so that nothing rests on them; empty where none has."""
        found = []
        for name in names:
            rows = self.rows(protocol, name)
            if count := sum(map(diverged, rows)):
                about = next(iter(documents()[rows[0].study]["scores"].values()))
                guessing = f"{about['label']} above {about['axis_ends']:,}, worse than any word alike"
                found.append(f"{count} of {len(rows)} repeats of {name} diverged ({guessing})")
        return "; ".join(found)

    def improving(self, protocol: str, names: Iterable[str]) -> str:
        """Which of some arms still improve in their last epoch, in over half of their repeats; empty: none."""
        found = still_improving((name, self.rows(protocol, name)) for name in names)
        return "; ".join(f"{n} of {of} repeats of {name} still improve in their last epoch" for name, n, of in found)

    def departures(self, protocol: str, names: Iterable[str]) -> str:
        """How the runs of some arms left the protocol."""
        texts = [
            text
            for (of_protocol, setting, cell), text in self._departures.items()
            if of_protocol == (protocol or ONE_ARM) and any(self._names(name, setting, cell) for name in names)
        ]
        return "; ".join(dict.fromkeys(filter(None, texts)))

    def _is(self, row: Row, protocol: str, name: str) -> bool:
        return (protocol or ONE_ARM) in row.protocols and self._names(name, row.setting, row.cell)

    def _names(self, name: str, setting: str, cell: str) -> bool:
        """Whether a rule's name for an arm is one of this setting and cell."""
        *named, named_cell = name.rsplit(" ", 1)
        return named_cell == cell and (named == [setting] if named else setting not in self._variants)


def still_improving(arms: Iterable[tuple[str, Sequence[Row]]]) -> list[tuple[str, int, int]]:
    """The arms of which over half of the repeats improve in their last epoch: name, how many, of how many."""
    counts = ((name, sum(row.is_improving for row in rows), len(rows)) for name, rows in arms)
    return [(name, count, of) for name, count, of in counts if 2 * count > of]


def unit(row: Row) -> str:
    """What pairs repeats: all that is random in them derives from these two."""
    return f"{row.seed}/{row.repeat}"


def _departed(row: Row) -> str:
    """How a row left the protocol, its text included."""
    text = "sample text" if row.corpus == SAMPLE else ""
    return ", ".join(filter(None, [text, departures_of(row, SEQUENCES)]))
