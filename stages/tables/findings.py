"""What looking at a file found, and how a person reads it."""

from dataclasses import dataclass
from pathlib import Path

from stages.support.words import count
from stages.tables.dates import DateForm
from stages.tables.layout import Dropped, Layout

CLASSIFICATION, LANGUAGE_MODEL, SERIES = KINDS = ("classification", "language_model", "series")


@dataclass(frozen=True)
class Chosen:
    """A column that is read: its role ("text", "label", "value", "input" or "date"), and why it was chosen."""

    role: str
    column: str
    reason: str


@dataclass(frozen=True)
class Lengths:
    """How long texts are."""

    median: float
    longest: int


@dataclass(frozen=True)
class Findings:
    """What a file holds and how it is read; what does not apply to its kind is empty.

    Attributes:
        path: The file or folder.
        kind: "classification", "language_model" or "series".
        kind_reason: Why it is of that kind.
        format: That of its `layout`, "folder of texts a label" or "folder of texts".
        layout: How the file is a table; None for a folder.
        chosen: The columns that are read.
        decimal_marks: The decimal mark of each number that is read, target first.
        date_form: How the columns of role "date" are read, for time order.
        rows: Rows (files of a folder, lines of a plain text) that are read.
        dropped: Rows that are not read, by reason.
        labels: Each label with its rows, the most frequent first.
        words: Lengths of the texts in words, where spaces part words.
        characters: Lengths of the texts in characters.
        total_words: Words in all texts together, parted at spaces.
        total_characters: Characters in all texts together.
        script: The script of most letters, as Unicode calls it, such as "latin".
        words_by_spaces: Whether spaces part words.
        unit: What a net had better read: "words" or "characters".
        first_date: The earliest date, as 2018-07-31 with its time where it has one; "" without dates.
        last_date: The latest.
        order: "ascending", "descending" or "unsorted" by date as the file stands, or "as in the file" without dates.
        lowest: The target's lowest value.
        highest: The target's highest value.
        warnings: What a person should know, a sentence each.
        refusals: What makes the file unfit for a comparison of models, a sentence each.
    """

    path: Path
    kind: str
    kind_reason: str
    format: str
    layout: Layout | None
    chosen: tuple[Chosen, ...] = ()
    decimal_marks: tuple[str, ...] = ()
    date_form: DateForm | None = None
    rows: int = 0
    dropped: tuple[Dropped, ...] = ()
    labels: tuple[tuple[str, int], ...] = ()
    words: Lengths | None = None
    characters: Lengths | None = None
    total_words: int = 0
    total_characters: int = 0
    script: str = ""
    words_by_spaces: bool = True
    unit: str = ""
    first_date: str = ""
    last_date: str = ""
    order: str = ""
    lowest: float = 0.0
    highest: float = 0.0
    warnings: tuple[str, ...] = ()
    refusals: tuple[str, ...] = ()

    def columns(self, role: str) -> tuple[str, ...]:
        """The columns of a role ("text", "label", "value", "input" or "date")."""
        return tuple(chosen.column for chosen in self.chosen if chosen.role == role)

    @property
    def encoding(self) -> str:
        """The encoding in words; "" for a folder, whose files may differ."""
        if self.layout is None:
            return ""
        encoding = self.layout.encoding
        name = {"utf-8-sig": "UTF-8 with a byte-order mark"}.get(encoding.name, encoding.name.upper())
        return f"UTF-8, some lines {name}" if encoding.mixed else name


def text_report(findings: Findings) -> list[str]:
    """What was found, for a person: one fact a line."""
    what = {
        "classification": "texts with labels",
        "language_model": "a text",
        "series": "a series of numbers",
    }[findings.kind]
    report = [f"{findings.path}: {what} (kind {findings.kind}): {findings.kind_reason}", f"format: {_format(findings)}"]
    report += [f"{chosen.role}: {chosen.column}, {chosen.reason}" for chosen in findings.chosen]
    unit = "lines" if findings.format == "plain text" else "texts" if findings.layout is None else "rows"
    report.append(f"{unit} read: {findings.rows:,}")
    report += [f"not read: {dropped.rows:,}, {dropped.reason} ({places(dropped)})" for dropped in findings.dropped]
    if findings.labels:
        shares = [f"{label} {rows:,} ({rows / findings.rows:.1%})" for label, rows in findings.labels[:10]]
        more = [f"and {len(findings.labels) - 10} more"] if len(findings.labels) > 10 else []
        report.append(f"labels: {', '.join(shares + more)}")
    if findings.characters:
        in_words = ""
        if findings.words:
            in_words = f"median {count(round(findings.words.median), 'word')}, longest {findings.words.longest:,}; "
        per = "a line" if unit == "lines" else "a text"
        report.append(
            f"length of {per}: {in_words}median {count(round(findings.characters.median), 'character')}, "
            f"longest {findings.characters.longest:,}"
        )
        words = "words parted by spaces" if findings.words_by_spaces else "no spaces between words"
        report.append(f"script: {findings.script or 'no letters'}, {words}; a net had better read {findings.unit}")
    if findings.kind == SERIES:
        report.append(f"values: from {findings.lowest:g} to {findings.highest:g}")
        dates = f"from {findings.first_date} to {findings.last_date}, " if findings.first_date else ""
        sorted_ = "; sorted by date" if findings.order in ("descending", "unsorted") else ""
        report.append(f"time: {dates}order in the file: {findings.order}{sorted_}")
    return (
        report
        + [f"warning: {warning}" for warning in findings.warnings]
        + [f"refused: {refusal}" for refusal in findings.refusals]
    )


def _format(findings: Findings) -> str:
    layout = findings.layout
    if layout is None:
        return findings.format
    said = [findings.format, findings.encoding]
    if layout.delimiter:
        names = {"\t": "tabs", ",": "commas", ";": "semicolons", "|": "bars", " ": "spaces"}
        said.append(f"{names.get(layout.delimiter, layout.delimiter)} between cells")
    if findings.decimal_marks:
        said.append("decimal comma" if "," in findings.decimal_marks else "decimal point")
    if layout.format in ("csv", "tsv"):
        said.append(f"header in row {layout.rows_above + 1}" if layout.header else "no header: columns are numbered")
        if layout.quoting == "none":
            said.append("quotes are plain characters")
    if layout.encoding.compressed:
        said.append("compressed with gzip")
    return ", ".join(said)


def places(dropped: Dropped) -> str:
    """Which rows or files are not read, the first ones."""
    unit = "file" if isinstance(dropped.first[0], str) else "row"
    more = ", ..." if dropped.rows > len(dropped.first) else ""
    return f"{unit}{'s' if dropped.rows > 1 else ''} {', '.join(map(str, dropped.first))}{more}"
