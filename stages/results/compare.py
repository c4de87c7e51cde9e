"""All that is made of a study's scores: tables and figures in one folder."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from stages.results.closed_loop import draw_closed_loops
from stages.results.figures import draw_curves, draw_scores
from stages.results.landscape import draw_landscape
from stages.results.scores import (
    MADE_OF_LISTS,
    documents,
    mean_over_settings,
    nearest_to_protocol,
    repeats_table,
    summary_table,
    thin_curves,
)
from stages.results.sweep import draw_sweep, sweep_markdown
from stages.results.tables import frame_markdown, sentences_table, study_markdown


def write_comparison(
    study: str,
    cells: Sequence[Mapping[str, Any]],
    baselines: Sequence[Mapping[str, Any]],
    curves: pd.DataFrame,
    folder: Path,
) -> None:
    """Write table.*, repeats.csv, curves.*, scores.* into a new `folder`, and what only some studies have.

    Those are sentences.csv, means.csv (over a sweep's settings), closed_loop.* and landscape.*.

    `cells` are the contents of metrics/STUDY/CELL.json, `baselines` the rows of baseline.json, and `curves` has
    a row an epoch, as `curves_table` makes them; none where no run has a curve.
    """
    folder.mkdir(parents=True)
    document, corpus = documents()[study], cells[0]["corpus"]
    repeats = repeats_table(cells)
    faithful = nearest_to_protocol(repeats)
    summary = summary_table(study, repeats)
    tables = {"table": summary, "repeats": repeats.drop(columns=MADE_OF_LISTS)}
    if "sweep" in document:
        tables["means"] = summary_table(study, mean_over_settings(study, repeats))
        markdown = study_markdown(study, tables["means"], baselines, corpus, sweep_markdown(study, summary))
        draw_sweep(study, faithful, corpus, folder)
    else:
        markdown = study_markdown(study, summary, baselines, corpus)
        draw_scores(study, faithful, baselines, corpus, folder)
    if repeats["sentences"].notna().any():
        sentences = sentences_table(repeats, baselines)
        sentences.to_csv(folder / "sentences.csv", float_format="%.6f")
        markdown += f"\nProbability of *positive*, mean over repeats:\n\n{frame_markdown(sentences)}\n"
    if not curves.empty:
        tables["curves"] = thin_curves(study, curves)
        draw_curves(study, nearest_to_protocol(tables["curves"]), corpus, folder)
    if "closed_loop_truth" in cells[0]:
        draw_closed_loops(study, faithful, cells[0]["closed_loop_truth"], corpus, folder)
    if document.get("landscape"):
        draw_landscape(folder)
    for name, table in tables.items():
        table.drop(columns="arm", errors="ignore").to_csv(folder / f"{name}.csv", index=False, float_format="%.6g")
    (folder / "table.md").write_text(markdown, encoding="utf-8")
