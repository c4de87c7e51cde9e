"""How an effect's interval decides a claim, and how the parts of a claim decide together."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

from scipy.special import expit

from stages.results.statistics import MOST_REPEATS, Effect, p_value, repeats_needed, smallest_detectable
from stages.results.verdict import LEVEL, PARTLY, Verdict, bounds_text, few_text

Sides = tuple[float, float]
"""A claim says that the effect lies between these two; either may be infinite."""

_BACK: dict[str, Callable[[float], float]] = {
    "difference": float,
    "ratio": lambda value: math.exp(value),
    "probability": lambda value: float(expit(value)),
}


def judge(
    part: Verdict, effect: Effect, sides: Sides, scale: str, fewest: int = 2, confidence: float = 0.95
) -> Verdict:
    """Decide by where an effect's interval lies; `fewest` repeats have one.

    `effect` and `sides` are on the scale that the interval was made on, the verdict's numbers on the one that is read.
    """
    back = _BACK[scale]
    low, high = sides
    claimed = [back(side) if math.isfinite(side) else None for side in sides]
    part = replace(
        part, effect=back(effect.mean), claimed_low=claimed[0], claimed_high=claimed[1], repeats=effect.repeats
    )
    where = bounds_text(part)
    two_sided = all(map(math.isfinite, sides))
    nearer = min(filter(math.isfinite, sides), key=lambda side: abs(effect.mean - side))
    if math.isnan(effect.low):
        reason = few_text(effect.repeats, fewest)
    else:
        p = p_value(effect, nearer)
        part = replace(part, low=back(effect.low), high=back(effect.high), p=p)
        if effect.low == effect.high and ((two_sided and low < effect.low < high) or p >= 1 - confidence):
            # Chance alone makes a few repeats agree, and then nothing bounds how far the next may lie.
            return replace(part, reason="repeats that agree exactly do not show how far others lie")
        if low < effect.low and effect.high < high:
            return replace(part, verdict="supported", reason=f"the interval lies {where}")
        if effect.high < low or high < effect.low:
            return replace(part, verdict="contradicted", reason=f"no part of the interval lies {where}")
        reason = f"{PARTLY} {where}"
    if effect.repeats < 2 or effect.deviation == 0.0:
        return replace(part, reason=reason)
    needed = repeats_needed(effect.deviation, abs(effect.mean - nearer), max(fewest, effect.repeats + 1), confidence)
    shown = smallest_detectable(effect.deviation, effect.repeats, confidence)
    from_none = (low + high) / 2 if two_sided else low if math.isfinite(low) else high
    return replace(
        part,
        reason=reason if needed else f"{reason}; not even {MOST_REPEATS:,} would settle it",
        detectable=back(from_none - shown if math.isinf(low) else from_none + shown),
        repeats_needed=needed,
    )


def all_of(parts: Sequence[Verdict]) -> Verdict:
    """All parts must hold: the claim takes the effect and the reason of the part that decides.

    Each part is a chance to be contradicted by luck, so that as one of several it takes a p that much smaller
    (Bonferroni). For all to hold, each is tested at the whole level (Berger 1982, intersection-union test).
    """
    if len(parts) == 1:
        return parts[0]
    chances = sum(part.p is not None for part in parts)
    contradicting = [replace(part, p=_of_several(part.p, chances)) for part in parts if part.verdict == "contradicted"]
    by_luck = [part for part in contradicting if part.p is not None and part.p >= LEVEL]
    contradicting = [part for part in contradicting if part not in by_luck]
    undecided = [part for part in parts if part.verdict == "open"]
    reason = f"contradicted alone, not as one of {chances} parts that must hold"
    undecided += [replace(part, verdict="open", reason=reason) for part in by_luck]
    decides = contradicting[0] if contradicting else hardest(undecided) if undecided else min(parts, key=_room)
    p = decides.p
    if not contradicting and not undecided:  # all must hold: the least sure of them
        p = max((part.p for part in parts if part.p is not None), default=None)
    return replace(decides, parts=tuple(parts), details=(), p=p)


def _of_several(p: float | None, chances: int) -> float | None:
    return None if p is None else min(1.0, chances * p)


def hardest(undecided: Sequence[Verdict]) -> Verdict:
    """The part that is furthest from being settled: without repeats, then beyond any number, then by their number."""
    return max(undecided, key=lambda part: (part.effect is None, part.repeats_needed is None, part.repeats_needed or 0))


def _room(part: Verdict) -> float:
    """How far an interval lies from the nearer end of the claim's side."""
    ends = ((part.low, part.claimed_low), (part.high, part.claimed_high))
    return min((abs(end - side) for end, side in ends if end is not None and side is not None), default=math.inf)
