"""What the documents claim, decided from many repeats: supported, contradicted or open.

The claims and their rules stand with the documents, the kinds of rules in results/rules.py, the methods in
results/statistics.py.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from stages.results import documents
from stages.results.judge import all_of
from stages.results.record import comparable_rows
from stages.results.row import Row, read_rows
from stages.results.rules import Evidence, Timing, apply_rule
from stages.results.runs import Runs
from stages.results.verdict import Verdict, effect_text
from stages.support.files import read_json

TIMINGS = tuple(
    Path("benchmarks/results", f"{name}.json") for name in ("epoch_seconds", "keras_damped", "chainer_seconds")
)


def read_run(studies: Sequence[str], cells: Sequence[str]) -> dict[str, list[Row]]:
    """The scores of this workspace's run, by study: metrics/STUDY/CELL.json. Studies without any are left out."""
    paths = {
        study: [path for cell in cells if (path := Path("metrics", study, f"{cell}.json")).exists()]
        for study in studies
    }
    return {study: [row for path in found for row in read_rows(path)] for study, found in paths.items() if found}


def read_record() -> dict[str, list[Row]]:
    """The scores of the record of full runs, by study: metrics/record/STUDY/CELL.json."""
    return {study: comparable_rows(study) for study in documents.documents()}


def read_seconds(paths: Sequence[Path] = TIMINGS) -> dict[str, list[Timing]]:
    """The stored timings, by study, each with its library and machine; none where nothing has been timed."""
    found: dict[str, list[Timing]] = {}
    for path in filter(Path.exists, paths):
        stored = read_json(path)
        for row in stored["rows"]:
            about, library = stored["about"][row["device"]], row.get("library", "torch")
            hardware = about["processor"] if row["device"] == "cpu" else about["device"]
            version = f"{library} {about[library]}"
            found.setdefault(row["study"], []).append(
                {**row, "library": library, "hardware": hardware, "version": version}
            )
    return found


def verdicts(
    studies: Mapping[str, Sequence[Row]], seconds: Mapping[str, Sequence[Timing]], *, scaled: bool = False
) -> list[Verdict]:
    """Decide every claim: one verdict per (claim, protocol), in the order of `documents.claims()`.

    `studies` is what `read_run` or `read_record` gives, `seconds` what `read_seconds` does. Custom runs, which left
    the protocol, decide nothing about it. With `scaled`, for `read_run`, those count whose sizes alone were changed
    or whose text is the sample's: the verdicts are about scaled runs then, and say how.
    """
    evidence = Evidence({study: Runs(rows, scaled) for study, rows in studies.items()}, seconds)
    found = []
    for claim in documents.claims():
        about = {name: claim[name] for name in ("id", "study", "source", "claim", "published")}
        for protocol in claim.get("protocols", [""]):
            named = {"caveat": claim.get("caveat", ""), "origin": claim.get("origin", "document")}
            base = Verdict(**about, **named, protocol=protocol)
            decided = all_of([part for rule in claim["rules"] for part in apply_rule(rule, base, evidence)])
            others = [part for rule in claim.get("beside", ()) for part in apply_rule(rule, base, evidence)]
            beside = [f"{part.effect_label}: {effect_text(part) or part.reason}" for part in others]
            found.append(replace(decided, beside=(*decided.beside, *beside)))
    return found


def record_verdicts() -> list[Verdict]:
    """The verdicts of the record: only runs of the published sizes count."""
    return verdicts(read_record(), read_seconds())


def run_verdicts(studies: Sequence[str], cells: Sequence[str]) -> list[Verdict]:
    """The verdicts of this workspace's run; runs that are scaled down count, and the verdict says so."""
    return verdicts(read_run(studies, cells), read_seconds(), scaled=True)
