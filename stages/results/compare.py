"""All that is made of a study's scores: tables and figures."""

from collections.abc import Sequence
from pathlib import Path

from stages.results.closed_loop import draw_closed_loops
from stages.results.comparison import Comparison, Drawn
from stages.results.documents import documents
from stages.results.figures import draw_curves, draw_scores
from stages.results.landscape import draw_landscape
from stages.results.rates import rates_table
from stages.results.row import Baselines, Row
from stages.results.scores import (
    MADE_OF_LISTS,
    curves_table,
    mean_over_settings,
    nearest_to_protocol,
    repeats_table,
    summary_table,
    thin_curves,
)
from stages.results.sweep import draw_sweep
from stages.results.tables import (
    means_in_words,
    notes,
    scores_table,
    sentences_frame,
    sentences_table,
    sweep_table,
)


def write_comparison(
    study: str, scored: Sequence[Row], trained: Sequence[Row], baselines: Baselines, *, tables: Path, figures: Path
) -> None:
    """Write a study's tables and figures, into two folders or into one; they are made where they are not there.

    Tables: table.csv, table.md, repeats.csv, comparison.json, and what only some studies have: curves.csv,
    sentences.csv, means.csv (over a sweep's settings). Figures, each as .svg and .png: scores, and of some studies
    curves, closed_loop and landscape.

    `scored` rows have scores, `trained` ones curves, if any, trials of learning rates among them; `baselines` are the
    rows of baseline.json.
    """
    tables.mkdir(parents=True, exist_ok=True)
    figures.mkdir(parents=True, exist_ok=True)
    document, corpus = documents()[study], scored[0].corpus
    repeats = repeats_table(scored)
    faithful = nearest_to_protocol(repeats)
    summary = summary_table(study, repeats)
    frames = {"table": summary, "repeats": repeats.drop(columns=MADE_OF_LISTS)}
    shown, others = summary, []
    drawn: list[Drawn] = []
    if "sweep" in document:
        frames["means"] = shown = summary_table(study, mean_over_settings(study, repeats))
        others.append(sweep_table(study, summary))
        drawn.append(draw_sweep(study, faithful, summary, corpus, figures))
    else:
        drawn.append(draw_scores(study, faithful, summary, baselines, corpus, figures))
    means = means_in_words(study, shown)
    if repeats["sentences"].notna().any():
        sentences = sentences_frame(study, repeats, baselines)
        sentences.to_csv(tables / "sentences.csv", float_format="%.6f")
        others.append(sentences_table(sentences))
    curves = curves_table(trained)
    if not curves.empty:
        frames["curves"] = thin_curves(study, curves)
        drawn.append(draw_curves(study, nearest_to_protocol(frames["curves"]), means, corpus, figures))
    if scored[0].closed_loop_truth:
        drawn.append(draw_closed_loops(study, faithful, scored[0].closed_loop_truth, means, corpus, figures))
    if document.get("landscape"):
        drawn.append(draw_landscape(figures))
    for name, frame in frames.items():
        frame.drop(columns="arm", errors="ignore").to_csv(tables / f"{name}.csv", index=False, float_format="%.6g")
    if rates := rates_table(study, trained):
        others.append(rates)
    first = scores_table(study, shown, baselines)
    comparison = Comparison(study, corpus, [first, *others], notes(study, shown), drawn)
    comparison.write(tables)
    (tables / "table.md").write_text(comparison.markdown(), encoding="utf-8")
