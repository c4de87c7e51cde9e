"""Tables of a study: CSV for machines, Markdown for people. Published figures stand beside the measured."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from stages.results.scores import SAMPLE, documents, equal_protocols_once


def study_markdown(study: str, summary: pd.DataFrame, baselines: Sequence[Mapping[str, Any]], corpus: str) -> str:
    """The study's table with its title, data source, baselines and flaws."""
    document = documents()[study]
    scores = document["scores"]
    with_setting = summary["setting"].any()
    header = ["protocol", *(["model"] if with_setting else []), "cell", "parameters", "repeats"]
    for about in scores.values():
        header += [f"{about['label']}, measured [95 % interval]", "published"]
    rows = [
        [
            row["protocol"] + (f", custom: {row['custom']}" if row["custom"] else ""),
            *([row["setting"]] if with_setting else []),
            row["cell"],
            f"{row['parameters']:,}",
            str(row["repeats"]),
            *(
                cell
                for name, about in scores.items()
                for cell in (_interval(row, name, about), _published(row, name, about))
            ),
        ]
        for row in equal_protocols_once(summary).to_dict("records")
    ]
    for baseline in baselines:
        blank = ["", *([""] if with_setting else []), baseline["name"], "", ""]
        figures = ((_number(baseline["test"].get(name), about), "") for name, about in scores.items())
        rows.append([*blank, *(cell for pair in figures for cell in pair)])
    lines = [
        f"## {study}: {document['title']}",
        "",
        data_source(corpus),
        "",
        _markdown_table(header, rows),
        "",
    ]
    if summary["custom"].any():
        lines += ["**Custom runs** left the protocol, whose own values are in brackets.", ""]
    notes = sorted(
        {f"{row['cell']} {row['setting']}".strip() + f": {row['note']}" for _, row in summary.iterrows() if row["note"]}
    )
    if notes:
        lines += [f"Published: {'; '.join(notes)}.", ""]
    lines += ["Flaws found in the document:", "", *(f"- {flaw}" for flaw in document["flaws"]), ""]
    return "\n".join(lines)


def sentences_table(repeats: pd.DataFrame, baselines: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Mean probability of *positive* for each sentence: a column a (cell, protocol), then the published ones."""
    columns: dict[str, dict[str, float]] = {}
    for (cell, protocol), group in repeats.groupby(["cell", "protocol"], sort=False):
        means = dict(pd.DataFrame(group["sentences"].to_list()).mean())
        if columns.get(f"{cell} published") == means:  # one arm under both protocols
            del columns[f"{cell} published"]
            protocol = "published = corrected"
        columns[f"{cell} {protocol}"] = means
    for baseline in baselines:
        if "sentences" in baseline:
            columns[baseline["name"]] = baseline["sentences"]
    published = documents()["imdb"]["sentences"]
    columns["lstm in the document"] = {text: pair[0] for text, pair in published.items()}
    columns["gru in the document"] = {text: pair[1] for text, pair in published.items()}
    return pd.DataFrame(columns).rename_axis("sentence")


def frame_markdown(table: pd.DataFrame) -> str:
    """A table of numbers, its index first, three decimals."""
    header = [str(table.index.name), *(str(column) for column in table.columns)]
    rows = [
        [str(name), *(f"{value:.3f}" for value in row)] for name, row in zip(table.index, table.to_numpy(), strict=True)
    ]
    return _markdown_table(header, rows)


def data_source(corpus: str) -> str:
    """What the scores were measured on, in one sentence: sample text is never shown as the real corpus."""
    if corpus == SAMPLE:
        return (
            "Measured on **sample text made by this project**, with models scaled down: it shows how the cells "
            "differ there, and cannot be set against the published figures, which are on the real corpus."
        )
    return f"Measured on the real corpus ({corpus})."


def _interval(row: Mapping[Any, Any], score: str, about: Mapping[str, Any]) -> str:
    low, high = row[f"{score}_low"], row[f"{score}_high"]
    mean = _number(row[score], about)
    return f"{mean} [{_number(low, about)}, {_number(high, about)}]" if low == low else f"{mean} [one repeat]"


def _published(row: Mapping[Any, Any], score: str, about: Mapping[str, Any]) -> str:
    value = row[f"{score}_published"]
    return _number(value, about) if value == value else "–"


def _number(value: float | None, about: Mapping[str, Any]) -> str:
    if value is None:
        return ""
    if about.get("percent"):
        return f"{value:.2%}"
    return f"{value:.3f}" if abs(value) < 10 else f"{value:.2f}"


def _markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, its columns padded so that it reads in a terminal too."""
    cells = [[text.replace("|", "\\|") for text in row] for row in (header, *rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    lines = [
        "| " + " | ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)) + " |" for row in cells
    ]
    return "\n".join([lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]])
