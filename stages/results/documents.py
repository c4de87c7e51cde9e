"""What the documents publish and claim, and the words that name where scores come from. Nothing heavy is imported."""

from functools import cache
from pathlib import Path
from typing import Any

import yaml

SAMPLE = "sample"
"""The corpus name of text that the project made."""
SEQUENCES = "sequences"
"""The corpus name of data made as the protocol says."""
PROTOCOLS = {"published": "as published", "corrected": "corrected"}
"""How tables and pages call the protocols."""


@cache
def documents() -> dict[str, Any]:
    """What the documents publish, by study: results/documents.yaml."""
    loaded: dict[str, Any] = yaml.safe_load(Path(__file__).with_name("documents.yaml").read_text(encoding="utf-8"))
    return loaded


@cache
def claims() -> list[dict[str, Any]]:
    """The claims with their rules: results/claims.yaml."""
    loaded: list[dict[str, Any]] = yaml.safe_load(Path(__file__).with_name("claims.yaml").read_text(encoding="utf-8"))
    return loaded


def data_source(corpus: str) -> str:
    """What scores were measured on, in one sentence: sample text is never shown as the real corpus."""
    if corpus == SAMPLE:
        return (
            "Measured on sample text made by this project, with models scaled down: it shows how the cells "
            "differ there, and cannot be set against the published figures, which are on the real corpus."
        )
    if corpus == SEQUENCES:
        return "Measured on data made here as the protocol says, as the document made its own."
    return f"Measured on the real corpus ({corpus})."
