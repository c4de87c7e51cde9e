"""The section of params.yaml for a person's file: sizes that follow the data, by rules that can be read here.

Nets grow with what there is to learn from, and small data train in minutes. Every cell gets the same.
"""

import math
from pathlib import Path
from typing import Any

from stages.tables.findings import CLASSIFICATION, LANGUAGE_MODEL, Findings

_UPDATES = 3000
"""About as many updates a training, where the data are not so many that one pass has more."""

SMALL = 2_000
"""Fewer texts than that: another division into parts moves the scores as much as another training does."""

_DIVISIONS = 10

_SIZES = ((100_000, 64), (500_000, 128), (2_000_000, 256), (math.inf, 512))
"""Units of a language model, by the most tokens that they are for."""


def section(findings: Findings, path: Path, horizon: int = 1, window: int | None = None) -> dict[str, Any]:
    """A study's section for what `inspect` found; `path` is where the pipeline reads the file."""
    corpus = {"source": "file", "path": str(path)}
    if findings.kind == CLASSIFICATION:
        return _classification(findings, corpus)
    if findings.kind == LANGUAGE_MODEL:
        return _language_model(findings, corpus)
    return _series(findings, corpus, horizon, window)


def _tuned(learning_rates: list[float]) -> dict[str, Any]:
    return {
        "headings": ["tuned", "equal_size"],
        "tuning": {"learning_rates": learning_rates, "repeats": "0-1", "final_repeats": "10-19"},
    }


def _classification(findings: Findings, corpus: dict[str, Any]) -> dict[str, Any]:
    texts = findings.rows
    trained = round(0.7 * texts)
    batch_size = 64 if trained >= 10_000 else 32 if trained >= 1_000 else 16
    small = trained < 2_000
    return {
        "kind": "classification",
        "corpus": corpus | {role: column for role in ("text", "label") for column in findings.columns(role)},
        "tokens": {
            "vocabulary_size": 25_000 if findings.unit != "characters" else 5_000,
            "validation_fraction": 0.15,
            "test_fraction": 0.15,
            "longest": 400 if findings.unit != "characters" else 1000,
            "divisions": _DIVISIONS if texts < SMALL else 1,
        },
        "training": {
            "layers": 1 if small else 2,
            "dropout": 0.5,
            "repeats": "0",
            "epochs": max(2, min(30, -(-_UPDATES * batch_size // trained))),
            "batch_size": batch_size,
            "learning_rate": 0.001,
            "embedding_size": 50 if small else 100,
            "hidden_size": 16 if small else 32,
            "precision": "float32",
            **_tuned([0.001, 0.003, 0.01, 0.03] if small else [0.0003, 0.001, 0.003, 0.01]),
        },
    }


def _language_model(findings: Findings, corpus: dict[str, Any]) -> dict[str, Any]:
    tokens = findings.total_characters if findings.unit == "characters" else findings.total_words
    size = next(size for most, size in _SIZES if tokens <= most)
    streams = max(1, min(20, tokens // 2_000))
    window = 35 if findings.unit != "characters" else 100
    epochs = max(2, min(20, -(-_UPDATES * streams * window // max(tokens, 1))))
    return {
        "kind": "language_model",
        "corpus": corpus | dict(zip(("text",), findings.columns("text"), strict=False)),
        "tokens": {"vocabulary_size": 10_000, "validation_fraction": 0.1, "test_fraction": 0.1},
        "training": {
            "layers": 2,
            "dropout": 0.5 if tokens >= 500_000 else 0.2,
            "repeats": "0",
            "models": ["better"] if tokens >= 500_000 else ["basic"],
            "streams": streams,
            "window": window,
            "learning_rate": 5.0,
            "gradient_norm_limit": 0.25,
            "precision": "float32",
            "basic": {"embedding_size": size, "hidden_size": size, "epochs": epochs},
            "better": {"size": size, "epochs": epochs, "rate_divisor": 4.0},
            **_tuned([1.0, 3.0, 10.0, 30.0]),
        },
    }


def _series(findings: Findings, corpus: dict[str, Any], horizon: int, window: int | None) -> dict[str, Any]:
    steps = findings.rows
    looked_at = window or max(4, min(30, steps // 12))
    batch_size = 32 if steps >= 2_000 else 16
    return {
        "kind": "series",
        "corpus": corpus | {"value": findings.columns("value")[0], "inputs": list(findings.columns("input"))},
        "tokens": {"window": looked_at, "horizon": horizon, "validation_fraction": 0.15, "test_fraction": 0.15},
        "training": {
            "repeats": "0",
            "epochs": max(5, min(100, -(-_UPDATES * batch_size // max(round(0.7 * steps), 1)))),
            "batch_size": batch_size,
            "learning_rate": 0.003,
            "hidden_size": 16 if steps < 500 else 32,
            **_tuned([0.001, 0.003, 0.01, 0.03]),
        },
    }
