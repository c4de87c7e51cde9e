"""The kinds of rules by which claims are decided: one function each, in the table `RULES`.

Arms are compared in pairs of repeats. Repeats of one number share a seed: all cells and arms see their training data
in one order, and draw their first weights from one stream (training/seeds.py). Nets of other shapes use that stream
otherwise, so that the pairs may have little in common; then pairing costs some degrees of freedom. Where they have
something in common, an interval that ignores it would be wrong.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr, bdtrc, logit

from stages.results.documents import documents
from stages.results.judge import Sides, hardest, judge
from stages.results.landscape import steepest_slope
from stages.results.measures import score_of, setting_of
from stages.results.row import Row
from stages.results.runs import ONE_ARM, Runs, unit
from stages.results.statistics import (
    fewest_for_bootstrap,
    holm,
    interquartile_mean,
    paired_effect,
    probability_of_improvement,
    sign_flip_p_values,
    unpaired_effect,
)
from stages.results.verdict import LEVEL, Verdict, few_text

Timing = Mapping[str, Any]
"""A row of benchmarks/results that is read by `claims.read_seconds`: seconds of epochs, hardware, library, version."""
Rule = Mapping[str, Any]
_SURELY = 1e-9  # a float32 may round a probability to 1, whose logit is infinite


@dataclass(frozen=True)
class Evidence:
    """What decides: runs and timings, by study."""

    runs: Mapping[str, Runs] = field(default_factory=dict)
    seconds: Mapping[str, Sequence[Timing]] = field(default_factory=dict)

    def of(self, study: str) -> Runs:
        """A study's runs; none where there are none."""
        return self.runs.get(study) or Runs()


def apply_rule(rule: Rule, base: Verdict, evidence: Evidence) -> list[Verdict]:
    """Decide by one rule: one verdict per part of it. `base` is the claim's verdict as yet undecided."""
    decide = next(decide for key, decide in RULES.items() if key in rule)
    return decide(rule, base, evidence)


def _pairs(rule: Rule, base: Verdict, evidence: Evidence) -> list[Verdict]:
    """Pairs of arms by one score, repeat against repeat."""
    ratio = documents()[base.study]["scores"][rule["score"]].get("logarithmic", False)
    runs = evidence.of(base.study)
    lengths = rule.get("lengths")
    parts = [_compare(rule["score"], pair, _sides(rule, ratio), base, runs, lengths=lengths) for pair in rule["pairs"]]
    return [_of_converged(part, runs) for part in parts] if rule.get("converged") else parts


def _of_converged(part: Verdict, runs: Runs) -> Verdict:
    """A part as open where one of its arms still improved when its training ended: longer it may be another."""
    improving = runs.improving(part.protocol, part.pair)
    if part.effect is None or not improving:
        return part
    reason = f"trained too briefly to say: {improving}"
    return replace(part, verdict="open", p=None, detectable=None, repeats_needed=None, reason=reason)


def _sides(rule: Rule, ratio: bool) -> Sides:
    """Where a rule says that the effect lies: of a ratio its logarithm."""
    if rule["expect"] == "equal":
        margin = math.log(rule["margin"]) if ratio else rule["margin"]
        return -margin, margin
    bound = math.log(rule.get("factor", 1.0)) if ratio else 0.0
    return (bound, math.inf) if rule["expect"] == "greater" else (-math.inf, bound)


def _compare(
    score: str,
    pair: Sequence[str],
    sides: Sides,
    base: Verdict,
    runs: Runs,
    confidence: float = 0.95,
    lengths: Sequence[int] | None = None,
) -> Verdict:
    """Two arms, repeat against repeat; of a sweep each repeat's mean over the settings that most of them have.

    Or over `lengths`, all of which it takes then.
    """
    document = documents()[base.study]
    about, sweep = document["scores"][score], document.get("sweep")
    ratio, bounded = about.get("logarithmic", False), about.get("bounded", False)
    label = f"{about['label']}, {pair[0]} {'/' if ratio else '-'} {pair[1]}"
    percent = about.get("percent", False)
    part = replace(base, effect_label=label, percent=percent, difference=not ratio and not percent, pair=tuple(pair))
    if lacking := runs.lacking(base.protocol, pair) or runs.diverged(base.protocol, pair):
        return replace(part, reason=lacking)
    first, second = (_values(runs.rows(base.protocol, arm), score, base.protocol, ratio, bool(sweep)) for arm in pair)
    if lengths:
        first, second = ({key: v for key, v in arm.items() if key[1] in lengths} for arm in (first, second))
    settings, differences = _differences(first, second)
    if lengths and (missing := [length for length in lengths if length not in settings]):
        return replace(part, reason=f"no repeats of {pair[0]} and {pair[1]} at length {missing[0]}")
    if not differences.size:
        return replace(part, reason=f"no repeat that {pair[0]} and {pair[1]} both have")
    if sweep:
        over = f"mean over {len(settings)} {sweep['hyperparameter']}s"
        if lengths:
            over = f"mean over {sweep['hyperparameter']}s {' and '.join(map(str, lengths))}"
        details = _by_setting(settings, differences)
        part = replace(part, effect_label=label.replace(",", f", {over},", 1), details=details)
    if bounded or about.get("heaps"):
        part = replace(part, beside=_of_heaps(pair, about, [_means(arm, settings) for arm in (first, second)]))
    effect = paired_effect(differences.mean(axis=1), confidence, bootstrapped=bounded)
    part = replace(part, scaled=runs.departures(base.protocol, pair))
    fewest = fewest_for_bootstrap(confidence) if bounded else 2
    return judge(part, effect, sides, "ratio" if ratio else "difference", fewest, confidence)


def _grows(rule: Rule, base: Verdict, evidence: Evidence) -> list[Verdict]:
    """Whether one pair's difference is above the other's: a difference of differences, repeat against repeat.

    Of a logarithmic score it is a ratio of ratios.
    """
    runs, score = evidence.of(base.study), rule["score"]
    about = documents()[base.study]["scores"][score]
    ratio, percent = about.get("logarithmic", False), about.get("percent", False)
    (first, second), (third, fourth) = rule["grows"]
    arms, less = (first, second, third, fourth), "/" if ratio else "-"
    label = f"{about['label']}, ({first} {less} {second}) {less} ({third} {less} {fourth})"
    part = replace(base, effect_label=label, percent=percent, difference=not ratio and not percent)
    if lacking := runs.lacking(base.protocol, arms) or runs.diverged(base.protocol, arms):
        return [replace(part, reason=lacking)]
    a, b, c, d = (_values(runs.rows(base.protocol, arm), score, base.protocol, ratio, False) for arm in arms)
    shared = sorted(a.keys() & b.keys() & c.keys() & d.keys())
    if not shared:
        return [replace(part, reason=f"no repeat that {', '.join(arms)} all have")]
    effect = paired_effect(np.array([(a[key] - b[key]) - (c[key] - d[key]) for key in shared]))
    part = replace(part, scaled=runs.departures(base.protocol, arms))
    return [judge(part, effect, (0.0, math.inf), "ratio" if ratio else "difference")]


def _means(arm: Mapping[tuple[str, Any], float], settings: Sequence[Any]) -> NDArray[np.float64]:
    """Each repeat's mean over settings, of the repeats that have them all."""
    units = sorted({name for name, _ in arm})
    whole = [name for name in units if all((name, setting) in arm for setting in settings)]
    return np.array([np.mean([arm[name, setting] for setting in settings]) for name in whole])


def _of_heaps(pair: Sequence[str], about: Mapping[str, Any], values: Sequence[NDArray[np.float64]]) -> tuple[str, ...]:
    """What describes repeats that lie in two heaps: the chance that one does better, and the middle halves' means."""
    if min(map(len, values)) < 2:
        return ()
    side = 1 if about["better"] == "higher" else -1
    chance, low, high = probability_of_improvement(side * values[0], side * values[1])
    middle = [interquartile_mean(arm) for arm in values]
    if about.get("logarithmic"):
        middle = [math.exp(mean) for mean in middle]
    shown = [f"{100 * mean:.1f} %" if about.get("percent") else f"{mean:.3g}" for mean in middle]
    return (
        f"probability that a repeat of {pair[0]} beats one of {pair[1]}: {chance:.2f} [{low:.2f}, {high:.2f}]",
        f"interquartile means: {pair[0]} {shown[0]}, {pair[1]} {shown[1]}",
    )


def _values(
    rows: Sequence[Row], score: str, protocol: str, logarithmic: bool, sweep: bool
) -> dict[tuple[str, Any], float]:
    """A score, or its logarithm, by (repeat, setting); without a sweep arms of two settings may be set side by side."""
    found: dict[tuple[str, Any], float] = {}
    for row in rows:
        value = score_of(row, score, protocol or ONE_ARM)
        found.setdefault((unit(row), setting_of(row) if sweep else ""), math.log(value) if logarithmic else value)
    return found


def _differences(
    first: Mapping[tuple[str, Any], float], second: Mapping[tuple[str, Any], float]
) -> tuple[list[Any], NDArray[np.float64]]:
    """The settings that more than half of the repeats in both arms have, and (repeats that have all, settings)."""
    both = first.keys() & second.keys()
    units = sorted({name for name, _ in both})
    settings = [
        setting
        for setting in sorted({setting for _, setting in both})
        if 2 * sum((name, setting) in both for name in units) > len(units)
    ]
    whole = [name for name in units if all((name, setting) in both for setting in settings)]
    values = [[first[name, setting] - second[name, setting] for setting in settings] for name in whole]
    return settings, np.array(values, dtype=np.float64).reshape(len(whole), len(settings))


def _by_setting(settings: Sequence[Any], differences: NDArray[np.float64]) -> tuple[dict[str, Any], ...]:
    """One test per setting of a sweep, corrected for their number; (repeats, settings) -> one row per setting."""
    if len(differences) < 2:
        return ()
    p_values = sign_flip_p_values(differences)
    columns = zip(settings, differences.mean(axis=0), p_values, holm(p_values), strict=True)
    return tuple(
        {"setting": setting, "effect": float(effect), "p": float(p), "p_holm": float(p_holm)}
        for setting, effect, p, p_holm in columns
    )


def _by_cell(
    cells: Sequence[str], base: Verdict, runs: Runs, label: str, decide: Callable[[Verdict, Sequence[Row]], Verdict]
) -> list[Verdict]:
    """A part a cell: what `decide` makes of its rows, or what is lacking of them."""
    parts = []
    for cell in cells:
        part = replace(base, effect_label=f"{label}, {cell}")
        if lacking := runs.lacking(base.protocol, [cell]):
            parts.append(replace(part, reason=lacking))
        else:
            part = replace(part, scaled=runs.departures(base.protocol, [cell]))
            parts.append(decide(part, runs.rows(base.protocol, cell)))
    return parts


def _log_odds(rows: Sequence[Row], text: str) -> NDArray[np.float64]:
    """Of a sentence being positive, one a repeat."""
    sentences: list[Any] = [row.test["sentences"] for row in rows]
    probabilities = [probability_of[text] for probability_of in sentences]
    return np.asarray(logit(np.clip(probabilities, _SURELY, 1 - _SURELY)))


def _sentence(rule: Rule, base: Verdict, evidence: Evidence) -> list[Verdict]:
    """A sentence's probability of being positive: the mean of its logits, which is what the net gives."""
    low, high = rule["between"] if "between" in rule else (rule["above"], 1.0)
    bounds = float(logit(low)), float(logit(high))

    def decide(part: Verdict, rows: Sequence[Row]) -> Verdict:
        return judge(part, paired_effect(_log_odds(rows, rule["sentence"])), bounds, "probability")

    label = f"probability that “{rule['sentence']}” is positive"
    return _by_cell(rule["cells"], base, evidence.of(base.study), label, decide)


def _same_words(rule: Rule, base: Verdict, evidence: Evidence) -> list[Verdict]:
    """Two sentences of the same words: a net that goes by words alone gives them the same odds."""
    margin = math.log(rule["margin"])

    def decide(part: Verdict, rows: Sequence[Row]) -> Verdict:
        first, second = (_log_odds(rows, text) for text in rule["same_words"])
        return judge(part, paired_effect(first - second), (-margin, margin), "ratio")

    label = "odds of positive, “{}” / “{}”".format(*rule["same_words"])
    return _by_cell(rule["cells"], base, evidence.of(base.study), label, decide)


def _by_length(rows: Sequence[Row], score: str, protocol: str) -> tuple[list[Any], NDArray[np.float64]]:
    """The lengths of a sweep, and one arm's score (repeats, lengths)."""
    values = _values(rows, score, protocol, False, True)
    return _differences(values, dict.fromkeys(values, 0.0))


def _reaches(rule: Rule, base: Verdict, evidence: Evidence) -> list[Verdict]:
    """The longest length that a repeat solves: the median over repeats, with the sign test's exact interval."""
    bound = rule["below"]

    def decide(part: Verdict, rows: Sequence[Row]) -> Verdict:
        settings, table = _by_length(rows, rule["score"], base.protocol)
        lengths, repeats = np.array(settings), len(table)
        if bound > lengths.max():
            return replace(part, reason=f"no length of {bound} or more was tried")
        reached = np.sort(np.where(table >= rule["at_least"], lengths, 0).max(axis=1))
        outside = int((bdtr(np.arange(repeats), repeats, 0.5) <= LEVEL / 2).sum())  # repeats at either end
        part = replace(part, effect=float(reached[repeats // 2]), repeats=repeats)
        if not outside:
            return replace(part, reason=few_text(repeats, fewest_for_bootstrap()))
        low, high = float(reached[outside - 1]), float(reached[-outside])
        far = int((reached >= bound).sum())
        said = f"of the lengths {lengths.min()} to {lengths.max()}; solved: {rule['at_least']:.0%} right on test"
        return replace(
            part,
            verdict="supported" if high < bound else "contradicted" if low >= bound else "open",
            low=low,
            high=high,
            p=min(1.0, 2 * float(min(bdtr(far, repeats, 0.5), bdtrc(far - 1, repeats, 0.5)))),
            reason=said + "; none longer was tried" * bool(high == lengths.max()),
        )

    claimed, label = replace(base, claimed_high=bound), "longest length that a repeat solves (median)"
    return _by_cell(rule["reaches"], claimed, evidence.of(base.study), label, decide)


def _falls(rule: Rule, base: Verdict, evidence: Evidence) -> list[Verdict]:
    """Each repeat's slope over the lengths, by least squares."""
    label = f"{documents()[base.study]['scores'][rule['score']]['label']} a hundred steps longer"

    def decide(part: Verdict, rows: Sequence[Row]) -> Verdict:
        settings, table = _by_length(rows, rule["score"], base.protocol)
        if len(settings) < 2:
            reason = f"{len(settings)} length of {rows[0].cell} has no slope"
            return replace(part, scaled=base.scaled, reason=reason)
        slopes = 100 * np.polyfit(np.array(settings, dtype=np.float64), table.T, 1)[0]
        effect = paired_effect(slopes, bootstrapped=True)
        return judge(part, effect, (-math.inf, 0.0), "difference", fewest_for_bootstrap())

    return _by_cell(rule["falls"], replace(base, percent=True), evidence.of(base.study), label, decide)


def _below_chance(rule: Rule, base: Verdict, evidence: Evidence) -> list[Verdict]:
    """Scores below chance, counted under two headings, all cells and lengths together."""
    runs, about = evidence.of(base.study), documents()[base.study]["scores"][rule["below_chance"]]
    part = replace(base, effect_label=f"{about['label']} below chance, counted")
    counts = {}
    for heading in (rule["under"], rule["not_under"]):
        scores = [score_of(row, rule["below_chance"], heading) for row in runs.under(heading)]
        if not scores:
            return [replace(part, reason=runs.lacking(heading, documents()[base.study]["cells"]))]
        counts[heading] = sum(score < about["chance"] - rule["margin"] for score in scores), len(scores)
    (with_it, _), (without, _) = counts.values()
    verdict = "open" if not with_it else "contradicted" if without else "supported"
    said = "; ".join(f"{count:,} of {of:,} {heading}" for heading, (count, of) in counts.items())
    return [replace(part, verdict=verdict, reason=f"more than {rule['margin']:.0%} below chance: {said}")]


def _cliff(rule: Rule, base: Verdict, evidence: Evidence) -> list[Verdict]:
    """The steepest slope of a unit's error surface, computed, against that after fewer steps."""
    slopes = {steps: steepest_slope(steps) for steps in rule["cliff"]}
    (fewest, first), *_, (most, last) = slopes.items()
    said = ", ".join(f"{slope:.2g} after {steps} steps" for steps, slope in slopes.items())
    rises = all(after >= rule["times"] * before for before, after in pairwise(slopes.values()))
    return [
        replace(
            base,
            effect_label=f"steepest slope of the error surface, {most} / {fewest} steps",
            effect=last / first,
            claimed_low=rule["times"] ** (len(slopes) - 1),
            verdict="supported" if rises else "contradicted",
            reason=f"computed: {said}",
        )
    ]


def _fewer(rule: Rule, base: Verdict, evidence: Evidence) -> list[Verdict]:
    """Parameters counted: the first cell has fewer."""
    runs, cells = evidence.of(base.study), rule["fewer"]
    part = replace(base, effect_label=f"parameters, {cells[0]} / {cells[1]}", claimed_high=1.0)
    if lacking := runs.lacking(base.protocol, cells):
        return [replace(part, reason=lacking)]
    first, second = (runs.arm(base.protocol, cell).parameters for cell in cells)
    reason = f"counted: {cells[0]} {first:,}, {cells[1]} {second:,}"
    return [
        replace(
            part,
            effect=first / second,
            verdict="supported" if first < second else "contradicted",
            reason=reason,
            scaled=runs.departures(base.protocol, cells),
        )
    ]


def _seconds(rule: Rule, base: Verdict, evidence: Evidence) -> list[Verdict]:
    """Two ways' timings, on each device; those of one device were taken in turn, so that each round gives a pair."""
    timings = evidence.seconds.get(rule["seconds"], ())
    return [_compare_seconds(rule, where, base, timings) for where in rule["where"]]


def _compare_seconds(rule: Rule, where: Mapping[str, str], base: Verdict, timings: Sequence[Timing]) -> Verdict:
    ways = [way | where for way in (rule["first"], rule["second"])]
    names = " / ".join(" ".join(rule[side].values()) for side in ("first", "second"))
    label = f"seconds an epoch, {names} ({', '.join(where.values())})"
    part = replace(base, effect_label=label, unit="timings on one machine")
    rows = [next((row for row in timings if way.items() <= row.items()), None) for way in ways]
    missing = ["no timings of " + ", ".join(way.values()) for way, row in zip(ways, rows, strict=True) if row is None]
    if rows[0] is None or rows[1] is None:
        return replace(part, reason="; ".join(dict.fromkeys(missing)))
    part = replace(
        part, details=tuple({k: v for k, v in row.items() if k not in ("study", "seconds")} for row in rows if row)
    )
    first, second = (np.log(row["seconds"]) for row in rows if row)
    in_turn = rows[0]["device"] == rows[1]["device"] and len(first) == len(second)
    effect = paired_effect(first - second) if in_turn else unpaired_effect(first, second)
    return judge(part, effect, _sides(rule, ratio=True), "ratio")


def _counts(rule: Rule, base: Verdict, evidence: Evidence) -> list[Verdict]:
    """Parameters counted against the published ones. Nets of another size can confirm them, not refute them."""
    runs = evidence.of(base.study)
    cells = list(rule["counts"])
    part = replace(base, effect_label=f"parameters, {cells[0]} / {cells[1]}")
    if lacking := runs.lacking(base.protocol, cells):
        return [replace(part, reason=lacking)]
    counts = {cell: runs.arm(base.protocol, cell).parameters for cell in cells}
    ratio = counts[cells[0]] / counts[cells[1]]
    scaled = runs.departures(base.protocol, cells)
    agree = counts == rule["counts"]
    counted = ", ".join(f"{cell} {count:,}" for cell, count in counts.items())
    return [
        replace(
            part,
            effect=ratio,
            verdict="supported" if agree else "open" if scaled else "contradicted",
            reason=f"counted: {counted}: {100 * (1 - ratio):.0f} % fewer, {'as' if agree else 'not as'} published",
            scaled="" if agree else scaled,
        )
    ]


def _tied(rule: Rule, base: Verdict, evidence: Evidence) -> list[Verdict]:
    """The parameters of language models whose output layer is their embedding, against the same models untied."""
    return [_tied_count(arm, rule["untied"], base, evidence.of(base.study)) for arm in rule["tied"]]


def _tied_count(arm: str, untied: str, base: Verdict, runs: Runs) -> Verdict:
    """One model's count, and what it would be untied.

    What untying adds is one weight per (word, unit). How many words there are follows from the counts of this arm and
    of one that is not tied, which are linear in it and in the cell's gates, each with two biases. How long a net was
    trained does not matter, so that custom runs count.
    """
    beside = f"{untied} {arm.rsplit(' ', 1)[1]}"
    part = replace(base, effect_label=f"parameters, {arm} / itself untied", claimed_high=1.0)
    if lacking := runs.lacking(base.protocol, [arm, beside], custom=True):
        return replace(part, reason=lacking)
    tied, other = (runs.arm(base.protocol, name) for name in (arm, beside))
    size, layers = tied.hyperparameters["hidden_size"], tied.hyperparameters["layers"]
    embedding, hidden = (other.hyperparameters[name] for name in ("embedding_size", "hidden_size"))
    equations = [
        [size + 1, layers * (2 * size * size + 2 * size)],
        [embedding + hidden + 1, hidden * (embedding + hidden + 2)],
    ]
    words, gates = np.linalg.solve(equations, [tied.parameters, other.parameters])
    if words < 1 or not np.allclose([words, gates], np.round([words, gates]), rtol=0, atol=1e-6):
        return replace(part, reason=f"the counts of {arm} and {beside} do not tell how many words there are")
    count, untied_count = tied.parameters, tied.parameters + round(words) * size
    return replace(
        part,
        effect=count / untied_count,
        verdict="supported" if count < untied_count else "contradicted",
        reason=f"counted: {count:,}, untied {untied_count:,}",
        scaled=runs.departures(base.protocol, [arm]),
    )


def _different_winner(rule: Rule, base: Verdict, evidence: Evidence) -> list[Verdict]:
    """No one cell is best in every study where each is beaten in one of them; one is that beats all others in all.

    A cell has several chances to be beaten by luck: one against each other in each study. The intervals are that much
    surer (Bonferroni).
    """
    settings, cells = rule["different_winner"], rule["cells"]
    studies = [study for study in settings if study in documents()]  # params.yaml may have fewer
    confidence = 1 - 0.05 / (len(studies) * (len(cells) - 1))
    pairs = [(study, *pair) for study in studies for pair in combinations(cells, 2)]
    parts, beats = [], set()
    for study, *pair in pairs:
        name, about = next(iter(documents()[study]["scores"].items()))
        higher, arms = about["better"] == "higher", [f"{settings[study]} {cell}".strip() for cell in pair]
        sides = (0.0, math.inf) if higher else (-math.inf, 0.0)
        part = _compare(name, arms, sides, replace(base, study=study), evidence.of(study), confidence)
        parts.append(replace(part, effect_label=f"{study}: {part.effect_label}", details=(), beside=()))
        if part.verdict != "open":
            beats.add((study, *(pair if part.verdict == "supported" else pair[::-1])))
    unbeaten = [cell for cell in cells if not any(loser == cell for _, _, loser in beats)]
    best = [cell for cell in cells if sum(winner == cell for _, winner, _ in beats) == len(studies) * (len(cells) - 1)]
    seen = "; ".join(
        f"on {study} "
        + (", ".join(f"{winner} > {loser}" for at, winner, loser in sorted(beats) if at == study) or "none")
        for study in studies
    )
    whole = replace(
        base,
        effect_label="which cell has the best score of each study",
        scaled="; ".join(dict.fromkeys(part.scaled for part in parts if part.scaled)),
        parts=tuple(parts),
    )
    if not unbeaten:
        return [replace(whole, verdict="supported", reason=f"every cell is beaten somewhere: {seen}")]
    if best:
        return [replace(whole, verdict="contradicted", reason=f"{best[0]} is best everywhere: {seen}")]
    undecided = hardest([part for part in parts if part.verdict == "open"])
    may_be = f"{' or '.join(unbeaten)} may be best everywhere: {seen}"
    return [replace(whole, reason=undecided.reason if not beats and undecided.effect is None else may_be)]


RULES: Mapping[str, Callable[[Rule, Verdict, Evidence], list[Verdict]]] = {
    "pairs": _pairs,
    "grows": _grows,
    "sentence": _sentence,
    "same_words": _same_words,
    "reaches": _reaches,
    "falls": _falls,
    "below_chance": _below_chance,
    "fewer": _fewer,
    "seconds": _seconds,
    "counts": _counts,
    "tied": _tied,
    "cliff": _cliff,
    "different_winner": _different_winner,
}
"""By the key that a claim's rule has and no other rule."""
