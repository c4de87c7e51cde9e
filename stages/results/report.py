"""The report: one self-contained HTML page for this workspace's run, one for the record of full runs."""

import base64
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from stages.results.answer import Answer
from stages.results.answers import (
    FOREST,
    answers_table,
    cautions,
    in_three_sentences,
    record_answers,
    run_answers,
)
from stages.results.claims import read_record, read_run, run_verdicts
from stages.results.comparison import Comparison, Drawn, read_comparison
from stages.results.documents import PROTOCOLS, data_source, documents
from stages.results.provenance import record_provenance, run_provenance
from stages.results.record import FIGURES, recorded_cells
from stages.results.splits import splits_table
from stages.results.table import Table, as_sentence
from stages.results.verdict import (
    Verdict,
    agreement,
    amount_text,
    by_claim,
    claim_text,
    counterpart,
    effect_text,
    family_table,
    known_text,
)
from stages.support.sections import parse_repeats

_PIXELS_A_POINT = 96 / 72


@dataclass(frozen=True)
class Picture:
    """A figure as a `data:` URI, with its width in CSS pixels, its caption, and what it shows in words."""

    uri: str
    width: int
    caption: str
    alternative: str


@dataclass(frozen=True)
class Section:
    """What the page shows of one study; without `tables` where nothing is measured yet."""

    study: str
    document: Mapping[str, Any]
    measured_on: str
    tables: Sequence[Table]
    notes: Sequence[str]
    pictures: Sequence[Picture]
    commands: Sequence[str]


def run_page(studies: Sequence[str], cells: Sequence[str], recorded: Sequence[Verdict], *, sample: bool) -> str:
    """The page of this workspace's run, from metrics/ and plots/; `sample`: of the profile of that name.

    `recorded`: the record's verdicts, beside which this run's stand.
    What lies there of other studies and cells than those named is not the run's.
    """
    scores = read_run(studies, cells)
    sections = [
        study_section(read_comparison(Path("plots", study)), Path("plots/figures", study))
        if study in scores
        else unmeasured_section(study, [f"dvc repro compare@{study}"] if study in studies else [])
        for study in documents()
    ]
    return render(
        sections,
        recorded,
        run_provenance(scores),
        record=False,
        sample=sample and any(documents()[study]["document"] for study in scores),
        answers=run_answers(studies, cells),
        here=run_verdicts(studies, cells),
    )


def record_page(cells: Sequence[str], repeats: Mapping[str, str], recorded: Sequence[Verdict]) -> str:
    """The page of the record, with the commands for what it lacks of these cells and `repeats` (`0-9`) by study."""
    measured = {study: recorded_cells(study) for study in documents()}
    sections = []
    for study, of_study in measured.items():
        if not of_study and not documents()[study]["document"]:  # a person's own
            continue
        lacking = [
            f"make full STUDY={study} CELL={cell} REPEATS={repeats[study]}"
            for cell in cells
            if study in repeats and set(parse_repeats(repeats[study])) - {row.repeat for row in of_study.get(cell, ())}
        ]
        sections.append(
            study_section(read_comparison(FIGURES / study), FIGURES / study, lacking)
            if of_study
            else unmeasured_section(study, lacking)
        )
    answers = record_answers()
    cells_of = {(study, cell): rows for study, of_study in measured.items() for cell, rows in of_study.items()}
    return render(
        sections,
        recorded,
        record_provenance(cells_of),
        record=True,
        sample=False,
        answers=answers,
        plot=_forest(answers),
        splits=splits_table(read_record()),
    )


def own_page(study: str, answers: Sequence[str]) -> str:
    """The page of a person's own study: the answers, and its section of the run's page."""
    section = study_section(read_comparison(Path("plots", study)), Path("plots/figures", study))
    return _environment().get_template("own.html").render(section=section, answers=answers)


def render(
    sections: Sequence[Section],
    verdicts: Sequence[Verdict],
    provenance: Table,
    *,
    record: bool,
    sample: bool,
    answers: Sequence[Answer] = (),
    plot: Picture | None = None,
    splits: Table | None = None,
    here: Sequence[Verdict] | None = None,
) -> str:
    """The page of the run, or of the `record`; `sample` warns that text was made by the project.

    `verdicts` are the record's, `here` what a run has beside them.
    """
    headings = [name for name in PROTOCOLS if name in ("published", "corrected", "tuned")]
    family = family_table(verdicts) if record else None
    template = _environment().get_template("report.html")
    return template.render(
        sections=sections,
        claims=by_claim(verdicts),
        tally=Counter(verdict.verdict for verdict in verdicts),
        provenance=provenance,
        record=record,
        sample=sample,
        protocols=PROTOCOLS,
        headings=headings,
        answers=answers_table(answers),
        sentences=in_three_sentences(answers),
        cautions=cautions(answers),
        plot=plot,
        family=family if family and family.rows else None,
        splits=splits if splits and splits.rows else None,
        here=None if here is None else {(verdict.id, verdict.protocol): verdict for verdict in here},
    )


def _environment() -> Environment:
    templates = FileSystemLoader(Path(__file__).with_name("templates"))
    environment = Environment(
        loader=templates, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"effect": effect_text, "amount": amount_text, "sentence": as_sentence, "words": _words}
    environment.filters |= {"agreement": agreement, "counterpart": counterpart}
    environment.filters |= {"claim": claim_text, "known": known_text}
    return environment


def study_section(comparison: Comparison, figures: Path, commands: Sequence[str] = ()) -> Section:
    """A study's section, from its comparison and the folder of its figures."""
    return Section(
        comparison.study,
        documents()[comparison.study],
        data_source(comparison.study, comparison.corpus),
        comparison.tables,
        comparison.notes,
        [_picture(figures, drawn) for drawn in comparison.figures],
        commands,
    )


def unmeasured_section(study: str, commands: Sequence[str]) -> Section:
    """The section of a study without results, and the commands that make them."""
    return Section(study, documents()[study], "", (), (), (), commands)


def _picture(folder: Path, drawn: Drawn) -> Picture:
    data = (folder / f"{drawn.name}.svg").read_bytes()
    found = re.search(rb'<svg[^>]*?\bwidth="([0-9.]+)pt"', data)
    width = float(found[1]) * _PIXELS_A_POINT if found else 800
    uri = "data:image/svg+xml;base64," + base64.b64encode(data).decode("ascii")
    return Picture(uri, round(width), drawn.caption, drawn.alternative)


def _forest(answers: Sequence[Answer]) -> Picture | None:
    """The forest plot of the record, once it is drawn."""
    if not FOREST.with_suffix(".svg").exists():
        return None
    said = in_three_sentences(answers)
    caption = "Who is ahead in each study, by how much, with the 95 % interval."
    return _picture(FOREST.parent, Drawn(FOREST.name, caption, " ".join(said)))


def _words(key: str) -> str:
    """A key of a verdict's details as a table's header."""
    return str(key).replace("_", " ")
