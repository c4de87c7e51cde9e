"""The generated part of docs/reliability.md: what was injected and what came of it, as it was measured last."""

from pathlib import Path

from stages.readme import replaced
from stages.results.table import Cell, Table
from stages.support.files import read_json
from tests.faults.catalog import FAULTS
from tests.faults.judge import SURVIVED

MEASURED = Path(__file__).parent / "measured"
PAGE = Path(__file__).parents[2] / "docs/reliability.md"


def generated(text: str) -> str:
    """docs/reliability.md with its table made anew from tests/faults/measured."""
    return replaced(PAGE, text, "faults", faults_table().markdown(padded=False), "make faults")


def faults_table() -> Table:
    """A row a kind of fault that was measured."""
    rows = []
    for name, fault in FAULTS.items():
        path = MEASURED / f"{name}.json"
        if path.exists():
            measured = read_json(path)
            outcomes: dict[str, int] = measured["outcomes"]
            kinds = ", ".join(f"{outcomes[kind]:,} {kind}" for kind in SURVIVED if kind in outcomes)
            survived = sum(outcomes.get(kind, 0) for kind in SURVIVED)
            rest = "; ".join(f"{count:,}: {kind}" for kind, count in outcomes.items() if kind not in SURVIVED)
            texts = (fault.about, f"{measured['tried']:,}", f"{survived:,}: {kinds}", rest or "–", f"`{name}`")
            rows.append([Cell(text) for text in texts])
    return Table(
        "Faults injected by `make faults`", ["fault", "tried", "survived", "what the rest did", "part"], (), rows
    )
