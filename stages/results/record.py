"""The record of full runs: metrics/record/STUDY/CELL.json, one row per repeat, merged and never overwritten.

The trials that chose learning rates are rows without a test: metrics/record/STUDY/trials/CELL.json.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from stages.results.documents import documents, full_hyperparameters
from stages.results.measures import custom_of, score_of, setting_of
from stages.results.row import RECORDED, RECORDED_TRIAL, Row, check_recorded, read_baselines, read_rows, write_rows
from stages.support.files import whole
from stages.support.process import InputError, short

RECORD = Path("metrics/record")
FIGURES = Path("plots/record")


def read_entries(study: str, cell: str, *, trials: bool = False) -> list[Row]:
    """The recorded rows of one cell, or its trials; none where nothing is recorded."""
    path = _path(study, cell, trials)
    return read_rows(path) if path.exists() else []


def merge(recorded: Sequence[Row], new: Iterable[Row]) -> tuple[list[Row], list[str]]:
    """Add what is not recorded yet; a second value for a recorded key is reported, not taken.

    A key is the protocol, the data and the repeat. Returns the merged rows in a stable order, and a line for each
    disagreement.
    """
    merged = {_key(row): headed(row) for row in recorded}
    conflicts = []
    for row in map(headed, new):
        known = merged.setdefault(_key(row), row)
        if known.test != row.test:
            conflicts.append(
                f"{row.study}/{row.cell} {row.setting} {' = '.join(row.protocols)} repeat {row.repeat}: recorded on "
                f"{_where(known)}, now other scores on {_where(row)}; the recorded stay"
            )
    order = sorted(merged.values(), key=lambda row: (row.setting, row.protocols, row.protocol_digest, row.repeat))
    return order, conflicts


def headed(row: Row) -> Row:
    """A row under what it is an arm of: `published` is another protocol now than when some rows were recorded.

    Those go under `what_if` where they are what their document's file says of it; scores are never touched.
    """
    arms = documents().get(row.study, {}).get("arms", {})
    if "published" not in row.protocols or "what_if" not in arms:
        return row
    has = full_hyperparameters(row.study, row.hyperparameters)

    def is_of(heading: str) -> bool:
        wanted = arms[heading].get("all", {}) | arms[heading].get(row.cell, {})
        return all(has[name] == value for name, value in wanted.items())

    if is_of("published") or not is_of("what_if"):
        return row
    return replace(row, protocols=tuple("what_if" if name == "published" else name for name in row.protocols))


def check_entries(path: Path, rows: Sequence[Row], *, trials: bool = False) -> Sequence[Row]:
    """The rows of a record's file, where they are whole, and a table can show them.

    Raises:
        InputError: the first thing that is not as it should be, in one line.
    """
    check_recorded(path, rows, RECORDED_TRIAL if trials else RECORDED)
    for number, row in enumerate(rows):
        try:
            _check_shown(row, () if trials else row.protocols)
        except (KeyError, ValueError, TypeError, ArithmeticError) as error:
            what = f"{error} is missing" if isinstance(error, KeyError) else error
            raise InputError(f"{path}: row {number} can't be shown: {short(what, 200)}") from None
    return rows


def _check_shown(row: Row, headings: Iterable[str]) -> None:
    """Raise where a table or a figure of the row would: where a score is missing, say."""
    full_hyperparameters(row.study, row.hyperparameters)
    setting_of(row)
    custom_of(row)
    loop = row.test.get("closed_loop", ())
    if not isinstance(loop, list | tuple) or len(loop) != len(row.closed_loop_truth):
        raise ValueError(f"closed_loop must have as many steps as its truth, {len(row.closed_loop_truth)}")
    if not isinstance(row.test.get("sentences", {}), dict):
        raise ValueError("sentences must have a probability each")
    scores = documents()[row.study]["scores"]
    for name, heading in ((name, heading) for heading in headings for name in scores):
        value, about = score_of(row, name, heading), scores[name]
        if (
            not isinstance(value, int | float)
            or (about.get("logarithmic") and value <= 0)
            or (about.get("bounded") and not 0 <= value <= 1)
        ):
            raise ValueError(f"{name} is {short(repr(value))}: no such score")


def write_entries(study: str, cell: str, rows: Sequence[Row], *, trials: bool = False) -> None:
    """Write the recorded rows of one cell, or its trials, if any.

    Raises:
        InputError: one of them is not whole; nothing is written.
    """
    if rows or not trials:
        check_entries(_path(study, cell), rows, trials=trials)
        write_rows(_path(study, cell, trials), rows)


def recorded_cells(study: str) -> dict[str, list[Row]]:
    """All that is recorded of a study, by cell."""
    paths = sorted(path for path in (RECORD / study).glob("*.json") if path.stem != "baseline")
    return {path.stem: read_rows(path) for path in paths}


def comparable_rows(study: str) -> list[Row]:
    """A study's recorded rows, all cells: of those on several data, which are no repeats of each other, the most."""
    rows = [row for cell in recorded_cells(study).values() for row in cell]
    most = Counter(row.data_digest for row in rows).most_common(1)
    return [row for row in rows if row.data_digest == most[0][0]]


def recorded_trials(study: str) -> list[Row]:
    """A study's recorded trials, all cells."""
    return [row for cell in recorded_cells(study) for row in read_entries(study, cell, trials=True)]


def draw_record(study: str) -> Path:
    """Draw the study's tables and figures from all that is recorded of it; returns their folder."""
    from stages.results.compare import write_comparison  # matplotlib and pandas are slow

    rows = comparable_rows(study)
    baselines = read_baselines(RECORD / study / "baseline.json")
    output = FIGURES / study
    with whole(output) as temporary:
        write_comparison(study, rows, [*rows, *recorded_trials(study)], baselines, tables=temporary, figures=temporary)
    return output


def _path(study: str, cell: str, trials: bool = False) -> Path:
    return RECORD / study / ("trials" if trials else "") / f"{cell}.json"


def _key(row: Row) -> tuple[str, str, int]:
    return row.protocol_digest, row.data_digest, row.repeat


def _where(row: Row) -> str:
    if row.provenance is None:
        return "an unnamed machine"
    return f"{row.provenance.machine.processor} (commit {row.provenance.commit[:8]})"
