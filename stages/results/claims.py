"""What the documents claim, decided from many repeats: supported, contradicted or open.

The claims and their rules are in results/claims.yaml, the methods in results/statistics.py.

Arms are compared in pairs of repeats. Repeats of one number share a seed: all cells and arms see their training data
in one order, and draw their first weights from one stream (training/seeds.py). Nets of other shapes use that stream
otherwise, so that the pairs may have little in common; then pairing costs some degrees of freedom. Where they have
something in common, an interval that ignores it would be wrong.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from itertools import chain, combinations
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import yaml
from scipy.special import expit, logit

from stages.results.record import read_scored
from stages.results.scores import SAMPLE, SEQUENCES, departures, documents, repeats_table
from stages.results.statistics import (
    MOST_REPEATS,
    Effect,
    fewest_for_bootstrap,
    holm,
    paired_effect,
    repeats_needed,
    sign_flip_p_values,
    smallest_detectable,
    unpaired_effect,
)
from stages.results.tables import markdown_table
from stages.support.files import read_json

Scored = Mapping[str, Any]
"""The contents of one metrics/STUDY/CELL.json."""
Timing = Mapping[str, Any]
"""A row of benchmarks/results/epoch_seconds.json, a list of seconds in it, with its hardware and torch's version."""
Sides = tuple[float, float]
"""A claim says that the effect lies between these two; either may be infinite."""

SECONDS = Path("benchmarks/results/epoch_seconds.json")
_ONE_ARM = "corrected"  # where one arm stands under both protocols, either name finds it
_BACK: dict[str, Callable[[float], float]] = {
    "difference": float,
    "ratio": lambda value: math.exp(value),
    "probability": lambda value: float(expit(value)),
}
_SURELY = 1e-9  # a float32 may round a probability to 1, whose logit is infinite


@dataclass(frozen=True)
class Verdict:
    """A claim under one protocol, or one part of it, and what decided.

    A claim of several parts has the effect and the reason of the part that decided: the first that contradicts, else
    the open one that is furthest from being settled, else the one that supports most narrowly.
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
    """Whether effects are shown as percentages."""
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


@cache
def claims() -> list[dict[str, Any]]:
    """The claims with their rules: results/claims.yaml."""
    loaded: list[dict[str, Any]] = yaml.safe_load(Path(__file__).with_name("claims.yaml").read_text(encoding="utf-8"))
    return loaded


def read_sample() -> dict[str, list[Scored]]:
    """The scores of this workspace's run, by study: metrics/STUDY/CELL.json."""
    paths = {study: sorted(Path("metrics", study).glob("*.json")) for study in documents()}
    return {study: [read_json(path) for path in found if path.stem != "baseline"] for study, found in paths.items()}


def read_record() -> dict[str, list[Scored]]:
    """The scores of the record of full runs, by study: metrics/record/STUDY/CELL.json."""
    return {study: list(read_scored(study)) for study in documents()}


def read_seconds(path: Path = SECONDS) -> dict[str, list[Timing]]:
    """The stored timings, by study, each with its machine; none where nothing has been timed."""
    found: dict[str, list[Timing]] = {}
    if path.exists():
        stored = read_json(path)
        for row in stored["rows"]:
            about = stored["about"][row["device"]]
            hardware = about["processor"] if row["device"] == "cpu" else about["device"]
            found.setdefault(row["study"], []).append({**row, "hardware": hardware, "torch": about["torch"]})
    return found


def verdicts(
    studies: Mapping[str, Sequence[Scored]], seconds: Mapping[str, Sequence[Timing]], *, scaled: bool = False
) -> list[Verdict]:
    """Decide every claim: one verdict a (claim, protocol), in the order of claims.yaml.

    `studies` is what `read_sample` or `read_record` gives, `seconds` what `read_seconds` does. Custom runs, which left
    the protocol, decide nothing about it. With `scaled`, for `read_sample`, those count whose sizes alone were changed
    or whose text is the sample's: the verdicts are about scaled runs then, and say how.
    """
    runs = {study: _Runs(cells, scaled) for study, cells in studies.items()}
    found = []
    for claim in claims():
        about = {name: claim[name] for name in ("id", "study", "source", "claim", "published")}
        for protocol in claim.get("protocols", [""]):
            base = Verdict(**about, origin=claim.get("origin", "document"), protocol=protocol)
            found.append(_all_of([part for rule in claim["rules"] for part in _apply(rule, base, runs, seconds)]))
    return found


class _Key(NamedTuple):
    """What an arm is found by; rules call it `CELL`, whatever its setting, or `SETTING CELL`."""

    protocol: str
    setting: str
    cell: str

    def matches(self, protocol: str, arm: str) -> bool:
        *setting, cell = arm.rsplit(" ", 1)
        return (self.protocol, self.cell) == (protocol or _ONE_ARM, cell) and setting in ([], [self.setting])


class _Runs:
    """The runs of one study: those that may decide, and how the others left the protocol."""

    def __init__(self, cells: Sequence[Scored] = (), scaled: bool = False) -> None:
        self._arms: dict[_Key, Mapping[str, Any]] = {}
        self._custom: dict[_Key, Mapping[str, Any]] = {}
        self._departures: dict[_Key, str] = {}
        counted: list[Scored] = []
        for scored in cells:
            document = documents()[scored["study"]]
            arms = []
            for arm in scored["arms"]:
                text = "sample text" if scored["corpus"] == SAMPLE else ""
                departed = ", ".join(filter(None, [text, departures(document, arm, SEQUENCES)]))
                keys = [_Key(protocol, arm["setting"], scored["cell"]) for protocol in arm["protocols"]]
                if not departed or (scaled and not departures(document, arm, SAMPLE)):
                    self._arms |= dict.fromkeys(keys, arm)
                    self._departures |= dict.fromkeys(keys, departed)
                    arms.append({**arm, "repeats": [{**row, "repeat": _unit(row)} for row in arm["repeats"]]})
                else:
                    self._custom |= dict.fromkeys(keys, arm)
                    self._departures = dict.fromkeys(keys, departed) | self._departures
            counted.append({**scored, "arms": arms})
        self._table = repeats_table(counted) if self._arms else pd.DataFrame()

    def arm(self, protocol: str, name: str) -> Mapping[str, Any]:
        """One arm of metrics/STUDY/CELL.json, a custom one where there is no other."""
        arms = chain(self._arms.items(), self._custom.items())
        return next(arm for key, arm in arms if key.matches(protocol, name))

    def rows(self, protocol: str, name: str) -> pd.DataFrame:
        """The repeats of an arm, or of a sweep's arms, as `repeats_table` has them."""
        *setting, cell = name.rsplit(" ", 1)
        chosen = (self._table["protocol"] == (protocol or _ONE_ARM)) & (self._table["cell"] == cell)
        return self._table[chosen & (self._table["setting"] == setting[0]) if setting else chosen]

    def lacking(self, protocol: str, names: Iterable[str], custom: bool = False) -> str:
        """Why some of the arms have no repeats that count, or with `custom` none at all; empty where all have."""
        known = [*self._arms, *(self._custom if custom else ())]
        reasons = []
        for name in names:
            if not any(key.matches(protocol, name) for key in known):
                arm = f"{name} as {protocol}" if protocol else name
                left = self.departures(protocol, [name])
                reasons.append(
                    f"{arm} left the protocol, so that it does not count: {left}" if left else f"no repeats of {arm}"
                )
        return "; ".join(reasons) if self._departures else "no repeats recorded"

    def departures(self, protocol: str, names: Iterable[str]) -> str:
        """How the runs of some arms left the protocol."""
        texts = [text for key, text in self._departures.items() if any(key.matches(protocol, name) for name in names)]
        return "; ".join(dict.fromkeys(filter(None, texts)))


def _unit(repeat: Mapping[str, Any]) -> str:
    """What pairs repeats: all that is random in them derives from these two."""
    return f"{repeat['seed']}/{repeat['repeat']}"


def _apply(
    rule: Mapping[str, Any], base: Verdict, runs: Mapping[str, _Runs], seconds: Mapping[str, Sequence[Timing]]
) -> list[Verdict]:
    """Decide by one rule of claims.yaml: a verdict a part."""
    if "different_winner" in rule:
        return [_different_winner(rule, base, runs)]
    if "seconds" in rule:
        timings = seconds.get(rule["seconds"], ())
        return [_compare_seconds(rule, where, base, timings) for where in rule["where"]]
    of_study = runs.get(base.study) or _Runs()
    if "counts" in rule:
        return [_published_counts(rule, base, of_study)]
    if "tied" in rule:
        return [_tied_count(arm, rule["untied"], base, of_study) for arm in rule["tied"]]
    if "sentence" in rule:
        return [_judge_sentence(rule, cell, base, of_study) for cell in rule["cells"]]
    ratio = documents()[base.study]["scores"][rule["score"]].get("logarithmic", False)
    return [_compare(rule["score"], pair, _sides(rule, ratio), base, of_study) for pair in rule["pairs"]]


def _sides(rule: Mapping[str, Any], ratio: bool) -> Sides:
    """Where a rule says that the effect lies: of a ratio its logarithm."""
    if rule["expect"] == "equal":
        margin = math.log(rule["margin"]) if ratio else rule["margin"]
        return -margin, margin
    bound = math.log(rule.get("factor", 1.0)) if ratio else 0.0
    return (bound, math.inf) if rule["expect"] == "greater" else (-math.inf, bound)


def _compare(
    score: str, pair: Sequence[str], sides: Sides, base: Verdict, runs: _Runs, confidence: float = 0.95
) -> Verdict:
    """Two arms, repeat against repeat; of a sweep each repeat's mean over the settings that most of them have."""
    document = documents()[base.study]
    about, sweep = document["scores"][score], document.get("sweep")
    ratio, bounded = about.get("logarithmic", False), about.get("bounded", False)
    label = f"{about['label']}, {pair[0]} {'/' if ratio else '-'} {pair[1]}"
    part = replace(base, effect_label=label, percent=about.get("percent", False))
    if lacking := runs.lacking(base.protocol, pair):
        return replace(part, reason=lacking)
    first, second = (_by_repeat(runs.rows(base.protocol, arm), score, "sweep" in document, ratio) for arm in pair)
    differences = first - second
    differences = differences.dropna(how="all")  # what only one of the two has
    differences = differences.loc[:, differences.notna().mean() > 0.5].dropna()
    if differences.empty:
        return replace(part, reason=f"no repeat that {pair[0]} and {pair[1]} both have")
    if sweep:
        over = f"mean over {differences.shape[1]} {sweep['hyperparameter']}s"
        part = replace(part, effect_label=label.replace(",", f", {over},", 1), details=_by_setting(differences))
    effect = paired_effect(differences.mean(axis=1), confidence, bootstrapped=bounded)
    part = replace(part, scaled=runs.departures(base.protocol, pair))
    fewest = fewest_for_bootstrap(confidence) if bounded else 2
    return _judge(part, effect, sides, "ratio" if ratio else "difference", fewest, confidence)


def _by_repeat(rows: pd.DataFrame, score: str, sweep: bool, logarithmic: bool) -> pd.DataFrame:
    """A score, or its logarithm: a row a repeat, and of a sweep a column a setting."""
    values = rows.assign(value=np.log(rows[score]) if logarithmic else rows[score])
    values = values if sweep else values.assign(setting="")  # so that arms of two settings can be set side by side
    return values.pivot_table(index="repeat", columns="setting", values="value", aggfunc="first")


def _by_setting(differences: pd.DataFrame) -> tuple[dict[str, Any], ...]:
    """A test a setting of a sweep, corrected for their number; (repeats, settings) -> a row a setting."""
    if len(differences) < 2:
        return ()
    p_values = sign_flip_p_values(differences.to_numpy())
    columns = zip(differences.columns.tolist(), differences.mean(), p_values, holm(p_values), strict=True)
    return tuple(
        {"setting": setting, "effect": float(effect), "p": float(p), "p_holm": float(p_holm)}
        for setting, effect, p, p_holm in columns
    )


def _judge_sentence(rule: Mapping[str, Any], cell: str, base: Verdict, runs: _Runs) -> Verdict:
    """A sentence's probability of being positive: the mean of its logits, which is what the net gives."""
    part = replace(base, effect_label=f"probability of positive, {cell}")
    if lacking := runs.lacking(base.protocol, [cell]):
        return replace(part, reason=lacking)
    part = replace(part, scaled=runs.departures(base.protocol, [cell]))
    probabilities = [sentences[rule["sentence"]] for sentences in runs.rows(base.protocol, cell)["sentences"]]
    effect = paired_effect(logit(np.clip(probabilities, _SURELY, 1 - _SURELY)))
    low, high = rule["between"] if "between" in rule else (rule["above"], 1.0)
    return _judge(part, effect, (float(logit(low)), float(logit(high))), "probability")


def _compare_seconds(
    rule: Mapping[str, Any], where: Mapping[str, str], base: Verdict, timings: Sequence[Timing]
) -> Verdict:
    """Two ways' timings; those of one device were taken in turn, so that each round gives a pair."""
    ways = [way | where for way in (rule["first"], rule["second"])]
    names = " / ".join(" ".join(rule[side].values()) for side in ("first", "second"))
    part = replace(base, effect_label=f"seconds an epoch, {names} ({', '.join(where.values())})")
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
    return _judge(part, effect, _sides(rule, ratio=True), "ratio")


def _published_counts(rule: Mapping[str, Any], base: Verdict, runs: _Runs) -> Verdict:
    """Parameters counted against the published ones. Nets of another size can confirm them, not refute them."""
    cells = list(rule["counts"])
    part = replace(base, effect_label=f"parameters, {cells[0]} / {cells[1]}")
    if lacking := runs.lacking(base.protocol, cells):
        return replace(part, reason=lacking)
    counts = {cell: runs.arm(base.protocol, cell)["parameters"] for cell in cells}
    ratio = counts[cells[0]] / counts[cells[1]]
    scaled = runs.departures(base.protocol, cells)
    agree = counts == rule["counts"]
    counted = ", ".join(f"{cell} {count:,}" for cell, count in counts.items())
    return replace(
        part,
        effect=ratio,
        verdict="supported" if agree else "open" if scaled else "contradicted",
        reason=f"counted: {counted}: {100 * (1 - ratio):.0f} % fewer, {'as' if agree else 'not as'} published",
        scaled="" if agree else scaled,
    )


def _tied_count(arm: str, untied: str, base: Verdict, runs: _Runs) -> Verdict:
    """The parameters of a language model whose output layer is its embedding, against the same model untied.

    What untying adds is a weight a (word, unit). How many words there are follows from the counts of this arm and of
    one that is not tied, which are linear in it and in the cell's gates, each with two biases. How long a net was
    trained does not matter, so that custom runs count.
    """
    beside = f"{untied} {arm.rsplit(' ', 1)[1]}"
    part = replace(base, effect_label=f"parameters, {arm} / itself untied", claimed_high=1.0)
    if lacking := runs.lacking(base.protocol, [arm, beside], custom=True):
        return replace(part, reason=lacking)
    tied, other = (runs.arm(base.protocol, name) for name in (arm, beside))
    size, layers = tied["hyperparameters"]["hidden_size"], tied["hyperparameters"]["layers"]
    embedding, hidden = (other["hyperparameters"][name] for name in ("embedding_size", "hidden_size"))
    equations = [
        [size + 1, layers * (2 * size * size + 2 * size)],
        [embedding + hidden + 1, hidden * (embedding + hidden + 2)],
    ]
    words, gates = np.linalg.solve(equations, [tied["parameters"], other["parameters"]])
    if words < 1 or not np.allclose([words, gates], np.round([words, gates]), rtol=0, atol=1e-6):
        return replace(part, reason=f"the counts of {arm} and {beside} do not tell how many words there are")
    count, untied_count = tied["parameters"], tied["parameters"] + round(words) * size
    return replace(
        part,
        effect=count / untied_count,
        verdict="supported" if count < untied_count else "contradicted",
        reason=f"counted: {count:,}, untied {untied_count:,}",
        scaled=runs.departures(base.protocol, [arm]),
    )


def _different_winner(rule: Mapping[str, Any], base: Verdict, runs: Mapping[str, _Runs]) -> Verdict:
    """No one cell is best in every study where each is beaten in one of them; one is that beats all others in all.

    A cell has several chances to be beaten by luck: one against each other in each study. The intervals are that much
    surer (Bonferroni).
    """
    studies, cells = rule["different_winner"], rule["cells"]
    confidence = 1 - 0.05 / (len(studies) * (len(cells) - 1))
    pairs = [(study, *pair) for study in studies for pair in combinations(cells, 2)]
    runs_of = {study: runs.get(study) or _Runs() for study in studies}
    parts = []
    for study, *pair in pairs:
        of_study = replace(base, study=study)
        part = _compare(rule["score"], pair, (0.0, math.inf), of_study, runs_of[study], confidence)
        parts.append(replace(part, details=()))
    beats = {
        (study, *((a, b) if part.verdict == "supported" else (b, a)))
        for (study, a, b), part in zip(pairs, parts, strict=True)
        if part.verdict != "open"
    }
    unbeaten = [cell for cell in cells if not any(loser == cell for _, _, loser in beats)]
    best = [cell for cell in cells if sum(winner == cell for _, winner, _ in beats) == len(studies) * (len(cells) - 1)]
    seen = "; ".join(
        f"on {study} "
        + (", ".join(f"{winner} > {loser}" for at, winner, loser in sorted(beats) if at == study) or "none")
        for study in studies
    )
    undecided = [part for part in parts if part.verdict == "open"]
    whole = replace(
        base,
        effect_label=f"which cell has the best {documents()[studies[0]]['scores'][rule['score']]['label']}",
        repeats=min(part.repeats for part in parts),
        scaled="; ".join(dict.fromkeys(part.scaled for part in parts if part.scaled)),
        parts=tuple(parts),
    )
    if not unbeaten:
        return replace(whole, verdict="supported", reason=f"every cell is beaten somewhere: {seen}")
    if best:
        return replace(whole, verdict="contradicted", reason=f"{best[0]} is best everywhere: {seen}")
    hardest = _hardest(undecided)
    may_be = f"{' or '.join(unbeaten)} may be best everywhere: {seen}"
    return replace(
        whole,
        reason=hardest.reason if hardest.effect is None else may_be,
        detectable=hardest.detectable,
        repeats_needed=hardest.repeats_needed,
        percent=hardest.percent,
    )


def _judge(
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
    where = _where(part)
    two_sided = all(map(math.isfinite, sides))
    if math.isnan(effect.low):
        reason = f"{effect.repeats} are too few: an interval takes {fewest}"
    else:
        part = replace(part, low=back(effect.low), high=back(effect.high))
        if two_sided and effect.low == effect.high and low < effect.low < high:
            # Chance alone makes a few repeats agree, and then nothing bounds how far the next may lie.
            return replace(part, reason="repeats that agree exactly do not show how far others lie")
        if low < effect.low and effect.high < high:
            return replace(part, verdict="supported", reason=f"the interval lies {where}")
        if effect.high < low or high < effect.low:
            return replace(part, verdict="contradicted", reason=f"no part of the interval lies {where}")
        reason = f"only a part of the interval lies {where}"
    if effect.repeats < 2 or effect.deviation == 0.0:
        return replace(part, reason=reason)
    distance = min(abs(effect.mean - side) for side in sides if math.isfinite(side))
    needed = repeats_needed(effect.deviation, distance, max(fewest, effect.repeats + 1), confidence)
    shown = smallest_detectable(effect.deviation, effect.repeats, confidence)
    from_none = (low + high) / 2 if two_sided else low if math.isfinite(low) else high
    return replace(
        part,
        reason=reason if needed else f"{reason}; not even {MOST_REPEATS:,} would settle it",
        detectable=back(from_none - shown if math.isinf(low) else from_none + shown),
        repeats_needed=needed,
    )


def _where(part: Verdict) -> str:
    """The claim's side in words, such as `above 0`."""
    low, high = (
        None if side is None else _number(side, part.percent) for side in (part.claimed_low, part.claimed_high)
    )
    if low is None:
        return f"below {high}"
    return f"above {low}" if high is None else f"between {low} and {high}"


def _all_of(parts: Sequence[Verdict]) -> Verdict:
    """All parts must hold: the claim takes the effect and the reason of the part that decides."""
    if len(parts) == 1:
        return parts[0]
    contradicting = [part for part in parts if part.verdict == "contradicted"]
    undecided = [part for part in parts if part.verdict == "open"]
    decides = contradicting[0] if contradicting else _hardest(undecided) if undecided else min(parts, key=_room)
    return replace(decides, parts=tuple(parts), details=())


def _hardest(undecided: Sequence[Verdict]) -> Verdict:
    """The part that is furthest from being settled: without repeats, then beyond any number, then by their number."""
    return max(undecided, key=lambda part: (part.effect is None, part.repeats_needed is None, part.repeats_needed or 0))


def _room(part: Verdict) -> float:
    """How far an interval lies from the nearer end of the claim's side."""
    ends = ((part.low, part.claimed_low), (part.high, part.claimed_high))
    return min((abs(end - side) for end, side in ends if end is not None and side is not None), default=math.inf)


def verdicts_markdown(verdicts: Sequence[Verdict]) -> str:
    """A row a claim, as published beside as corrected; below, a line on what decided each, part by part."""
    rows: dict[str, dict[str, Verdict]] = {}
    for verdict in verdicts:
        rows.setdefault(verdict.id, {})[verdict.protocol] = verdict
    table = markdown_table(
        ["study", "claim", "the document", "as published", "as corrected"],
        [
            [
                any_of.study,
                any_of.claim + {"document": "", "book": " (the book's)", "project": " (this project's)"}[any_of.origin],
                any_of.published or "–",
                _outcome(found["published"]) if "published" in found else "the same" if "" in found else "–",
                _outcome(found.get("corrected", any_of)),
            ]
            for found in rows.values()
            for any_of in [next(iter(found.values()))]
        ],
    )
    lines = [
        "Outcome: effect [95 % interval], repeats. A difference of 0 or a ratio of 1 is no effect.",
        "",
        table,
        "",
        "What decided:",
        "",
    ]
    for verdict in verdicts:
        protocol = f", as {verdict.protocol}" if verdict.protocol else ""
        scaled = f" (scaled down: {verdict.scaled})" if verdict.scaled else ""
        lines.append(f"- `{verdict.id}`{protocol}: **{verdict.verdict}**: {_explained(verdict)}{scaled}")
        for part in verdict.parts:
            study = f"{part.study}: " if part.study != verdict.study else ""
            lines.append(f"  - {study}{_outcome(part)}: {_explained(part)}")
    return "\n".join(lines) + "\n"


def verdicts_frame(verdicts: Sequence[Verdict]) -> pd.DataFrame:
    """A row a verdict (`part` 0), then a row a part of it (1, 2, …), without details: for a CSV."""
    rows = [
        {"id": one.id, "part": number} | {k: v for k, v in asdict(one).items() if k not in ("parts", "details")}
        for verdict in verdicts
        for number, one in enumerate((verdict, *verdict.parts))
    ]
    return pd.DataFrame(rows)


def _outcome(verdict: Verdict) -> str:
    """A verdict with its effect, such as `supported: 12.6 % [6.9 %, 18.4 %], 30`."""
    if verdict.effect is None:
        return f"{verdict.verdict}" + (f", {verdict.repeats}" if verdict.repeats else "")
    effect = _number(verdict.effect, verdict.percent)
    if verdict.low is None or verdict.high is None:
        return f"{verdict.verdict}: {effect}" + (f", {verdict.repeats}" if verdict.repeats else "")
    ends = ", ".join(_number(end, verdict.percent) for end in (verdict.low, verdict.high))
    return f"{verdict.verdict}: {effect} [{ends}], {verdict.repeats}"


def _explained(verdict: Verdict) -> str:
    """What was compared and what decided; of an open verdict, what would."""
    found = f"{verdict.effect_label}: {verdict.reason}"
    if verdict.detectable is not None:
        found += f"; {verdict.repeats} could have shown {_number(verdict.detectable, verdict.percent)}"
    if verdict.repeats_needed:
        found += f"; about {verdict.repeats_needed:,} would settle it"
    return found


def _number(value: float, percent: bool) -> str:
    return f"{100 * value:.3g} %" if percent else f"{value:.3g}"
