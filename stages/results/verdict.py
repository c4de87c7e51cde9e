"""A verdict on a claim, and how it is said."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stages.results.documents import PROTOCOLS
from stages.results.table import Cell, Table


@dataclass(frozen=True)
class Verdict:
    """A claim under one protocol, or one part of it, and what decided.

    A claim of several parts has the effect and the reason of the part that decided: the first that contradicts,
    otherwise the open one that is furthest from being settled, otherwise the one that supports most narrowly.
    """

    id: str
    study: str
    """One study, or several with commas between them."""
    source: str
    """The document."""
    origin: str
    """Who claims it: document, book or project."""
    claim: str
    published: str
    """What the document publishes of it, or nothing."""
    protocol: str
    """published or corrected; empty where one arm stands under both, and for timings."""
    verdict: str = "open"
    """supported, contradicted or open."""
    effect: float | None = None
    """A difference (of accuracies), a ratio (of errors, perplexities, seconds, counts) or a probability."""
    low: float | None = None
    high: float | None = None
    """The ends of its 95 % interval; None where the repeats are too few for one, and of what is counted."""
    effect_label: str = ""
    """Such as `validation accuracy, rnn - lstm`."""
    percent: bool = False
    """Whether the effect is a difference of percentages, which is said in points."""
    claimed_low: float | None = None
    claimed_high: float | None = None
    """The claim says that the effect lies between these; None: no bound."""
    repeats: int = 0
    """Pairs of repeats, repeats of one arm, or timings; 0 of what is counted."""
    reason: str = ""
    """What decided, or why nothing did, in a sentence."""
    detectable: float | None = None
    """Of an open claim: the smallest effect on the claim's side (of an equality: away from none) that so many repeats
    would call with a probability of 80 %, at the spread seen (noncentral t)."""
    repeats_needed: int | None = None
    """Of an open claim: how many would settle it, at the effect and the spread seen. None: unknown, or no number."""
    scaled: str = ""
    """How the runs that decided were scaled down; empty where they were not."""
    parts: "tuple[Verdict, ...]" = ()
    details: tuple[Mapping[str, Any], ...] = ()
    """What stands beside and decides nothing: tests of each length, or what was timed on which hardware. A claim of
    several parts has them in its parts."""


def effect_text(verdict: Verdict) -> str:
    """A verdict's effect with its 95 % interval, such as `4.2 points [2.0, 6.5]`; empty where there is none."""
    if verdict.effect is None:
        return ""
    effect = amount_text(verdict.effect, verdict)
    if verdict.low is None or verdict.high is None:
        return effect
    return f"{effect} [{_number(verdict.low, verdict)}, {_number(verdict.high, verdict)}]"


def amount_text(value: float, verdict: Verdict) -> str:
    """An amount in the unit of a verdict's effect, such as `12.6 points`."""
    return _number(value, verdict) + " points" * verdict.percent


def bounds_text(verdict: Verdict) -> str:
    """The claim's side in words, such as `above 0`."""
    unit = " points" * verdict.percent
    low, high = (
        None if side is None else f"{100 * side:g}" if verdict.percent else f"{side:.3g}"
        for side in (verdict.claimed_low, verdict.claimed_high)
    )
    if low is None:
        return f"below {high}{unit}"
    return f"above {low}{unit}" if high is None else f"between {low} and {high}{unit}"


def by_claim(verdicts: Sequence[Verdict]) -> list[dict[str, Any]]:
    """Each claim with its verdicts by protocol ('': it has no arms), and the first study that it names."""
    claims: dict[str, dict[str, Any]] = {}
    for verdict in verdicts:
        claim = claims.setdefault(
            verdict.id, {"about": verdict, "study": re.split(r"\W+", verdict.study)[0], "verdicts": {}}
        )
        claim["verdicts"][verdict.protocol] = verdict
    return list(claims.values())


def verdicts_table(verdicts: Sequence[Verdict]) -> Table:
    """One row per claim: what decided it as published and corrected, in short."""
    rows = []
    for claim in by_claim(verdicts):
        found = claim["verdicts"]
        shown = (
            [_in_short(found[""]), "the same"]
            if "" in found
            else [_in_short(found[name]) if name in found else "–" for name in PROTOCOLS]
        )
        rows.append([Cell(text) for text in (claim["about"].study, claim["about"].claim, *shown)])
    return Table("Every claim under both protocols", ["study", "claim", *PROTOCOLS.values()], (), rows)


def _in_short(verdict: Verdict) -> str:
    """A verdict with its effect, such as `**supported**: accuracy, gru - lstm: 1.2 points [0.4, 2.0], 10 repeats`."""
    if verdict.effect is None:
        return f"**{verdict.verdict}**: {verdict.reason}"
    repeats = f", {verdict.repeats} repeats" if verdict.low is not None else ""
    return f"**{verdict.verdict}**: {verdict.effect_label}: {effect_text(verdict)}{repeats}"


def _number(value: float, verdict: Verdict) -> str:
    if not verdict.percent:
        return f"{value:.3g}"
    points = 100 * value
    return f"{points:.1g}" if 0.0 < abs(points) < 0.1 else f"{points:.1f}"
