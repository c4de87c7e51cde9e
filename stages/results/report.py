"""The report: one self-contained HTML page for this workspace's run, one for the record of full runs."""

import base64
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from stages.results.claims import Verdict, read_record, read_sample, read_seconds
from stages.results.claims import verdicts as decide
from stages.results.record import FIGURES, RECORD, read_entries
from stages.results.report_tables import (
    PROTOCOLS,
    Table,
    number_cell,
    record_provenance,
    run_provenance,
    scores_table,
    sentences_table,
    sweep_table,
)
from stages.results.scores import documents
from stages.results.tables import data_source, markdown_table, shares_explained
from stages.support.files import read_json
from stages.support.params import parse_repeats

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


def run_page(studies: Sequence[str], cells: Sequence[str], *, sample: bool) -> str:
    """The page of this workspace's run, from metrics/ and plots/; `sample`: with text that the project made.

    What lies there of other studies and cells than those named is not the run's.
    """
    scores = _run_scores(studies, cells)
    sections = [
        study_section(study, Path("metrics"), Path("plots"), scores[study][0]["corpus"])
        if study in scores
        else unmeasured_section(study, [f"dvc repro compare@{study}"])
        for study in documents()
    ]
    return render(
        sections,
        run_verdicts(studies, cells),
        run_provenance(scores),
        record=False,
        sample=sample,
    )


def run_verdicts(studies: Sequence[str], cells: Sequence[str]) -> list[Verdict]:
    """The verdicts of this workspace's run; runs that are scaled down count, and the verdict says so."""
    return decide(_run_scores(studies, cells), read_seconds(), scaled=True)


def record_verdicts() -> list[Verdict]:
    """The verdicts of the record: only runs of the published sizes count."""
    return decide(read_record(), read_seconds())


def verdicts_table(verdicts: Sequence[Verdict]) -> str:
    """A Markdown table, a row a claim: what decided it as published and corrected, in short."""
    rows = []
    for claim in _claims(verdicts):
        found = claim["verdicts"]
        columns = [found.get(protocol, found.get("")) for protocol in PROTOCOLS]
        same = "" in found
        rows.append(
            [
                claim["about"].study,
                claim["about"].claim,
                *("–" if verdict is None else _in_short(verdict) for verdict in columns[: 1 if same else 2]),
                *(["the same"] if same else []),
            ]
        )
    return markdown_table(["study", "claim", *PROTOCOLS.values()], rows)


def record_page(cells: Sequence[str], repeats: Mapping[str, str]) -> str:
    """The page of the record, with the commands for what it lacks of these cells and `repeats` (`0-9`) by study."""
    entries = {
        (study, path.stem): read_entries(study, path.stem)
        for study in documents()
        for path in sorted((RECORD / study).glob("*.json"))
        if path.stem != "baseline"
    }
    sections = []
    for study in documents():
        lacking = [
            f"make full STUDY={study} CELL={cell} REPEATS={repeats[study]}"
            for cell in cells
            if study in repeats
            and set(parse_repeats(repeats[study])) - {entry["repeat"] for entry in entries.get((study, cell), [])}
        ]
        corpora = [recorded[0]["corpus"] for key, recorded in entries.items() if key[0] == study]
        sections.append(
            study_section(study, RECORD, FIGURES, corpora[0], lacking)
            if corpora
            else unmeasured_section(study, lacking)
        )
    return render(
        sections,
        record_verdicts(),
        record_provenance(entries),
        record=True,
        sample=False,
    )


def _run_scores(studies: Sequence[str], cells: Sequence[str]) -> dict[str, list[Mapping[str, Any]]]:
    """The scored cells of the named studies that have any."""
    found = read_sample()
    scores = {study: [scored for scored in found[study] if scored["cell"] in cells] for study in studies}
    return {study: scored for study, scored in scores.items() if scored}


def _in_short(verdict: Verdict) -> str:
    """A verdict with its effect, such as `**supported**: accuracy, gru - lstm: 1.2 % [0.4 %, 2 %], 10 repeats`."""
    if verdict.effect is None:
        return f"**{verdict.verdict}**: {verdict.reason}"
    repeats = f", {verdict.repeats} repeats" if verdict.low is not None else ""
    return f"**{verdict.verdict}**: {verdict.effect_label}: {effect_text(verdict)}{repeats}"


def render(
    sections: Sequence[Section],
    verdicts: Sequence[Verdict],
    provenance: Table,
    *,
    record: bool,
    sample: bool,
) -> str:
    """The page of the run, or of the `record`; `sample` warns that text was made by the project."""
    templates = FileSystemLoader(Path(__file__).with_name("templates"))
    environment = Environment(
        loader=templates, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"effect": effect_text, "amount": amount_text, "sentence": _sentence, "words": _words}
    return environment.get_template("report.html").render(
        sections=sections,
        claims=_claims(verdicts),
        tally=Counter(verdict.verdict for verdict in verdicts),
        provenance=provenance,
        record=record,
        sample=sample,
        protocols=PROTOCOLS,
    )


def study_section(study: str, scores: Path, figures: Path, corpus: str, commands: Sequence[str] = ()) -> Section:
    """A study's section, from the tables and figures that `compare` wrote below `figures` and its baselines' scores."""
    document, folder, baseline = documents()[study], figures / study, scores / study / "baseline.json"
    table, summary = _tables(folder)
    tables = [scores_table(study, summary, read_json(baseline)["rows"] if baseline.exists() else [])]
    if "sweep" in document:
        tables.append(sweep_table(study, table))
    if (folder / "sentences.csv").exists():
        tables.append(sentences_table(folder / "sentences.csv"))
    return Section(
        study,
        document,
        data_source(corpus).replace("**", ""),
        tables,
        _notes(study, summary),
        [_picture(path, study, table, summary) for path in _svgs(folder)],
        commands,
    )


def unmeasured_section(study: str, commands: Sequence[str]) -> Section:
    """The section of a study without results, and the commands that make them."""
    return Section(study, documents()[study], "", (), (), (), commands)


def figure_in_words(path: Path) -> tuple[str, str]:
    """The caption of a figure that `compare` drew into a study's folder, and what it shows in words."""
    study, table, summary = path.parent.name, *_tables(path.parent)
    return _in_words(path.stem, study, table, summary)


def effect_text(verdict: Verdict) -> str:
    """A verdict's effect with its 95 % interval; empty where there is none."""
    if verdict.effect is None:
        return ""
    effect = amount_text(verdict.effect, verdict)
    if verdict.low is None or verdict.high is None:
        return effect
    return f"{effect} [{amount_text(verdict.low, verdict)}, {amount_text(verdict.high, verdict)}]"


def amount_text(value: float, verdict: Verdict) -> str:
    """An amount in the unit of a verdict's effect, such as `12.6 %`."""
    return f"{100 * value:.3g} %" if verdict.percent else f"{value:.3g}"


def _claims(verdicts: Sequence[Verdict]) -> list[dict[str, Any]]:
    """Each claim with its verdicts by protocol ('': it has no arms), and the first study that it names."""
    claims: dict[str, dict[str, Any]] = {}
    for verdict in verdicts:
        claim = claims.setdefault(
            verdict.id, {"about": verdict, "study": re.split(r"\W+", verdict.study)[0], "verdicts": {}}
        )
        claim["verdicts"][verdict.protocol] = verdict
    return list(claims.values())


def _tables(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """A study's table, and what is said of it as a whole: the means over a sweep's settings."""
    table = _read(folder / "table.csv")
    return table, _read(folder / "means.csv") if (folder / "means.csv").exists() else table


def _read(path: Path) -> pd.DataFrame:
    text = {"setting": str, "custom": str, "note": str}
    return pd.read_csv(path, dtype=text).fillna(dict.fromkeys(text, ""))


def _notes(study: str, summary: pd.DataFrame) -> list[str]:
    """What a reader of this study's table must know, a sentence each."""
    document = documents()[study]
    noted = summary[summary["note"] != ""].to_dict("records")
    remarks = dict.fromkeys(f"{row['cell']} {row['setting']}".strip() + f": {row['note']}" for row in noted)
    notes = [f"In the document: {'; '.join(remarks)}."] if remarks else []
    if shares := shares_explained(study):
        notes.append(_sentence("; ".join(shares)))
    customs = [custom for custom in dict.fromkeys(summary["custom"]) if custom]
    if customs:
        some = "These runs" if summary["custom"].all() else "Some of these runs"
        notes.append(f"{some} left the protocol (its own values in brackets, or after “of”): {'; '.join(customs)}.")
    if "sweep" in document:
        notes.append(f"The unit is the repeat: each one's mean over the {document['sweep']['hyperparameter']}s.")
    if "parameters_in_torch" in summary:
        notes.append("torch counts a second bias a gate, which only adds to the first and is kept at zero here.")
    return notes


def _svgs(folder: Path) -> list[Path]:
    """A study's figures, scores first."""
    order = ("scores", "curves", "closed_loop", "landscape")
    return [path for path in (folder / f"{name}.svg" for name in order) if path.exists()]


def _picture(path: Path, study: str, table: pd.DataFrame, summary: pd.DataFrame) -> Picture:
    data = path.read_bytes()
    found = re.search(rb'<svg[^>]*?\bwidth="([0-9.]+)pt"', data)
    width = float(found[1]) * _PIXELS_A_POINT if found else 800
    caption, alternative = _in_words(path.stem, study, table, summary)
    uri = "data:image/svg+xml;base64," + base64.b64encode(data).decode("ascii")
    return Picture(uri, round(width), caption, alternative)


def _in_words(name: str, study: str, table: pd.DataFrame, summary: pd.DataFrame) -> tuple[str, str]:
    """A figure's caption, and what it shows for those who do not see it."""
    document = documents()[study]
    score, about = next(iter(document["scores"].items()))
    means = "; ".join(_means(summary, score, about))
    if name == "landscape":
        return (
            "The error of one recurrent unit over its weight and bias: after many steps a cliff.",
            "Three heat maps of the squared error over recurrent weight and bias, after 2, 10 and 50 steps, and a cut "
            "through each: a smooth valley at 2 steps, a vertical cliff at 50.",
        )
    if name == "closed_loop":
        return (
            f"Closed loop: {document['closed_loop']['note']}.",
            f"The true sequence and each cell's predictions of it, fed back to the net. {about['label']}: {means}.",
        )
    if name == "curves":
        train, validation = (document["curve"][part]["label"] for part in ("train", "validation"))
        return (
            "Learning curves: mean of the repeats, band from the least to the most.",
            f"Training {train} and validation {validation} by epoch, a line for each cell and protocol; "
            f"what they end in is in the table above ({about['label']}: {means}).",
        )
    if "sweep" in document:
        settings = list(dict.fromkeys(table["setting"]))
        ends = [
            f"at {document['sweep']['hyperparameter']} {setting}: "
            + "; ".join(_means(table[table["setting"] == setting].assign(setting=""), score, about))
            for setting in dict.fromkeys((settings[0], settings[-1]))
        ]
        labels = ", ".join(other["label"] for other in document["scores"].values())
        return (
            f"Scores by {document['sweep']['label']}, as published and corrected.",
            f"{labels} by {document['sweep']['label']}, a line for each cell. {about['label']} {', '.join(ends)}.",
        )
    return (
        _sentence(f"{about['label']}: every repeat, their mean and its 95 % interval ({about['better']} is better)"),
        f"A dot with its interval for each cell and protocol. {about['label']}: {means}.",
    )


def _means(rows: pd.DataFrame, score: str, about: Mapping[str, Any]) -> list[str]:
    """The mean of a score in every arm, such as `gru corrected 95.17%`; the setting too where there are several."""
    several = rows["setting"].nunique() > 1
    return [
        " ".join(
            [
                str(row["cell"]),
                *([str(row["setting"])] if several else []),
                PROTOCOLS[row["protocol"]],
                number_cell(row[score], score, about).text,
            ]
        )
        for row in rows.to_dict("records")
    ]


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _words(key: str) -> str:
    """A key of a verdict's details as a table's header."""
    return str(key).replace("_", " ")
