"""Texts with labels: how the labels stand, what repeats, and what gives a label away."""

import re
from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

from stages.support.process import InputError
from stages.support.words import count, listed
from stages.tables.columns import MOST_DISTINCT, MOST_LABELS, Column
from stages.tables.common import Sample, finished, share, shortened
from stages.tables.findings import Findings
from stages.tables.layout import Drops, Layout
from stages.tables.records import FEWEST_OF_A_LABEL, UNLABELLED, LabelledRow, labelled_rows
from stages.tables.texts import Measures, script, tags

_FEW_TEXTS = 200
_FEWEST_TEXTS = 10
_CHUNK = 5000
_SAMPLE_TEXTS = 5000
_FEW_UNLABELLED = 0.01


@dataclass
class _Reading:
    """What one reading of all rows collects; `pairs` counts (value, label) of each column beside the two."""

    beside: list[Column]
    measures: Measures = field(default_factory=Measures)
    labels: Counter[str] = field(default_factory=Counter)
    codes: dict[str, int] = field(default_factory=dict)
    label_codes: "array[int]" = field(default_factory=lambda: array("l"))
    first_places: dict[str, list[int | str]] = field(default_factory=dict)
    sample: Sample[tuple[str, str]] = field(default_factory=lambda: Sample(_SAMPLE_TEXTS))
    pairs: list[Counter[tuple[str, str]]] = field(default_factory=list)
    like_rows: list[int | str] = field(default_factory=list)

    def add(self, chunk: Sequence[LabelledRow], layout: Layout | None) -> None:
        texts = [row.text for row in chunk]
        names = [row.label for row in chunk]
        self.measures.add(texts)
        self.labels.update(names)
        self.label_codes.extend(self.codes.setdefault(name, len(self.codes)) for name in names)
        for row in chunk:
            if self.labels[row.label] < FEWEST_OF_A_LABEL:
                self.first_places.setdefault(row.label, []).append(row.place)
            if layout is not None and "\n" in row.text and _rows_within(row, layout, self.labels):
                self.like_rows.append(row.place)
        for column, counter in zip(self.beside, self.pairs, strict=True):
            counter.update(zip((row.cells[column.place].strip() for row in chunk), names, strict=True))
        self.sample.add(list(zip(texts, names, strict=True)))


def look_at_classification(findings: Findings, columns: Sequence[Column]) -> Findings:
    """Read all rows; raises InputError where the labels are countless."""
    drops = Drops()
    chosen = {one.column for one in findings.chosen}
    beside = [c for c in columns if c.name not in chosen and c.distinct is not None and len(c.distinct) > 1]
    reading = _Reading(beside, pairs=[Counter() for _ in beside])
    stream = labelled_rows(findings.path, findings, drops)
    while chunk := list(islice(stream, _CHUNK)):
        reading.add(chunk, findings.layout)
        if len(reading.labels) > MOST_DISTINCT:
            raise InputError(f"{findings.path}: more than {MOST_DISTINCT} labels; 2 to {MOST_LABELS} are allowed")
    total = reading.labels.total()
    refusals = _judge_labels(reading, drops)
    labels = reading.labels
    rows = labels.total()
    leaks = [
        column.name for column, counter in zip(beside, reading.pairs, strict=True) if _gives_away(counter, labels, rows)
    ]
    words, characters = reading.measures.lengths()
    duplicates, crossing, contradictions = reading.measures.repetitions(reading.label_codes)
    texts = [text for text, _ in reading.sample.items]
    letters, by_spaces = script(texts)
    warnings = [*_label_warnings(labels, rows), *_unlabelled(drops, rows), *tags(texts)]
    if reading.like_rows:
        warnings.append(f"row {reading.like_rows[0]}: its text holds lines that look like rows; is a quote missing?")
    if leaks:
        warnings.append(f"{listed(leaks)} give{'s' * (len(leaks) == 1)} the label away; only the text is read")
    if duplicates:
        warnings.append(
            f"{share(duplicates, total)} of the texts repeat others; in a random split {crossing:.1%} of the test "
            "texts would stand in training as well, so equal texts are put into one part"
        )
    if contradictions:
        warnings.append(f"{share(contradictions, total)} of the texts repeat an earlier one under another label")
    warnings_of_text, refusals_of_text = _label_in_text(reading.sample.items, labels)
    findings = replace(
        findings,
        rows=rows,
        labels=tuple(labels.most_common()),
        words=words if by_spaces else None,
        characters=characters,
        total_words=sum(reading.measures.words),
        total_characters=sum(reading.measures.characters),
        script=letters,
        words_by_spaces=by_spaces,
        unit="words" if by_spaces else "characters",
    )
    return finished(findings, drops, [*warnings, *warnings_of_text], [*refusals, *refusals_of_text])


def _judge_labels(reading: _Reading, drops: Drops) -> list[str]:
    """Why the labels do not do; labels of one or two rows are left out where they are few beside the others."""
    labels = reading.labels
    total = labels.total()
    rare = sorted(name for name, rows in labels.items() if rows < FEWEST_OF_A_LABEL)
    refusals: list[str] = []
    if rare and len(labels) - len(rare) >= 2 and sum(labels[name] for name in rare) <= 0.01 * total:
        for name in rare:
            for place in reading.first_places[name]:
                drops.add(f"label in fewer than {FEWEST_OF_A_LABEL} rows", place)
            del labels[name]
    elif rare:
        refusals.append(
            f"label {shortened(rare[0])} has {count(labels[rare[0]], 'row')}; "
            f"each needs at least {FEWEST_OF_A_LABEL}, one for each part"
        )
    if len(labels) < 2:
        only = f"one label only ({shortened(next(iter(labels)))})" if labels else "no row with a text and a label"
        return [f"{only}; 2 to {MOST_LABELS} are needed", *refusals]
    if len(labels) > MOST_LABELS:
        return [f"{len(labels)} labels; 2 to {MOST_LABELS} are allowed", *refusals]
    if labels.total() < _FEWEST_TEXTS:
        refusals.append(f"{labels.total()} texts; at least {_FEWEST_TEXTS} are needed")
    return refusals


def _label_warnings(labels: Counter[str], total: int) -> list[str]:
    warnings = []
    if len(labels) >= 2:
        (top, most), (least, fewest) = labels.most_common()[0], labels.most_common()[-1]
        if most >= 0.8 * total or most >= 10 * fewest:
            warnings.append(
                f"labels are unbalanced: always saying {shortened(top)} is right in {most / total:.1%}; "
                f"{shortened(least)} has {fewest:,} rows"
            )
        if _FEWEST_TEXTS <= total < _FEW_TEXTS:
            warnings.append(f"{total} texts are too few to tell two models apart")
    if sets := _like_sets(labels):
        warnings.append(
            f"labels look like sets ({listed(map(shortened, sets[:2]))}): each combination counts as a label "
            "of its own, since a text has one label here"
        )
    alike: dict[str, list[str]] = {}
    for label in labels:
        alike.setdefault(_as_number(label) or " ".join(label.casefold().split()), []).append(label)
    for same in alike.values():
        if len(same) > 1:
            warnings.append(
                f"labels differ in writing alone and count as different: {listed(list(map(shortened, same)))}"
            )
    return warnings


def _like_sets(labels: Iterable[str]) -> list[str]:
    """Labels that put together what other labels have as well, with a mark between."""
    parts = {
        label: {part.strip(" \"'") for part in re.split(r"[,;|/+&]", label.strip("[]{}()"))} - {""} for label in labels
    }
    labels_with = Counter(part for found in parts.values() for part in found)
    return [name for name, found in parts.items() if len(found) > 1 and any(labels_with[part] > 1 for part in found)]


def _unlabelled(drops: Drops, rows: int) -> list[str]:
    """A warning where more than a few rows have no label, with what stands there instead."""
    lost = {reason: count for reason, count in drops.counts.items() if reason.startswith(UNLABELLED)}
    left_out = sum(lost.values())
    if left_out <= _FEW_UNLABELLED * (rows + left_out):
        return []
    words = [reason.removeprefix(UNLABELLED).strip(" ()") for reason in lost]
    cells = listed([f"'{word}'" if word else "an empty cell" for word in words])
    otherwise = "; if that is a label, write it in another way" if any(words) else ""
    return [f"{share(left_out, rows + left_out)} of the rows have {cells} for a label and are left out{otherwise}"]


def _as_number(label: str) -> str:
    try:
        return f"{float(label):g}"
    except ValueError:
        return ""


def _gives_away(pairs: Counter[tuple[str, str]], labels: Counter[str], total: int) -> bool:
    """Whether a column's value nearly settles the label, and not for being different in every row."""
    best: Counter[str] = Counter()
    values: Counter[str] = Counter()
    for (value, _), together in pairs.items():
        best[value] = max(best[value], together)
        values[value] += together
    if not labels or not total or len(values) < 2 or len(values) * 5 > total:
        return False
    chance = labels.most_common(1)[0][1] / total
    settled = best.total() / values.total()
    return settled >= 0.98 and settled - chance >= 0.5 * (1 - chance)


def _label_in_text(sample: Sequence[tuple[str, str]], labels: Counter[str]) -> tuple[list[str], list[str]]:
    """Whether texts hold their own label as a word, where texts of other labels do not."""
    warnings, refusals = [], []
    own: Counter[str] = Counter()
    rows_of: Counter[str] = Counter()
    others: Counter[str] = Counter()
    names = {label: label.casefold() for label in labels if len(label) >= 3 and not _as_number(label)}
    patterns = {label: re.compile(rf"(?<!\w){re.escape(name)}(?!\w)") for label, name in names.items()}
    for text, label in sample:
        rows_of[label] += 1
        lowered = text[:5000].casefold()
        for name, pattern in patterns.items():
            if names[name] in lowered and pattern.search(lowered):
                (own if name == label else others)[name] += 1
    total = rows_of.total()
    telling = [
        name
        for name in names
        if own[name] >= max(5, 0.5 * rows_of[name]) and others[name] <= 0.05 * max(total - rows_of[name], 1)
    ]
    if (
        telling
        and len(telling) >= len(labels) - 1
        and sum(own[n] for n in telling) >= 0.95 * sum(rows_of[n] for n in telling)
    ):
        refusals.append(f"the texts hold their label as a word ({shortened(telling[0])}): there is nothing to learn")
    elif telling:
        warnings.append(f"most texts of the label {shortened(telling[0])} hold it as a word, and hardly any other does")
    return warnings, refusals


def _rows_within(row: LabelledRow, layout: Layout, labels: Counter[str]) -> bool:
    """Whether lines within a text look like rows: as many cells as the table, one of them a label, in its place."""
    if not layout.delimiter:
        return False
    place = next(i for i, cell in enumerate(row.cells) if cell.strip() == row.label)
    for line in row.text.splitlines()[1:-1]:
        cells = line.split(layout.delimiter)
        if len(cells) == len(layout.columns) and cells[place].strip(' "') in labels:
            return True
    return False
