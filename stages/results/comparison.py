"""All that a page says of a study's scores: made once by `compare`, read by the report, the README and `show`."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import TypeAdapter

from stages.results.documents import data_source, documents
from stages.results.table import Table
from stages.support.files import read_json, write_text
from stages.support.process import InputError

NAME = "comparison.json"


@dataclass(frozen=True)
class Drawn:
    """A figure that was written as NAME.svg and NAME.png: its caption, and what it shows for who can't see it."""

    name: str
    caption: str
    alternative: str


@dataclass(frozen=True)
class Comparison:
    """A study's tables, the notes to the first of them, and its figures, in the order in which they are read."""

    study: str
    corpus: str
    tables: Sequence[Table]
    notes: Sequence[str]
    figures: Sequence[Drawn]

    def markdown(self) -> str:
        """As Markdown: title, data source, tables and notes, the document's flaws."""
        document = documents()[self.study]
        first, *others = self.tables
        lines = [f"## {self.study}: {document['title']}", "", data_source(self.study, self.corpus), ""]
        lines += [first.markdown(), ""]
        for note in self.notes:
            lines += [note, ""]
        for table in others:
            lines += [f"{table.caption[:1].upper()}{table.caption[1:]}:", "", table.markdown(), ""]
        for title, name in (
            ("Flaws found in the document:", "flaws"),
            ("Where this differs from the document:", "differs"),
        ):
            if points := document.get(name):
                lines += [title, "", *(f"- {point}" for point in points), ""]
        return "\n".join(lines)

    def write(self, folder: Path) -> None:
        """Write comparison.json into a folder, on one line: table.md is what people read."""
        write_text(folder / NAME, json.dumps(asdict(self), ensure_ascii=False) + "\n")


def read_comparison(folder: Path) -> Comparison:
    """What `Comparison.write` wrote into a folder.

    Raises:
        InputError: it is not there.
    """
    if not (folder / NAME).exists():
        raise InputError(f"{folder / NAME} is not there: `dvc repro compare@{folder.name}` writes it")
    return TypeAdapter(Comparison).validate_python(read_json(folder / NAME))
