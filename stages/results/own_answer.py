"""The answer for a person's own study: LSTM or GRU, from the rows of its run."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from stages.baselines.series import origins
from stages.results.answer import Answer, Arm, Naive, Score, answer, sentence
from stages.results.documents import PROTOCOLS, documents
from stages.results.measures import score_of
from stages.results.row import Row, read_rows
from stages.support.files import read_json

_CELLS = ("lstm", "gru")
SMALL = 2_000
"""Fewer texts than that: another division into parts would move the scores as much as another seed does."""


def answers_of(
    study: str,
    rows: Iterable[Row],
    baselines: Sequence[Mapping[str, Any]],
    seconds: Mapping[str, float],
    test_items: int | None = None,
) -> list[Answer]:
    """The answers under tuned and equal size, of repeats that both cells have; `seconds` an epoch are by cell.

    The naive row is the one that validates best, so that the test part chooses nothing.
    """
    name, about = next(iter(documents()[study]["scores"].items()))
    score = Score(about["label"], about["better"] == "higher", "points" if about.get("percent") else "ratio")
    naive = _best_of(baselines, name, score)
    found = list(rows)
    answers = []
    for heading in ("tuned", "equal_size"):
        lstm, gru = (
            {row.repeat: row for row in found if row.cell == cell and heading in row.protocols} for cell in _CELLS
        )
        both = sorted(lstm.keys() & gru.keys())
        if both:
            arms = [
                Arm(
                    [float(score_of(of_cell[repeat], name, heading)) for repeat in both],
                    of_cell[both[0]].parameters,
                    seconds.get(cell) if heading == "tuned" else None,
                )
                for cell, of_cell in zip(_CELLS, (lstm, gru), strict=True)
            ]
            answers.append(answer(study, PROTOCOLS[heading], score, arms[0], arms[1], naive, test_items=test_items))
    return answers


def read_answers(study: str, cells: Sequence[str]) -> tuple[list[Answer], list[str]]:
    """The answers of this workspace's run of a study, and what their reader must know besides, a sentence each."""
    rows = [row for cell in cells for row in read_rows(Path("metrics", study, f"{cell}.json"))]
    baselines = read_json(Path("metrics", study, "baseline.json"))["rows"]
    items, notes = _test_items(Path("data/ready", study))
    return answers_of(study, rows, baselines, _epoch_seconds(study), items), notes


def said(answers: Sequence[Answer], notes: Sequence[str]) -> list[str]:
    """The answers and the notes as sentences; without answers, why there is none."""
    sentences = [sentence(answer) for answer in answers]
    return [*(sentences or ["There is no answer: cells must hold lstm and gru, and both must be trained."]), *notes]


def _best_of(baselines: Sequence[Mapping[str, Any]], name: str, score: Score) -> Naive | None:
    known = [row for row in baselines if name in row["test"]]
    if not known:
        return None
    choose = max if score.higher_is_better else min
    best = choose(known, key=lambda row: row.get("validation", row["test"])[name])
    return Naive(best["name"], [best["test"][name]])


def _test_items(ready: Path) -> tuple[int | None, list[str]]:
    """How many items the test part has, and where they are few what that means."""
    about = read_json(ready / "manifest.json")
    if "texts" in about:
        total = sum(about["texts"].values())
        notes = [
            f"The {total:,} texts are divided into parts once: the intervals are over repeated trainings, and another "
            "division may change the scores by more."
        ]
        return about["texts"]["test"], notes if total < SMALL else []
    if "tokens" in about:
        return about["tokens"]["test"], []
    steps = len(np.load(ready / "values.npy", mmap_mode="r"))
    return len(origins(about["validation_end"], steps, about["window"], about["horizon"])), []


def _epoch_seconds(study: str) -> dict[str, float]:
    """Median seconds of an epoch by cell, of the tuned arm's trainings that this machine has timed."""
    found = {}
    for cell in _CELLS:
        rows = read_rows(Path("models", study, cell, "runs.json"))
        timings = {Path("timings", f"{row.job}.json") for row in rows if "tuned" in row.protocols}
        seconds = [epoch["seconds"] for path in timings if path.exists() for epoch in read_json(path)["epochs"]]
        if seconds:
            found[cell] = median(seconds)
    return found
