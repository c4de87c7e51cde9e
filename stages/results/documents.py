"""What the documents publish and claim, and the words that name where scores come from. Nothing heavy is imported."""

from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from stages import kinds, studies
from stages.support.files import parse_yaml

SAMPLE = "sample"
"""The corpus name of text that the project made."""
SEQUENCES = "sequences"
"""The corpus name of data made as the protocol says."""
PROTOCOLS = {
    "published": "as published",
    "corrected": "corrected",
    "tuned": "tuned",
    "equal_size": "equal size",
    "what_if": "what if",
}
"""How tables, figures and pages call the protocols."""


def protocols_in_words(protocols: Iterable[str], joint: str = " = ") -> str:
    """What an arm that stands under several protocols is called, such as `tuned = equal size`."""
    return joint.join(PROTOCOLS[protocol] for protocol in protocols)


@cache
def documents() -> dict[str, Any]:
    """Each study as tables and figures show it: what its kind says, and what its file in stages/studies does.

    Those that a document is behind, in the order of params.yaml, then a person's own.
    """
    names = _kinds()
    documented = [study for study in names if study in studies.documented()]
    others = [study for study in names if study not in documented]
    return {study: studies.described(study, kinds.kind(names[study])) for study in (*documented, *others)}


@cache
def claims() -> list[dict[str, Any]]:
    """The claims with their rules; a claim about several studies stands once."""
    return [
        {"study": study, "source": about["document"]["id"], **claim}
        for study, about in documents().items()
        for claim in about["claims"]
    ]


def full_hyperparameters(study: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """A row's hyperparameters with those that have their default."""
    return dict(vars(kinds.kind(_kinds()[study]).Hyperparameters(**values)))


def trains_on_all(study: str, setting: str) -> bool:
    """Whether a setting's nets train on all texts, as rows without a net do: else these can't stand beside them."""
    return "train_texts" not in documents()[study]["variants"].get(setting, {})


@cache
def _kinds() -> dict[str, str]:
    """The kind of each study of params.yaml."""
    params = parse_yaml(Path("params.yaml").read_text(encoding="utf-8"))
    return {name: value["kind"] for name, value in params.items() if isinstance(value, dict) and "kind" in value}


def data_source(study: str, corpus: str) -> str:
    """What scores were measured on, in one sentence: sample text is never shown as the real corpus."""
    if corpus == SAMPLE:
        return (
            "Measured on sample text made by this project, with models scaled down: it shows how the cells "
            "differ there, and cannot be set against the published figures, which are on the real corpus."
        )
    if corpus == SEQUENCES:
        return "Measured on data made here as the protocol says, as the document made its own."
    return f"Measured on {the_corpus(study, corpus)}."


def the_corpus(study: str, corpus: str) -> str:
    """What a study's real data are called: a document's corpus, or a person's own file."""
    return f"the real corpus ({corpus})" if documents()[study]["document"] else corpus
