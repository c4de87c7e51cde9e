"""Looking at a file that a person brings: what it is, what would be read, what is wrong with it."""

import re
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np

from stages.support.process import InputError
from stages.tables.columns import (
    MOST_DISTINCT,
    MOST_LABELS,
    Column,
    choose_inputs,
    choose_label,
    choose_text,
    choose_value,
    label_candidates,
    named,
    number_columns,
    profile,
    time_columns,
)
from stages.tables.dates import DateForm
from stages.tables.findings import CLASSIFICATION, KINDS, LANGUAGE_MODEL, SEQUENCE, Chosen, Findings
from stages.tables.layout import UNPAIRED, Drops, Layout, find_layout, is_quoted, rows
from stages.tables.records import (
    FEWEST_OF_A_LABEL,
    label_folders,
    labelled_rows,
    labelled_texts,
    pieces,
    text_files,
    timed_rows,
)
from stages.tables.texts import Measures, script

TRAINING_SHARE = 0.7  # of a series, when it is asked whether later values leave the range of the earlier ones
FEWEST_WORDS = 100_000  # of a text whose words a net had better read
FEW_ROWS = 200
FEWEST_TEXTS = 10
FEWEST_STEPS = 30
_CHUNK = 5000
_SAMPLE_TEXTS = 5000
_MOST_BAD_ROWS = 0.2  # of a table; with more, what is dropped may be what matters
_NULLS_OF_A_ROW = "empty row"


def inspect(
    path: Path,
    *,
    kind: str | None = None,
    text: str | None = None,
    label: str | None = None,
    value: str | None = None,
    inputs: str | Sequence[str] | None = None,
) -> Findings:
    """Read a file or folder twice and say what it holds, how `records` reads it, and what is wrong with it.

    Args:
        path: A table (CSV, TSV, JSON lines), a plain text, a folder of texts, or a folder of folders named by labels.
        kind: "classification", "language_model" or "sequence"; guessed where None.
        text: The column of texts, by name or position from 1; guessed where None.
        label: The column of labels.
        value: The column of numbers to predict.
        inputs: Further columns of numbers to predict it from: names, or one string with commas between them.

    Raises:
        InputError: Where the file can't be read, naming the row, and where a guess would be unsure: the message asks
            for KIND=, TEXT=, LABEL=, VALUE= or INPUTS= and names what could be meant.
    """
    if kind is not None and kind not in KINDS:
        raise InputError(f"KIND={kind}: must be one of {', '.join(KINDS)}")
    if not path.exists():
        raise InputError(f"{path}: no such file or folder")
    names = [name.strip() for name in inputs.split(",")] if isinstance(inputs, str) else list(inputs or ())
    names = [name for name in names if name]
    given = {"TEXT": text, "LABEL": label, "VALUE": value, "INPUTS": ", ".join(names) or None}
    if path.is_dir():
        return _folder(path, kind, given)
    layout = find_layout(path)
    if layout.format == "plain text" and kind in (None, LANGUAGE_MODEL):
        _refuse_options(path, given, "a plain text has no columns")
        return _plain_text(path, layout)
    if layout.format == "plain text":
        raise InputError(f"{path}: KIND={kind}: needs a table, and this is a plain text")
    layout, columns, total = _profile(path, layout)
    if not total:
        raise InputError(f"{path}: holds no row below its header ({', '.join(layout.columns[:10])})")
    return _table(path, layout, columns, total, kind, given, names)


def _profile(path: Path, layout: Layout) -> tuple[Layout, list[Column], int]:
    """Columns and rows; where quotes do not pair, of the file without quoting if that reads more of it."""
    drops = Drops()
    columns, total = profile(path, layout, drops)
    if drops.counts[UNPAIRED]:
        plain = replace(layout, quoting="none")
        plain_columns, plain_total = profile(path, plain, Drops())
        cells = [cell for column in plain_columns for cell in column.cells if cell[:1] == '"']
        if plain_total > total and sum(map(is_quoted, cells)) <= 0.5 * len(cells):
            return plain, plain_columns, plain_total
    return layout, columns, total


def _refuse_options(path: Path, given: dict[str, str | None], why: str) -> None:
    for option, said in given.items():
        if said is not None:
            raise InputError(f"{path}: {option}={said}: {why}")


def _table(
    path: Path,
    layout: Layout,
    columns: list[Column],
    total: int,
    kind: str | None,
    given: dict[str, str | None],
    inputs: list[str],
) -> Findings:
    kind, reason = (kind, "as KIND= says") if kind else _guess_kind(path, columns, total, given)
    unused = {
        CLASSIFICATION: ("VALUE", "INPUTS"),
        LANGUAGE_MODEL: ("LABEL", "VALUE", "INPUTS"),
        SEQUENCE: ("TEXT", "LABEL"),
    }
    _refuse_options(path, {option: given[option] for option in unused[kind]}, f"the kind {kind} reads no such column")
    findings = Findings(path, kind, reason, layout.format, layout)
    if kind == SEQUENCE:
        return _series(findings, layout, columns, given["VALUE"], inputs)
    label_column = named(path, columns, "LABEL", given["LABEL"]) if given["LABEL"] is not None else None
    text_column, chosen = choose_text(path, columns, given["TEXT"], label_column)
    if kind == LANGUAGE_MODEL:
        return _language(replace(findings, chosen=(chosen,)))
    label_column, chosen_label = choose_label(path, columns, given["LABEL"], text_column, total)
    if label_column.distinct is None:
        raise InputError(
            f"{path}: the label column {label_column.name} has more than {MOST_DISTINCT} values; "
            f"2 to {MOST_LABELS} are allowed"
        )
    return _classified(replace(findings, chosen=(chosen, chosen_label)), layout, columns)


def _guess_kind(path: Path, columns: list[Column], total: int, given: dict[str, str | None]) -> tuple[str, str]:
    if given["VALUE"] is not None or given["INPUTS"] is not None:
        return SEQUENCE, "VALUE= or INPUTS= is set"
    if given["LABEL"] is not None:
        return CLASSIFICATION, "LABEL= is set"
    texts = [column for column in columns if column.is_text]
    numbers = number_columns(columns, time_columns(columns))
    if texts or given["TEXT"] is not None:
        if len(columns) == 1:
            return LANGUAGE_MODEL, "one column of texts and no label"
        return CLASSIFICATION, f"has a column of texts ({given['TEXT'] or texts[0].name})"
    labels = label_candidates(columns, None, total)
    others = [c for c in columns if not (c.is_number or c.forms or c.is_time_of_day or c.constant or not c.cells)]
    words = [column for column in others if not column.named_as_time]
    if len(columns) == 2 and words and [column for column in labels if column is not words[0]]:
        return CLASSIFICATION, "has a column of words and a column of recurring values"
    unique = [column for column in others if len(set(column.cells)) == len(column.cells)]
    if numbers and len(unique) == len(others):
        return SEQUENCE, "has columns of numbers and no texts"
    if numbers and time_columns(columns):
        return SEQUENCE, "has a date and columns of numbers"
    listed = ", ".join(column.name for column in columns[:20])
    raise InputError(
        f"{path}: neither texts with labels nor a series by its look; set KIND= to classification (with TEXT= "
        f"and LABEL=), language_model (TEXT=) or sequence (VALUE=); columns: {listed}"
    )


def _classified(findings: Findings, layout: Layout | None, columns: Sequence[Column]) -> Findings:
    path = findings.path
    drops = Drops()
    measures = Measures()
    labels: Counter[str] = Counter()
    codes: dict[str, int] = {}
    label_codes = array("l")
    first_rows: dict[str, list[int]] = {}
    sample: list[tuple[str, str]] = []
    stride = 1
    read = {chosen.column for chosen in findings.chosen}
    beside = [c for c in columns if c.name not in read and c.distinct is not None and len(c.distinct) > 1]
    pairs: list[Counter[tuple[str, str]]] = [Counter() for _ in beside]
    hidden: list[int] = []
    number_of_rows = 0
    stream: Iterator[tuple[int, list[str], str, str]]
    if layout is None:
        stream = ((0, [], text, label) for text, label in labelled_texts(path, findings, drops))
    else:
        stream = labelled_rows(path, layout, findings, drops)
    while chunk := list(islice(stream, _CHUNK)):
        texts = [text for _, _, text, _ in chunk]
        names = [label for _, _, _, label in chunk]
        number_of_rows += len(chunk)
        measures.add(texts)
        labels.update(names)
        if len(labels) > MOST_DISTINCT:
            raise InputError(f"{path}: more than {MOST_DISTINCT} labels; 2 to {MOST_LABELS} are allowed")
        label_codes.extend(codes.setdefault(name, len(codes)) for name in names)
        for number, row, text, name in chunk:
            if labels[name] < FEWEST_OF_A_LABEL:
                first_rows.setdefault(name, []).append(number)
            if layout is not None and "\n" in text and _rows_within(text, name, row, layout, labels):
                hidden.append(number)
        for column, counter in zip(beside, pairs, strict=True):
            counter.update(zip((row[column.place].strip() for _, row, _, _ in chunk), names, strict=True))
        sample += list(zip(texts, names, strict=True))[::stride]
        if len(sample) > 2 * _SAMPLE_TEXTS:
            sample, stride = sample[::2], stride * 2
    rare = sorted(name for name, count in labels.items() if count < FEWEST_OF_A_LABEL)
    rare_rows = sum(labels[name] for name in rare)
    refusals: list[str] = []
    if rare and len(labels) - len(rare) >= 2 and rare_rows <= 0.01 * number_of_rows:
        for name in rare:
            for number in first_rows[name]:
                drops.add(f"label in fewer than {FEWEST_OF_A_LABEL} rows", number)
            del labels[name]
    elif rare:
        refusals.append(
            f"label {_short(rare[0])} has {_count(labels[rare[0]], 'row')}; "
            f"each needs at least {FEWEST_OF_A_LABEL}, one for each part"
        )
    if len(labels) < 2:
        only = f"one label only ({_short(next(iter(labels)))})" if labels else "no row with a text and a label"
        refusals.insert(0, f"{only}; 2 to {MOST_LABELS} are needed")
    elif len(labels) > MOST_LABELS:
        refusals.insert(0, f"{len(labels)} labels; 2 to {MOST_LABELS} are allowed")
    rows_read = labels.total()
    if len(labels) >= 2 and rows_read < FEWEST_TEXTS:
        refusals.append(f"{rows_read} texts; at least {FEWEST_TEXTS} are needed")
    if hidden:
        refusals.append(
            f"row {hidden[0]}: its text holds lines that look like rows; a quote is missing or one too many"
        )
    warnings = _label_warnings(labels, rows_read)
    leaks = tuple(
        column.name for column, counter in zip(beside, pairs, strict=True) if _gives_away(counter, labels, rows_read)
    )
    if leaks:
        warnings.append(f"{_and(leaks)} give{'s' * (len(leaks) == 1)} the label away; only the text is read")
    warnings_of_text, refusals_of_text = _label_in_text(sample, labels)
    words, characters = measures.lengths()
    duplicates, crossing, contradictions = measures.repetitions(label_codes)
    if duplicates:
        warnings.append(
            f"{_share(duplicates, number_of_rows)} of the texts repeat others; in a random split {crossing:.1%} of "
            "the test texts would stand in training as well: equal texts belong into one part"
        )
    if contradictions:
        warnings.append(
            f"{_share(contradictions, number_of_rows)} of the texts repeat an earlier one under another label"
        )
    letters, by_spaces = script(text for text, _ in sample)
    findings = replace(
        findings,
        rows=rows_read,
        labels=tuple(labels.most_common()),
        words=words if by_spaces else None,
        characters=characters,
        total_words=sum(measures.words),
        total_characters=sum(measures.characters),
        script=letters,
        words_by_spaces=by_spaces,
        unit="words" if by_spaces else "characters",
        duplicates=duplicates,
        split_duplicates=crossing,
        contradictions=contradictions,
        leaks=leaks,
    )
    return _finished(findings, drops, [*warnings, *warnings_of_text], [*refusals, *refusals_of_text])


def _language(findings: Findings) -> Findings:
    drops = Drops()
    measures = Measures()
    sample: list[str] = []
    stream = pieces(findings.path, findings, drops)
    lines = findings.format == "plain text"
    while chunk := list(islice(stream, _CHUNK)):
        measures.add((piece[:-1] for piece in chunk), keys=not lines)
        sample += chunk[:: max(1, len(chunk) // 200)]
    letters, by_spaces = script(sample)
    words, characters = measures.lengths()
    total_words, total_characters = sum(measures.words), sum(measures.characters) + len(measures.characters)
    duplicates = 0 if lines else measures.repetitions()[0]
    warnings, refusals = [], []
    unit = "words" if by_spaces and total_words >= FEWEST_WORDS else "characters"
    if by_spaces and unit == "characters":
        warnings.append(
            f"{total_words:,} words are few for a model of words; characters are enough for one of characters"
        )
    if total_characters < 1000:
        refusals.append(f"{total_characters:,} characters; at least 1,000 are needed")
    elif total_characters < 20_000:
        warnings.append(f"{total_characters:,} characters are few: differences between models will be uncertain")
    if duplicates:
        warnings.append(f"{_share(duplicates, len(measures.words))} of the texts repeat an earlier one")
    findings = replace(
        findings,
        rows=len(measures.characters),
        words=words if by_spaces else None,
        characters=characters,
        total_words=total_words,
        total_characters=total_characters,
        script=letters,
        words_by_spaces=by_spaces,
        unit=unit,
        duplicates=duplicates,
    )
    return _finished(findings, drops, warnings, refusals)


def _plain_text(path: Path, layout: Layout) -> Findings:
    return _language(Findings(path, LANGUAGE_MODEL, "a plain text", "plain text", layout))


def _series(
    findings: Findings, layout: Layout, columns: Sequence[Column], value: str | None, inputs: list[str]
) -> Findings:
    path = findings.path
    times = time_columns(columns)
    target, chosen = choose_value(path, columns, value, times)
    beside = choose_inputs(path, columns, inputs, target)
    read = [target, *beside]
    times = [column for column in times if column not in read]
    why = "holds dates" if len(times) == 1 else "says when, together with the other"
    findings = replace(
        findings,
        chosen=(
            chosen,
            *(Chosen("input", column.name, "as INPUTS= says") for column in beside),
            *(Chosen("date", column.name, why) for column in times),
        ),
        decimal_marks=tuple(column.mark for column in read),
    )
    for column in read:
        if column.doubtful:
            raise InputError(
                f"{path}: {column.name}: {column.cells[0]} may have a decimal mark or a thousands separator; "
                "write the numbers without thousands separators, or one with more or fewer than three decimals"
            )
    warnings: list[str] = []
    if beside and len(set(findings.decimal_marks)) > 1:
        warnings.append("the columns differ in their decimal mark")
    forms: list[DateForm] = []
    if times:
        forms = [DateForm("calendar")] if len(times) > 1 and not times[0].words.isdisjoint({"year"}) else times[0].forms
    drops = Drops()
    keys = [array("d") for _ in forms]
    values = array("d")
    constant_inputs = [True] * len(beside)
    first_values: list[float] = []
    numbers = array("l")
    inner = 0
    for number, _, read_times, row in timed_rows(path, layout, findings, forms, drops):
        numbers.append(number)
        values.append(row[0])
        for key, time in zip(keys, read_times, strict=True):
            key.append(time)
        if not first_values:
            first_values, before = row, drops.total
        inner = drops.total - before  # what is dropped after the last row is a footer
        for place in range(1, len(row)):
            if constant_inputs[place - 1] and row[place] != first_values[place]:
                constant_inputs[place - 1] = False
    if not values:
        raise InputError(f"{path}: no row has a number in {_and([column.name for column in read])}")
    form, seconds, order = _time_order(path, forms, keys, times)
    series = np.frombuffer(values, dtype=np.float64)
    refusals: list[str] = []
    first_date = last_date = ""
    if seconds is not None:
        ordered = np.argsort(seconds, kind="stable")
        series = series[ordered]
        first_date, last_date = _dates_at(path, layout, times, {int(numbers[ordered[0]]), int(numbers[ordered[-1]])})
        if ordered[0] > ordered[-1]:
            first_date, last_date = last_date, first_date
        _judge_times(np.sort(seconds), columns, target, times, warnings, refusals)
    else:
        unread = [column.name for column in columns if column.named_as_time and column not in read]
        what = f"{_and(unread)} could not be read as dates" if unread else "no dates were found"
        warnings.append(f"{what}; the rows are taken to be in time order")
    cut = int(TRAINING_SHARE * len(series))
    outside = 0.0
    if series.min() == series.max():
        refusals.append(f"{target.name} is constant ({series[0]:g}); there is nothing to predict")
    elif 0 < cut < len(series):
        earlier, later = series[:cut], series[cut:]
        outside = float(((later < earlier.min()) | (later > earlier.max())).mean())
        if outside > 0.05:
            warnings.append(
                f"{outside:.0%} of the last {1 - TRAINING_SHARE:.0%} of {target.name} lie outside the range of what "
                "comes before: a trend that leaves the training range"
            )
    warnings += [
        f"{column.name} is constant and says nothing"
        for column, constant in zip(beside, constant_inputs, strict=True)
        if constant
    ]
    if inner:
        warnings.append(f"{_count(inner, 'row')} between the others left out: time steps may differ there")
    if len(series) < FEWEST_STEPS:
        refusals.append(f"{len(series)} rows; a series needs at least {FEWEST_STEPS}")
    elif len(series) < FEW_ROWS:
        warnings.append(f"{len(series)} rows are few: differences between models will be uncertain")
    findings = replace(
        findings,
        date_form=form,
        rows=len(series),
        first_date=first_date,
        last_date=last_date,
        order=order,
        lowest=float(series.min()),
        highest=float(series.max()),
        outside_training=outside,
    )
    return _finished(findings, drops, warnings, refusals)


def _time_order(
    path: Path, forms: Sequence[DateForm], keys: "Sequence[array[float]]", times: Sequence[Column]
) -> tuple[DateForm | None, "np.ndarray | None", str]:
    """The form under which the dates make sense, the times under it, and how the file stands to them."""
    if not forms:
        return None, None, "as in the file"
    found = []
    for form, key in zip(forms, keys, strict=True):
        time = np.frombuffer(key, dtype=np.float64)
        steps = np.diff(time)
        order = "ascending" if (steps >= 0).all() else "descending" if (steps <= 0).all() else "unsorted"
        found.append((form, time, order))
    in_order = [one for one in found if one[2] != "unsorted"]
    if len(found) > 1 and len(in_order) != 1:
        orders = [np.argsort(time, kind="stable") for _, time, _ in found]
        if not np.array_equal(orders[0], orders[1]):
            raise InputError(
                f"{path}: {times[0].name}: {times[0].cells[0]} may be day/month or month/day; write dates as 2018-07-31"
            )
    return (in_order or found)[0]


def _dates_at(path: Path, layout: Layout, times: Sequence[Column], numbers: set[int]) -> tuple[str, str]:
    found = [
        " ".join(row[column.place].strip() for column in times)
        for number, row in rows(path, layout, Drops())
        if number in numbers
    ]
    return found[0], found[-1]


def _judge_times(
    time: "np.ndarray",
    columns: Sequence[Column],
    target: Column,
    times: Sequence[Column],
    warnings: list[str],
    refusals: list[str],
) -> None:
    steps = np.diff(time)
    same = int((steps == 0).sum())
    name = " and ".join(column.name for column in times)
    if same > 0.05 * len(time):
        apart = [
            c.name
            for c in columns
            if c is not target and c not in times and c.distinct and len(c.distinct) > 1 and not c.is_number
        ]
        tells = f" (does {apart[0]} tell them apart?)" if apart else ""
        refusals.append(
            f"{_count(same, 'row')} with the date of another ({name}): several series in one file{tells}; keep one"
        )
    elif same:
        warnings.append(f"{_count(same, 'row')} with the date of another ({name})")
    positive = steps[steps > 0]
    if len(positive):
        usual = float(np.median(positive))
        longer = int((positive > 1.5 * usual).sum())
        if 0 < longer < 0.1 * len(positive):
            warnings.append(f"{_count(longer, 'step')} in time longer than the usual one")


def _folder(path: Path, kind: str | None, given: dict[str, str | None]) -> Findings:
    _refuse_options(path, given, "a folder of texts has no columns")
    folders, files = label_folders(path), text_files(path)
    if not folders and not files:
        raise InputError(f"{path}: the folder is empty")
    deeper = [folder for folder in folders if label_folders(folder)]
    if deeper:
        raise InputError(
            f"{path}: {deeper[0].name} holds folders itself; name the folder whose folders are labels: "
            + ", ".join(str(folder) for folder in folders[:10])
        )
    if len(folders) >= 2 and kind in (None, CLASSIFICATION):
        findings = Findings(
            path, CLASSIFICATION, "a folder with a folder for each label", "folder of texts a label", None
        )
        beside = (
            [f"{_count(len(files), 'file')} beside the folders not read: {_and([f.name for f in files[:3]])}"]
            if files
            else []
        )
        found = _classified(findings, None, ())
        return replace(found, warnings=(*beside, *found.warnings))
    if folders or kind not in (None, LANGUAGE_MODEL):
        raise InputError(
            f"{path}: a folder holds texts, or two or more folders of texts named by labels; it holds "
            f"{_count(len(folders), 'folder')} and {_count(len(files), 'file')}"
        )
    if all(file.suffix.lower() in (".csv", ".tsv", ".json", ".jsonl") for file in files):
        raise InputError(f"{path}: a folder of tables; name one: {_and([file.name for file in files[:10]])}")
    return _language(Findings(path, LANGUAGE_MODEL, "a folder of texts", "folder of texts", None))


def _finished(
    findings: Findings,
    drops: Drops,
    warnings: list[str],
    refusals: list[str],
) -> Findings:
    """The findings with what concerns every kind; raises InputError where too many rows are no rows of the table."""
    layout = findings.layout
    dropped = drops.listed()
    bad = [
        one
        for one in dropped
        if one.reason != _NULLS_OF_A_ROW and not one.reason.startswith(("empty text", "no label"))
    ]
    for one in bad:
        if one.rows > _MOST_BAD_ROWS * (findings.rows + one.rows):
            raise InputError(
                f"{findings.path}: {one.rows:,} of {findings.rows + one.rows:,} rows can't be read: {one.reason}; "
                f"the first is row {one.first[0]}"
            )
    if findings.kind == CLASSIFICATION and len(findings.labels) > 1 and FEWEST_TEXTS <= findings.rows < FEW_ROWS:
        warnings.append(f"{findings.rows} texts are too few to tell two models apart")
    if layout is not None:
        warnings += _encoding_warnings(layout)
        if layout.repeated_names:
            warnings.append(f"column names stand more than once: {_and(layout.repeated_names)}; copies are numbered")
        if layout.quoting == "none":
            warnings.append("quotes do not pair, so they are read as plain characters")
    return replace(findings, dropped=dropped, warnings=tuple(warnings), refusals=tuple(refusals))


def _encoding_warnings(layout: Layout) -> list[str]:
    encoding = layout.encoding
    warnings = []
    if encoding.guessed:
        where = (
            f"{encoding.other_lines:,} line{'s' * (encoding.other_lines > 1)}, the first is {encoding.first_other_line}"
        )
        warnings.append(f"not UTF-8 ({where}); read as {encoding.name.upper()}, which is a guess")
    if encoding.nul:
        warnings.append("NUL characters are left out")
    if encoding.cut_off:
        warnings.append("the file ends within a character; it seems cut off")
    return warnings


def _label_warnings(labels: Counter[str], total: int) -> list[str]:
    warnings = []
    if len(labels) >= 2:
        (top, most), (least, fewest) = labels.most_common()[0], labels.most_common()[-1]
        if most >= 0.8 * total or most >= 10 * fewest:
            warnings.append(
                f"labels are unbalanced: always saying {_short(top)} is right in {most / total:.1%}; "
                f"{_short(least)} has {fewest:,} rows"
            )
    alike: dict[str, list[str]] = {}
    for label in labels:
        alike.setdefault(_as_number(label) or " ".join(label.casefold().split()), []).append(label)
    for same in alike.values():
        if len(same) > 1:
            warnings.append(f"labels differ in writing alone and count as different: {_and(list(map(_short, same)))}")
    return warnings


def _as_number(label: str) -> str:
    try:
        return f"{float(label):g}"
    except ValueError:
        return ""


def _gives_away(pairs: Counter[tuple[str, str]], labels: Counter[str], total: int) -> bool:
    """Whether a column's value nearly settles the label, and not for being different in every row."""
    best: Counter[str] = Counter()
    values: Counter[str] = Counter()
    for (value, _), count in pairs.items():
        best[value] = max(best[value], count)
        values[value] += count
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
        refusals.append(f"the texts hold their label as a word ({_short(telling[0])}): there is nothing to learn")
    elif telling:
        warnings.append(f"most texts of the label {_short(telling[0])} hold it as a word, and hardly any other does")
    return warnings, refusals


def _rows_within(text: str, label: str, row: list[str], layout: Layout, labels: Counter[str]) -> bool:
    """Whether lines within a text look like rows: as many cells as the table, one of them a label, in its place."""
    if not layout.delimiter:
        return False
    place = next(i for i, cell in enumerate(row) if cell.strip() == label)
    for line in text.splitlines()[1:-1]:
        cells = line.split(layout.delimiter)
        if len(cells) == len(layout.columns) and cells[place].strip(' "') in labels:
            return True
    return False


def _short(text: str) -> str:
    return repr(text if len(text) <= 40 else f"{text[:37]}...")


def _share(part: int, total: int) -> str:
    return f"{part:,} ({part / total:.1%})"


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'s' * (number != 1)}"


def _and(names: Iterable[str]) -> str:
    *before, last = names
    return f"{', '.join(before)} and {last}" if before else last
