"""What a row measures, by what its document says of the scores. Nothing heavy is imported."""

from collections.abc import Mapping
from typing import Any

from stages.results.documents import SAMPLE, documents, full_hyperparameters
from stages.results.row import Row

_SCALED_IN_SAMPLES_EXCEPT = ("layers", "dropout", "precision")


def setting_of(row: Row) -> Any:  # noqa: ANN401
    """A grid point's name; in a sweep the hyperparameter's value, since numbers are sorted and drawn as such."""
    sweep = documents()[row.study].get("sweep")
    return row.hyperparameters[sweep["hyperparameter"]] if sweep else row.setting


def score_of(row: Row, name: str, protocol: str) -> float | bool:
    """A score of one repeat, averaged the document's way under `published`; a share's: whether the repeat counts."""
    about = documents()[row.study]["scores"][name]
    source = about.get("from", f"test.{name}")
    if protocol == "published":
        source = about.get("published_from", source)
    part, column = source.split(".")
    value: float = (row.test if part == "test" else row.validation)[column]  # type: ignore[assignment]
    return value >= about["at_least"] if "at_least" in about else value


def departures(study: str, setting: str, hyperparameters: Mapping[str, Any], corpus: str) -> str:
    """Where an arm left the document's protocol, such as `dropout 0.3 (0.5)`, `2 of 40 epochs`; empty: nowhere.

    On sample text models are scaled down on purpose: only what governs every profile counts there.
    """
    protocol = documents()[study].get("protocol", {})
    fixed = protocol.get("", {}) | protocol.get(setting, {})
    names = [name for name in fixed if corpus != SAMPLE or name in _SCALED_IN_SAMPLES_EXCEPT]
    full = full_hyperparameters(study, hyperparameters) if names else {}
    found = {name: full[name] for name in names}
    return ", ".join(
        f"{found[name]} of {fixed[name]} epochs"
        if name == "epochs" and found[name] < fixed[name]
        else f"{name} {found[name]} ({fixed[name]})"
        for name in names
        if found[name] != fixed[name]
    )


def custom_of(row: Row) -> str:
    """Where a row left its document's protocol; empty: nowhere, as where each cell has what suits it."""
    if set(row.protocols) <= {"tuned", "equal_size"}:
        return ""
    return departures(row.study, row.setting, row.hyperparameters, row.corpus)
