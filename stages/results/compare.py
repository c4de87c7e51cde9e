"""All that is made of a study's scores: tables and figures in one folder."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from stages.results.figures import draw_curves, draw_scores
from stages.results.scores import nearest_to_protocol, repeats_table, summary_table
from stages.results.tables import frame_markdown, sentences_table, study_markdown


def write_comparison(
    study: str,
    cells: Sequence[Mapping[str, Any]],
    baselines: Sequence[Mapping[str, Any]],
    curves: pd.DataFrame,
    folder: Path,
) -> None:
    """Write table.*, repeats.csv, curves.*, scores.* (and sentences.csv) into a new `folder`.

    `cells` are the contents of metrics/STUDY/CELL.json, `baselines` the rows of baseline.json, and `curves` has
    a row an epoch, as `curves_table` makes them.
    """
    folder.mkdir(parents=True)
    corpus = cells[0]["corpus"]
    repeats = repeats_table(cells)
    summary = summary_table(study, repeats)
    for name, table in (("table", summary), ("repeats", repeats.drop(columns="sentences")), ("curves", curves)):
        table.to_csv(folder / f"{name}.csv", index=False, float_format="%.6g")
    markdown = study_markdown(study, summary, baselines, corpus)
    if repeats["sentences"].notna().any():
        sentences = sentences_table(repeats, baselines)
        sentences.to_csv(folder / "sentences.csv", float_format="%.4f")
        markdown += f"\nProbability of *positive*, mean over repeats:\n\n{frame_markdown(sentences)}\n"
    (folder / "table.md").write_text(markdown, encoding="utf-8")
    draw_curves(study, nearest_to_protocol(curves), corpus, folder)
    draw_scores(study, nearest_to_protocol(repeats), baselines, corpus, folder)
