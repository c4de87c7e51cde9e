"""A verdict on a claim, and how it is said."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stages.results.documents import PROTOCOLS
from stages.results.table import Cell, Table
from stages.support.words import told_apart

LEVEL = 0.05
PARTLY = "only a part of the interval lies"
"""How the reason begins of what an interval leaves open."""


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
    """Who claims it: document, answer, book or project."""
    claim: str
    published: str
    """What the document publishes of it, or nothing."""
    protocol: str
    """A heading; empty where one arm stands under published and corrected, and for timings."""
    caveat: str = ""
    """What the verdicts hang on and the document leaves open; empty: nothing."""
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
    difference: bool = False
    """Whether it is another difference; else a ratio or a probability."""
    claimed_low: float | None = None
    claimed_high: float | None = None
    """The claim says that the effect lies between these; None: no bound."""
    repeats: int = 0
    """Pairs of repeats, repeats of one arm, or timings; 0 of what is counted."""
    unit: str = "seeds on one split"
    """What the repeats are, and so what the interval is about."""
    p: float | None = None
    """Of the test that the interval is: the level below which it would not decide."""
    pair: tuple[str, ...] = ()
    """The two arms of an effect that compares two."""
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
    beside: tuple[str, ...] = ()
    """Other effects, in words, that decide nothing."""
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
    return f"{effect} [{_end(verdict.low, verdict)}, {_end(verdict.high, verdict)}]"


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


def known_text(verdict: Verdict) -> str:
    """What an open verdict knows, such as `gru 2.0 to 6.5 points above lstm; …`; empty of one without an interval.

    Whether it lies on the claim's side is said where that is why it is open.
    """
    if verdict.verdict != "open" or verdict.low is None or verdict.high is None:
        return ""
    bounds = f"; whether it lies {bounds_text(verdict)} is open" if verdict.reason.startswith(PARTLY) else ""
    low, high = (_end(end, verdict) for end in (verdict.low, verdict.high))
    if len(verdict.pair) != 2:
        return f"between {low} and {high}{bounds}"
    first, second = verdict.pair
    none = 0.0 if verdict.percent or verdict.difference else 1.0
    if verdict.low <= none <= verdict.high:
        return f"{first} and {second} are not told apart{bounds}"
    if verdict.percent or verdict.difference:
        above = verdict.low > none
        ends = sorted((verdict.low, verdict.high), key=abs)
        low, high = (_end(end, verdict).removeprefix("-") for end in ends)
        unit = " points" * verdict.percent
        return f"{first} {low} to {high}{unit} {'above' if above else 'below'} {second}{bounds}"
    return f"{first} {low} to {high} times {second}{bounds}"


def few_text(repeats: int, fewest: int) -> str:
    """Why so many repeats have no interval."""
    return f"{repeats} repeat{'s' * (repeats != 1)}, where an interval takes {fewest}"


def p_text(p: float) -> str:
    """A p-value in two digits."""
    return "< 0.0001" if p < 0.0001 else f"{p:.2g}"


def by_claim(verdicts: Sequence[Verdict]) -> list[dict[str, Any]]:
    """Each claim with its verdicts by protocol ('': it has no arms), and the first study that it names."""
    claims: dict[str, dict[str, Any]] = {}
    for verdict in verdicts:
        claim = claims.setdefault(
            verdict.id, {"about": verdict, "study": re.split(r"\W+", verdict.study)[0], "verdicts": {}}
        )
        claim["verdicts"][verdict.protocol] = verdict
    return list(claims.values())


def claim_text(verdict: Verdict) -> str:
    """What is claimed, and what the verdicts hang on where the document leaves that open."""
    return f"{verdict.claim} ({verdict.caveat})" if verdict.caveat else verdict.claim


def verdicts_table(verdicts: Sequence[Verdict]) -> Table:
    """One row per claim: who makes it, and what decided it under each heading, in short."""
    headings = [name for name in ("published", "corrected", "tuned") if any(v.protocol == name for v in verdicts)]
    rows = []
    for claim in by_claim(verdicts):
        found = claim["verdicts"]
        shown = [_in_short(found[name]) if name in found else "–" for name in headings]
        if "" in found:
            shown[:1] = [_in_short(found[""])]
            shown[1:2] = ["the same"] if len(shown) > 1 else []
        about = claim["about"]
        rows.append([Cell(text) for text in (about.study, claim_text(about), about.origin, *shown)])
    headers = ["study", "claim", "claimed by", *(PROTOCOLS[name] for name in headings)]
    return Table("Every claim under the headings that it was made under", headers, (), rows)


SIGNS = {"supported": "✓", "contradicted": "✗", "open": "?"}


def _signs(verdicts: Sequence[Verdict]) -> dict[str, dict[str, str]]:
    """Each claim's signs by protocol; in brackets what was decided, and does not hold as one of the family (Holm)."""
    fallen = {(verdict.id, verdict.protocol) for verdict, p in family(verdicts) if p >= LEVEL}
    signs: dict[str, dict[str, str]] = {}
    for verdict in verdicts:
        sign, is_decided = SIGNS[verdict.verdict], verdict.verdict != "open"
        falls = is_decided and (verdict.id, verdict.protocol) in fallen
        signs.setdefault(verdict.id, {})[verdict.protocol] = f"({sign})" if falls else sign
    return signs


def counterpart(recorded: Verdict, here: Verdict) -> Verdict:
    """What another run has to set beside a verdict: of a claim of several parts the one that decided in the record."""
    if not recorded.parts or recorded.effect is None or len(here.parts) != len(recorded.parts):
        return here
    return next(
        mine
        for part, mine in zip(recorded.parts, here.parts, strict=True)
        if (part.effect_label, part.effect) == (recorded.effect_label, recorded.effect)
    )


def agreement(recorded: Verdict, here: Verdict) -> bool | None:
    """Whether another run's effect lies on the side of the claim that the record's does; None: one has no effect.

    Timings are no run's: both have the benchmark's.
    """

    def on_the_claims_side(verdict: Verdict) -> bool | None:
        if verdict.effect is None or verdict.unit.startswith("timings"):
            return None
        low, high = verdict.claimed_low, verdict.claimed_high
        return (low is None or low < verdict.effect) and (high is None or verdict.effect < high)

    sides = on_the_claims_side(recorded), on_the_claims_side(counterpart(recorded, here))
    return None if None in sides else sides[0] == sides[1]


def marks(recorded: Sequence[Verdict], here: Sequence[Verdict]) -> list[str]:
    """A line a claim: its signs in the record, its name, and whether this run's effects agree."""
    mine = {(verdict.id, verdict.protocol): verdict for verdict in here}
    lines = []
    signs_of = _signs(recorded)
    for claim in by_claim(recorded):
        signs = "".join(signs_of[claim["about"].id].values())
        found = {
            agreement(verdict, mine[verdict.id, verdict.protocol])
            for verdict in claim["verdicts"].values()
            if (verdict.id, verdict.protocol) in mine
        }
        beside = "≠" if False in found else "=" if True in found else " "
        lines.append(f"{signs:<5} {beside} {claim['about'].id}")
    return lines


def verdict_lines(verdicts: Sequence[Verdict]) -> list[str]:
    """A line a claim, as Markdown, under its study: its signs as published and corrected (one: the same), and tuned."""
    signs_of = _signs(verdicts)
    lines: list[str] = []
    study = ""
    for claim in by_claim(verdicts):
        if claim["study"] != study:
            study = claim["study"]
            lines += ["", f"{study}:"][not lines :]
        found = signs_of[claim["about"].id]
        tuned = found.pop("tuned", "")
        signs = " ".join(filter(None, ["".join(found.values()), f"{tuned} tuned" if tuned else ""]))
        about = claim["about"]
        lines.append(f"- {about.claim} **{signs}**" + (f" ({about.caveat.partition(';')[0]})" if about.caveat else ""))
    return lines


def family(verdicts: Sequence[Verdict]) -> list[tuple[Verdict, float]]:
    """All verdicts that have a p, decided or left open, with their p as one of so many (Holm)."""
    from stages.results.statistics import holm

    tested = [(verdict, verdict.p) for verdict in verdicts if verdict.p is not None]
    return [(verdict, float(p)) for (verdict, _), p in zip(tested, holm([p for _, p in tested]), strict=True)]


def family_table(verdicts: Sequence[Verdict]) -> Table:
    """Every verdict that a test decided, in one family with those that it left open (Holm): which would fall."""
    tested = family(verdicts)
    decided = [(verdict, verdict.p, p) for verdict, p in tested if verdict.verdict != "open" and verdict.p is not None]
    rows = [
        [
            Cell(f"{verdict.id} {verdict.protocol}".strip()),
            Cell(verdict.verdict),
            Cell(f"{verdict.repeats} {verdict.unit}"),
            Cell(p_text(p)),
            Cell(p_text(p_holm)),
            Cell("open" if p_holm >= LEVEL else "stays"),
        ]
        for verdict, p, p_holm in sorted(decided, key=lambda one: one[1])
    ]
    return Table(
        f"The {len(rows)} verdicts that an interval decided, of a family of {len(tested)}",
        ["verdict", "alone", "varied", "p", "p (Holm)", "in the family"],
        (),
        rows,
    )


def _in_short(verdict: Verdict) -> str:
    """A verdict with its effect, such as `**supported**: accuracy, gru - lstm: 1.2 points [0.4, 2.0], 10 seeds`."""
    if verdict.effect is None:
        return f"**{verdict.verdict}**: {verdict.reason}"
    if verdict.verdict == "open" and verdict.low is None:
        return f"**open**: {verdict.effect_label}: {effect_text(verdict)}; {verdict.reason}"
    repeats = f", {verdict.repeats} {verdict.unit}" if verdict.low is not None else ""
    known = known_text(verdict)
    if known and not verdict.reason.startswith(PARTLY):
        known += f"; {verdict.reason}"
    said = f"**{verdict.verdict}**: {verdict.effect_label}: {effect_text(verdict)}{repeats}"
    return f"{said}: {known}" if known else said


def _end(value: float, verdict: Verdict) -> str:
    """An interval's end, in so many digits that it is told from the claim's bounds."""
    bounds = [bound for bound in (verdict.claimed_low, verdict.claimed_high) if bound is not None]
    return told_apart(value, bounds, lambda number, more: _number(number, verdict, more))


def _number(value: float, verdict: Verdict, more_digits: int = 0) -> str:
    if not verdict.percent:
        return f"{value:.{3 + more_digits}g}"
    points = 100 * value
    return f"{points:.1g}" if 0.0 < abs(points) < 0.1 else f"{points:.{1 + more_digits}f}"
