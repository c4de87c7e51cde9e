"""The record of full runs: metrics/record/STUDY/CELL.json, an entry a repeat, merged and never overwritten."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from stages.support.files import digest, read_json, whole, write_text

RECORD = Path("metrics/record")
FIGURES = Path("plots/record")

Entry = dict[str, Any]
ARM = ("setting", "sweep", "protocols", "hyperparameters", "parameters", "parameters_in_torch")
"""What an entry takes from its arm in metrics/STUDY/CELL.json."""


def protocol_digest(study: str, setting: str, hyperparameters: Mapping[str, Any], seed: int) -> str:
    """What was trained, as a short digest: entries that share it differ in nothing but the repeat."""
    values = {"study": study, "setting": setting, "hyperparameters": dict(hyperparameters), "seed": seed}
    return digest(values)[:16]


def read_entries(study: str, cell: str) -> list[Entry]:
    """The entries of one cell; none where nothing is recorded."""
    path = RECORD / study / f"{cell}.json"
    entries: list[Entry] = read_json(path) if path.exists() else []
    return entries


def entry_key(entry: Entry) -> tuple[str, str, int]:
    """What an entry is a measurement of: protocol, data and repeat."""
    return entry["protocol_digest"], entry["data_digest"], entry["repeat"]


def merge(recorded: Sequence[Entry], new: Iterable[Entry]) -> tuple[list[Entry], list[str]]:
    """Add what is not recorded yet; a second value for a recorded key is reported, not taken.

    Returns the merged entries in a stable order, and a line for each disagreement.
    """
    merged = {entry_key(entry): entry for entry in recorded}
    conflicts = []
    for entry in new:
        known = merged.setdefault(entry_key(entry), entry)
        if known["test"] != entry["test"]:
            conflicts.append(
                f"{entry['study']}/{entry['cell']} {entry['setting']} {' = '.join(entry['protocols'])} repeat "
                f"{entry['repeat']}: recorded on {_where(known)}, now other scores on {_where(entry)}; the "
                "recorded stay"
            )
    order = sorted(merged.values(), key=lambda e: (e["setting"], e["protocols"], e["protocol_digest"], e["repeat"]))
    return order, conflicts


def write_entries(study: str, cell: str, entries: Sequence[Entry]) -> None:
    """Write the entries of one cell, each on a line of its own, so that Git shows and merges whole entries."""
    lines = ",\n".join(json.dumps(entry, ensure_ascii=False, allow_nan=False) for entry in entries)
    write_text(RECORD / study / f"{cell}.json", f"[\n{lines}\n]\n")


def draw_record(study: str) -> Path:
    """Draw the study's tables and figures from all that is recorded of it; returns their folder."""
    from stages.results.compare import write_comparison  # matplotlib and pandas are slow
    from stages.results.scores import curves_table

    entries = _shown(study)
    baseline = RECORD / study / "baseline.json"
    output = FIGURES / study
    with whole(output) as temporary:
        write_comparison(
            study,
            _as_scored(entries),
            read_json(baseline)["rows"] if baseline.exists() else [],
            curves_table(entries),
            temporary,
        )
    return output


def read_scored(study: str) -> list[dict[str, Any]]:
    """What is recorded of a study, in the form of metrics/STUDY/CELL.json; nothing where nothing is."""
    return _as_scored(_shown(study))


def _shown(study: str) -> list[Entry]:
    """A study's entries, all cells. Scores on other data are no repeats of these: those on what is recorded most."""
    paths = sorted(path for path in (RECORD / study).glob("*.json") if path.stem != "baseline")
    entries = [entry for path in paths for entry in read_json(path)]
    most = Counter(entry["data_digest"] for entry in entries).most_common(1)
    return [entry for entry in entries if entry["data_digest"] == most[0][0]]


def _as_scored(entries: Sequence[Entry]) -> list[dict[str, Any]]:
    """Entries in the form of metrics/STUDY/CELL.json: one for each cell, its arms with their repeats."""
    scored: dict[str, dict[str, Any]] = {}
    arms: dict[str, dict[str, Any]] = {}
    for entry in entries:
        about = ("study", "cell", "corpus", "data_digest", "closed_loop_truth")
        cell = scored.setdefault(entry["cell"], {key: entry[key] for key in about if key in entry} | {"arms": []})
        key = entry["protocol_digest"]  # the cell is part of it
        if key not in arms:
            arms[key] = {k: entry[k] for k in ARM}
            arms[key]["repeats"] = []
            cell["arms"].append(arms[key])
        arms[key]["repeats"].append({k: entry[k] for k in ("repeat", "seed", "best_epoch", "validation", "test")})
    return list(scored.values())


def _where(entry: Entry) -> str:
    return f"{entry['provenance']['machine']['processor']} (commit {entry['provenance']['commit'][:8]})"
