"""The answer for a person's own study: what `answers` has of it, and what this machine and the test part say."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from stages.results.answer import CELLS, Answer, sentence
from stages.results.answers import run_answers
from stages.results.row import read_rows
from stages.support.files import read_json
from stages.tables.sizes import SMALL


def read_answers(study: str, cells: Sequence[str]) -> tuple[list[Answer], list[str]]:
    """The answers of this workspace's run of a study, and what their reader must know besides, a sentence each."""
    answers = run_answers([study], cells)
    notes = _notes(read_json(Path("data/ready", study, "manifest.json")))
    seconds = {cell: _epoch_seconds(study, cell) for cell in CELLS} if answers else {}
    if any(found.cautions for found in answers):
        notes.append(
            "`epochs` under `training` in params.yaml says how long it trains; where BUDGET= cut it, raise that."
        )
    timed = [replace(found, seconds_an_epoch=seconds) if found.heading == "tuned" else found for found in answers]
    return timed, notes


def said(answers: Sequence[Answer], notes: Sequence[str]) -> list[str]:
    """The answers and the notes as sentences; without answers, why there is none."""
    sentences = [sentence(answer) for answer in answers]
    return [*(sentences or ["There is no answer: cells must hold lstm and gru, and both must be trained."]), *notes]


def _notes(about: Mapping[str, Any]) -> list[str]:
    """What the intervals are about; `about`: manifest.json."""
    if "texts" not in about:
        return [
            "The parts follow each other in time, and are one way to divide it: the intervals are over repeated "
            "trainings, and another stretch to test on may change the scores by more."
        ]
    total = sum(about["texts"].values())
    if about.get("divisions", 1) > 1:
        return [
            f"Repeats take {about['divisions']} divisions of the {total:,} texts into parts in turn: the answer's "
            "intervals cover another division, and know that divisions share texts (Nadeau and Bengio 2003)."
        ]
    if total < SMALL:
        return [
            f"The {total:,} texts are divided into parts once: the intervals are over repeated trainings, and another "
            "division may change the scores by more."
        ]
    return []


def _epoch_seconds(study: str, cell: str) -> float | None:
    """The least seconds of an epoch of the tuned arm's trainings here, since others at work only ever add to it."""
    rows = read_rows(Path("models", study, cell, "runs.json"))
    timings = {Path("timings", f"{row.job}.json") for row in rows if "tuned" in row.protocols}
    seconds = [epoch["seconds"] for path in timings if path.exists() for epoch in read_json(path)["epochs"]]
    return min(seconds, default=None)
