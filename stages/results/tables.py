"""The tables of a study and what their reader must know: published figures stand beside the measured."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from stages.results.documents import PROTOCOLS, documents, protocols_in_words
from stages.results.row import Baselines
from stages.results.scores import equal_protocols_once, nearest_to_protocol
from stages.results.table import Cell, Table, as_sentence

_HEADERS = {
    "document": "in the document",
    **{name: f"measured {label}" for name, label in PROTOCOLS.items()},
    "both": "measured, nothing corrected",
}


def scores_table(study: str, summary: pd.DataFrame, baselines: Baselines) -> Table:
    """One row per (setting, cell): for each score what the document says, measured as published, and corrected.

    `summary` is one of `scores.summary_table`, of a sweep that of the means over its settings.
    """
    document = documents()[study]
    scores = document["scores"]
    summary = _both_once(summary.drop(columns="arm"))
    # Every cell has a corrected arm: their order is the table's.
    ordered = summary.sort_values("protocol", key=lambda column: column == "published", kind="stable")
    arms = [*ordered.groupby(["setting", "cell", "custom"], sort=False)]
    with_setting = summary["setting"].astype(bool).any()
    shown = {name: _columns(summary, name) for name in scores}
    rows = []
    for (name, cell, custom), arm in arms:
        by_protocol = {row["protocol"]: row for row in arm.to_dict("records")}
        rows.append(
            [
                Cell(str(cell), f"custom: {custom}" if custom else ""),
                *([Cell(str(name))] if with_setting else []),
                _parameters(by_protocol, document),
                _repeats(by_protocol),
                *(
                    _score(by_protocol, column, score, about)
                    for score, about in scores.items()
                    for column in shown[score]
                ),
            ]
        )
    shown_under = next(name for name in ("both", "corrected", "tuned", *PROTOCOLS) if name in set(summary["protocol"]))
    for baseline in baselines:
        nothing = [Cell("")] * (2 + with_setting)
        values = [
            Cell(number_text(baseline["test"].get(score), about) if column == shown_under else "")
            for score, about in scores.items()
            for column in shown[score]
        ]
        rows.append([Cell(baseline["name"], "(no recurrent cell)"), *nothing, *values])
    setting = f"mean over {document['sweep']['hyperparameter']}s" if "sweep" in document else "setting"
    leading = ["cell", *([setting] if with_setting else []), "parameters", "repeats"]
    groups = [(about["label"], [_HEADERS[column] for column in shown[name]]) for name, about in scores.items()]
    beside = "Published beside measured" if document["document"] else "Test scores"
    return Table(f"{beside}, with 95 % intervals", leading, groups, rows)


def sweep_table(study: str, summary: pd.DataFrame) -> Table:
    """The first score at each setting of a sweep, and how many repeats of each share count.

    `summary` has a row per (setting, protocol, cell); of an arm that was also run as its protocol says, custom runs
    are left out, as in the figures.
    """
    document = documents()[study]
    score, about = next(iter(document["scores"].items()))
    shares = [name for name, other in document["scores"].items() if "at_least" in other]
    rows = nearest_to_protocol(summary)
    several = rows["custom"].nunique() > 1
    found: dict[tuple[str, str], dict[Any, Cell]] = {}
    for row in rows.to_dict("records"):
        column = str(row["cell"]) + (f", custom: {row['custom']}" if several and row["custom"] else "")
        counted = "".join(f"\n{round(row[name] * row['repeats'])}/{row['repeats']} {name}" for name in shares)
        cell = interval_cell(row, score, about)
        found.setdefault((row["protocol"], column), {})[row["setting"]] = Cell(cell.text, cell.small + counted)
    columns = [key for protocol in PROTOCOLS for key in found if key[0] == protocol]
    groups = {protocol: [column for name, column in columns if name == protocol] for protocol in PROTOCOLS}
    return Table(
        f"{about['label']} by {document['sweep']['label']}",
        [document["sweep"]["hyperparameter"]],
        [(_HEADERS[protocol], labels) for protocol, labels in groups.items() if labels],
        [
            [Cell(str(setting)), *(found[column].get(setting, Cell("–")) for column in columns)]
            for setting in sorted(set(rows["setting"]))
        ],
    )


def sentences_frame(study: str, repeats: pd.DataFrame, baselines: Baselines) -> pd.DataFrame:
    """Mean probability of *positive* for each sentence: a column an arm of a cell, then the published ones.

    Variants, each another net, have no column.
    """
    columns: dict[str, dict[str, float]] = {}
    repeats = nearest_to_protocol(repeats[~repeats["setting"].isin(documents()[study]["variants"])])
    for (cell, arm), group in repeats.groupby(["cell", "arm"], sort=False):
        columns[f"{cell} {protocols_in_words(str(arm).split())}"] = dict(
            pd.DataFrame(group["sentences"].to_list()).mean()
        )
    for baseline in baselines:
        if "sentences" in baseline:
            columns[baseline["name"]] = baseline["sentences"]
    published = documents()[study].get("sentences", {})
    for place, cell in enumerate(("lstm", "gru") if published else ()):
        columns[f"{cell} in the document"] = {text: pair[place] for text, pair in published.items()}
    return pd.DataFrame(columns).rename_axis("sentence")


def sentences_table(frame: pd.DataFrame) -> Table:
    """The probabilities of `sentences_frame`, three decimals."""
    return Table(
        "Probability of “positive” for the document's sentences, mean over repeats",
        ["sentence", *(str(column) for column in frame.columns)],
        (),
        [
            [Cell(str(name)), *(Cell(f"{value:.3f}") for value in values)]
            for name, values in zip(frame.index, frame.to_numpy(), strict=True)
        ],
    )


def notes(study: str, summary: pd.DataFrame) -> list[str]:
    """What the reader of `scores_table` must know of its numbers, a sentence or two each."""
    document = documents()[study]
    scores = document["scores"].values()
    found = []
    noted = summary[summary["note"] != ""].to_dict("records")
    remarks = dict.fromkeys(f"{row['cell']} {row['setting']}".strip() + f": {row['note']}" for row in noted)
    if remarks:
        found.append(f"In the document: {'; '.join(remarks)}.")
    if "sweep" in document:
        found.append(
            f"The unit is the repeat: each one's mean over the {document['sweep']['hyperparameter']}s, then the mean "
            "and the interval over repeats."
        )
    if shares := shares_explained(study):
        found.append(as_sentence("; ".join(shares)))
    if any(about.get("bounded") for about in scores):
        found.append(
            "Repeats lie in [0, 1], often in two heaps: intervals are bootstrapped (BCa). Repeats that all agree give "
            "one of no width, which says that they agree, not that the next one must."
        )
    if geometric := [about["label"] for about in scores if about.get("logarithmic")]:
        found.append(f"Means over repeats are geometric: {', '.join(geometric)}.")
    if customs := [custom for custom in dict.fromkeys(summary["custom"]) if custom]:
        some = "These runs are custom" if summary["custom"].all() else "Some of these runs are custom"
        found.append(f"{some}: they left the protocol (its values in brackets, or after “of”): {'; '.join(customs)}.")
    if "parameters_in_torch" in summary:
        found.append("torch counts a second bias per gate, which only adds to the first and is kept at zero here.")
    return found


def shares_explained(study: str) -> list[str]:
    """What a study's shares count, a sentence without its full stop each."""
    return [
        f"{about['label']}: repeats of {about['from'].replace('.', ' ')} {about['at_least']:.0%} or more"
        for about in documents()[study]["scores"].values()
        if "at_least" in about
    ]


def means_in_words(study: str, summary: pd.DataFrame) -> str:
    """The first score's mean in every arm, such as `test accuracy: gru corrected 95.17%; lstm …`."""
    score, about = next(iter(documents()[study]["scores"].items()))
    rows = equal_protocols_once(summary[["setting", "protocol", "cell", "arm", score]])
    several = rows["setting"].nunique() > 1
    means = (
        " ".join(
            [
                str(row["cell"]),
                *([str(row["setting"])] if several else []),
                protocols_in_words(row["protocol"].split(" = ")),
                number_text(row[score], about),
            ]
        )
        for row in rows.to_dict("records")
    )
    return f"{about['label']}: {'; '.join(means)}"


def interval_cell(row: Mapping[Any, Any], score: str, about: Mapping[str, Any]) -> Cell:
    """A score's mean with its interval, such as `85.00%` and `[82.52%, 87.48%]`; `row` is of `summary_table`."""
    low, high = row[f"{score}_low"], row[f"{score}_high"]
    interval = f"[{number_text(low, about)}, {number_text(high, about)}]" if low == low else "[one repeat]"
    return Cell(number_text(row[score], about), interval)


def number_text(value: float | None, about: Mapping[str, Any]) -> str:
    """A score in its own unit; a dash where there is none."""
    if value is None:
        return "–"
    if value == 0 and not about.get("percent"):
        return "0"
    if about.get("percent"):
        return f"{value:.2%}"
    if abs(value) < 0.1:
        return f"{value:#.3g}" if abs(value) >= 0.001 else f"{value:.2e}"
    return f"{value:.3f}" if abs(value) < 10 else f"{value:.2f}" if abs(value) < 1e6 else f"{value:.2e}"


def _both_once(summary: pd.DataFrame) -> pd.DataFrame:
    """One protocol, `both`, for published and corrected where nothing of a study was corrected.

    A cell that the document lacks has the corrected rows alone.
    """
    names = summary.columns.drop("protocol").to_list()
    published, corrected = (summary[summary["protocol"] == name] for name in ("published", "corrected"))
    if published.empty or corrected.empty:
        return summary
    known = {tuple(row) for row in corrected[names].astype(str).to_numpy()}
    if not all(tuple(row) in known for row in published[names].astype(str).to_numpy()):
        return summary
    rest = summary[summary["protocol"] != "published"]
    return rest.assign(protocol=rest["protocol"].replace("corrected", "both")).reset_index(drop=True)


def _columns(summary: pd.DataFrame, score: str) -> list[str]:
    """The columns of a score that hold anything."""
    document = ["document"] if summary[f"{score}_published"].notna().any() else []
    return document + [name for name in _HEADERS if (summary["protocol"] == name).any()]


def _repeats(by_protocol: Mapping[str, Mapping[Any, Any]]) -> Cell:
    """How many a column has, in the columns' order; one number where all have as many."""
    counts = [str(by_protocol[column]["repeats"]) for column in _HEADERS if column in by_protocol]
    return Cell(counts[0] if len(set(counts)) == 1 else " / ".join(counts))


def _score(by_protocol: Mapping[str, Mapping[Any, Any]], column: str, score: str, about: Mapping[str, Any]) -> Cell:
    if column == "document":
        values = [row[f"{score}_published"] for row in by_protocol.values()]
        return Cell(number_text(next((value for value in values if value == value), None), about))
    return interval_cell(by_protocol[column], score, about) if column in by_protocol else Cell("–")


def _parameters(by_protocol: Mapping[str, Mapping[Any, Any]], document: Mapping[str, Any]) -> Cell:
    """Parameters that are trained; beside them the document's count, torch's and other headings' where they differ."""
    row = next(by_protocol[name] for name in ("corrected", "both", "tuned", *by_protocol) if name in by_protocol)
    published = {(about["setting"], about["cell"]): about.get("parameters") for about in document["published"]}
    counts = {"document": published.get((row["setting"], row["cell"]))}
    rest = {"torch": row.get("parameters_in_torch")}
    rest |= {PROTOCOLS[name]: other["parameters"] for name, other in by_protocol.items() if name != "both"}
    counts |= {name: count for name, count in rest.items() if count != row["parameters"]}
    small = ", ".join(f"{name} {count:,.0f}" for name, count in counts.items() if count is not None)
    return Cell(f"{row['parameters']:,}", small and f"({small})")
