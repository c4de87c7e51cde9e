"""Tables of a study: CSV for machines, Markdown for people. Published figures stand beside the measured."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from stages.results.scores import SAMPLE, SEQUENCES, documents, equal_protocols_once


def study_markdown(
    study: str, summary: pd.DataFrame, baselines: Sequence[Mapping[str, Any]], corpus: str, by_setting: str = ""
) -> str:
    """The study's table with its title, data source, baselines and flaws; `by_setting` follows a sweep's means."""
    document = documents()[study]
    scores = document["scores"]
    summary = equal_protocols_once(summary)
    with_setting = summary["setting"].any()
    with_published = [name for name in scores if summary[f"{name}_published"].notna().any()]
    setting = f"mean over {document['sweep']['hyperparameter']}s" if "sweep" in document else "model"
    header = ["protocol", *([setting] if with_setting else []), "cell", "parameters", "repeats"]
    for name, about in scores.items():
        header += [f"{about['label']}, measured [95 % interval]", *(["published"] if name in with_published else [])]
    rows = [
        [
            row["protocol"] + (f", custom: {row['custom']}" if row["custom"] else ""),
            *([row["setting"]] if with_setting else []),
            row["cell"],
            _parameters(row, document),
            str(row["repeats"]),
            *(
                cell
                for name, about in scores.items()
                for cell in (
                    interval_text(row, name, about),
                    *([_published(row, name, about)] if name in with_published else []),
                )
            ),
        ]
        for row in summary.to_dict("records")
    ]
    for baseline in baselines:
        row = dict.fromkeys(header, "") | {"cell": baseline["name"]}
        row |= {
            f"{about['label']}, measured [95 % interval]": _number(baseline["test"].get(name), about)
            for name, about in scores.items()
        }
        rows.append([row[name] for name in header])
    lines = [
        f"## {study}: {document['title']}",
        "",
        data_source(corpus),
        "",
        markdown_table(header, rows),
        "",
    ]
    lines += [by_setting] if by_setting else []
    for explained in _explained(study, summary):
        lines += [explained, ""]
    notes = sorted(
        {f"{row['cell']} {row['setting']}".strip() + f": {row['note']}" for _, row in summary.iterrows() if row["note"]}
    )
    if notes:
        lines += [f"Published: {'; '.join(notes)}.", ""]
    lines += ["Flaws found in the document:", "", *(f"- {flaw}" for flaw in document["flaws"]), ""]
    if "differs" in document:
        lines += ["Where this differs from the document:", "", *(f"- {point}" for point in document["differs"]), ""]
    return "\n".join(lines)


def shares_explained(study: str) -> list[str]:
    """What a study's shares count, a sentence a share."""
    return [
        f"{about['label']}: repeats of {about['from'].replace('.', ' ')} {about['at_least']:.0%} or more"
        for about in documents()[study]["scores"].values()
        if "at_least" in about
    ]


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
    return markdown_table(header, rows)


def data_source(corpus: str) -> str:
    """What the scores were measured on, in one sentence: sample text is never shown as the real corpus."""
    if corpus == SAMPLE:
        return (
            "Measured on **sample text made by this project**, with models scaled down: it shows how the cells "
            "differ there, and cannot be set against the published figures, which are on the real corpus."
        )
    if corpus == SEQUENCES:
        return "Measured on data made here as the protocol says, as the document made its own."
    return f"Measured on the real corpus ({corpus})."


def interval_text(row: Mapping[Any, Any], score: str, about: Mapping[str, Any]) -> str:
    """A score's mean with its interval, such as `85.00% [82.52%, 87.48%]`; `row` is one of `scores.summary_table`."""
    low, high = row[f"{score}_low"], row[f"{score}_high"]
    mean = _number(row[score], about)
    return f"{mean} [{_number(low, about)}, {_number(high, about)}]" if low == low else f"{mean} [one repeat]"


def _parameters(row: Mapping[Any, Any], document: Mapping[str, Any]) -> str:
    """Parameters that are trained, and in brackets what torch counts and the document publishes where it does."""
    published = {(about["setting"], about["cell"]): about.get("parameters") for about in document["published"]}
    others = {"torch": row.get("parameters_in_torch"), "published": published.get((row["setting"], row["cell"]))}
    if others["torch"] == row["parameters"]:
        others["torch"] = None
    brackets = ", ".join(f"{name} {count:,.0f}" for name, count in others.items() if count is not None)
    return f"{row['parameters']:,}" + (f" ({brackets})" if brackets else "")


def _explained(study: str, summary: pd.DataFrame) -> list[str]:
    """What the table's reader must know of its numbers, a paragraph each."""
    document = documents()[study]
    scores = document["scores"].values()
    geometric = [about["label"] for about in scores if about.get("logarithmic")]
    found = []
    if "sweep" in document:
        found.append(
            f"The unit is the repeat: each one's mean over {document['sweep']['hyperparameter']}s, then the mean and "
            "the interval over repeats."
        )
    if shares := shares_explained(study):
        found.append("; ".join(shares).capitalize() + ".")
    if any(about.get("bounded") for about in scores):
        found.append(
            "Repeats lie in [0, 1], often in two heaps: intervals are bootstrapped (BCa). Repeats that all agree give "
            "one of no width, which says that they agree, not that the next one must."
        )
    if geometric:
        found.append(f"Means over repeats are geometric: {', '.join(geometric)}.")
    if "parameters_in_torch" in summary:
        found.append(
            "Parameters are those that are trained. torch counts a second bias a gate too, which only adds to the "
            "first and is kept at zero here."
        )
    if summary["custom"].any():
        found.append("**Custom runs** left the protocol (its own values in brackets, or after “of”).")
    return found


def _published(row: Mapping[Any, Any], score: str, about: Mapping[str, Any]) -> str:
    value = row[f"{score}_published"]
    return _number(value, about) if value == value else "–"


def _number(value: float | None, about: Mapping[str, Any]) -> str:
    if value is None:
        return ""
    if about.get("percent"):
        return f"{value:.2%}"
    if abs(value) < 0.1:
        return f"{value:#.3g}" if abs(value) >= 0.001 else f"{value:.2e}"
    return f"{value:.3f}" if abs(value) < 10 else f"{value:.2f}" if abs(value) < 1e6 else f"{value:.2e}"


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, its columns padded so that it reads in a terminal too."""
    cells = [[text.replace("|", "\\|") for text in row] for row in (header, *rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    lines = [
        "| " + " | ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)) + " |" for row in cells
    ]
    return "\n".join([lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]])
