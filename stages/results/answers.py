"""LSTM or GRU? The answers of a study's rows, whether of this workspace or of the record, as table, lines and plot."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any, cast

import numpy as np
import tabulate

from stages.baselines.language_model import LOWEST_POSSIBLE
from stages.baselines.series import origins
from stages.results.answer import (
    CELLS,
    HEADINGS,
    Answer,
    Cell,
    Naive,
    Score,
    Scores,
    ahead_text,
    answer,
    behind_rnn,
    in_digits,
    in_words,
    margin_text,
    score_text,
)
from stages.results.claims import read_run
from stages.results.documents import SAMPLE, documents, trains_on_all
from stages.results.measures import custom_of, diverged, score_of, setting_of
from stages.results.record import FIGURES, RECORD, comparable_rows, recorded_trials
from stages.results.row import Baselines, Row, read_baselines
from stages.results.runs import still_improving, unit
from stages.results.statistics import holm
from stages.results.table import Cell as Shown
from stages.results.table import Table, as_sentence
from stages.results.verdict import LEVEL
from stages.support.files import read_json
from stages.support.process import short
from stages.support.sections import OWN_RATE
from stages.support.words import listed

FOREST = FIGURES / "answers"
_MARGINS = {"points": 2.0, "ratio": 1.05}
"""Up to where a difference does not matter, where a study's score says nothing else."""


def study_answers(
    study: str,
    rows: Sequence[Row],
    baselines: Baselines,
    trials: Sequence[Row] = (),
    *,
    test_items: int | None = None,
    test_to_train: float | None = None,
) -> list[Answer]:
    """The answers that `rows` of both cells give: for each setting under every heading that both have.

    A study of sample text is called so. By the study's first score; of a sweep each repeat's mean over the settings
    that both cells have. Rows that left their document's protocol count in a run of the sample profile alone.
    `baselines`: the rows of baseline.json; `trials`: those by which learning rates were chosen; `test_items`: how many
    items the test part has, where that may be too few; `test_to_train`: its items over the training part's, where
    repeats have divisions of their own.
    """
    name, about = next(iter(documents()[study]["scores"].items()))
    score = _score(about)
    sweep = "sweep" in documents()[study]
    counted = [row for row in rows if row.profile == "sample" or not custom_of(row)]
    settings = [""] if sweep else list(dict.fromkeys(row.setting for row in counted))
    found = []
    for setting in settings:
        seen: list[list[frozenset[int]]] = []
        for heading in HEADINGS:
            of_heading = heading.replace(" ", "_")
            mine = [row for row in counted if of_heading in row.protocols and (sweep or row.setting == setting)]
            of_cells = {cell: [row for row in mine if row.cell == cell] for cell in CELLS}
            rnn = [row for row in mine if row.cell == "rnn"]
            if not all(of_cells.values()):
                continue
            kept = [frozenset(map(id, rows)) for rows in of_cells.values()]
            if kept in seen:
                continue  # nothing was corrected: one arm stands under both headings
            seen.append(kept)
            arms, beside, repeats = _arms(of_cells, rnn, name, of_heading)
            found.append(
                answer(
                    study,
                    heading,
                    score,
                    arms["lstm"],
                    arms["gru"],
                    _naive(name, about, baselines, repeats) if trains_on_all(study, setting) else None,
                    beside,
                    setting=setting if len(settings) > 1 else "",
                    is_sample=of_sample_text(rows),
                    test_items=test_items,
                    test_to_train=test_to_train,
                    bootstrapped=about.get("bounded", False),
                    cautions=[
                        *_unpaired(of_cells, of_heading),
                        *_late(study, of_cells),
                        *_untuned(trials, about, setting, of_heading),
                    ],
                )
            )
    return found


def of_test_part(study: str) -> dict[str, Any]:
    """What `study_answers` must know of a person's own test part: how many items, and over the training part's."""
    ready = Path("data/ready", study)
    if documents()[study]["document"]:
        return {}
    about = read_json(ready / "manifest.json")
    if "texts" in about:
        texts = about["texts"]
        divided = about["divisions"] > 1
        return {"test_items": texts["test"], "test_to_train": texts["test"] / texts["train"] if divided else None}
    if "tokens" in about:
        return {"test_items": about["tokens"]["test"]}
    steps = len(np.load(ready / "values.npy", mmap_mode="r"))
    return {"test_items": len(origins(about["validation_end"], steps, about["window"], about["horizon"]))}


def record_answers() -> list[Answer]:
    """The answers of the record, study by study."""
    found = []
    for study in documents():
        if rows := comparable_rows(study):
            baselines = read_baselines(RECORD / study / "baseline.json")
            found += study_answers(study, rows, baselines, recorded_trials(study))
    return found


def run_answers(studies: Sequence[str], cells: Sequence[str]) -> list[Answer]:
    """The answers of this workspace's run, of metrics/STUDY/CELL.json."""
    found = []
    for study, rows in read_run(studies, cells).items():
        baselines = read_baselines(Path("metrics", study, "baseline.json"))
        found += study_answers(study, rows, baselines, **of_test_part(study))
    return found


def draw_forest_of_record() -> None:
    """Draw plots/record/answers.png and .svg."""
    from stages.results.drawing import save  # matplotlib is slow
    from stages.results.forest import draw_forest

    if found := record_answers():
        save(
            draw_forest(found, "data: the record, full-size runs on the real corpora and series of the documents"),
            FOREST,
        )


def first_headings(answers: Sequence[Answer]) -> list[Answer]:
    """One answer a study: under the heading that says most about the question (the order of `HEADINGS`)."""
    best: dict[str, Answer] = {}
    for found in sorted(answers, key=lambda found: HEADINGS.index(found.heading)):
        best.setdefault(found.name, found)
    return [best[name] for name in dict.fromkeys(found.name for found in answers)]


def answers_table(answers: Sequence[Answer]) -> Table:
    """A study and heading a row: scores, difference with interval, who is ahead, naive row, cost.

    All of it, the scores too, is of the repeats that both cells have, the `pairs`.
    """
    leading = ["study", "heading", "LSTM", "GRU", "ahead, and by how much", "pairs", "plain rnn", "without a net"]
    leading += ["parameters", "seconds an epoch"]
    rows = []
    for found in answers:
        cells = [found.title, found.heading, *(score_text(found.means[cell], found.score) for cell in CELLS)]
        naive = "–" if found.naive_score is None else f"{found.naive_name} {score_text(found.naive_score, found.score)}"
        seconds = [found.seconds_an_epoch[cell] for cell in CELLS]
        cells += [
            ahead_text(found),
            str(found.repeats),
            score_text(found.rnn_score, found.score),
            naive,
            " / ".join(f"{found.parameters[cell]:,}" for cell in CELLS),
            " / ".join("–" if value is None else in_digits(value) for value in seconds),
        ]
        rows.append([Shown(text) for text in cells])
    return Table(f"By {_labels(answers)}", leading, (), rows)


def answers_on_screen(answers: Sequence[Answer], here: Sequence[Answer]) -> list[str]:
    """The table for a terminal, of 100 columns at most: a study a line, beside it who is ahead `here`, in this run.

    A study that only this run has stands under the heading `sample` where its text is made. Variants are left out.
    """
    mine = {found.name: found for found in of_studies(here)}
    recorded = {found.name: found for found in of_studies(answers)}
    shown = [*recorded.values(), *(found for name, found in mine.items() if name not in recorded)]
    header = ["study", "heading", "LSTM", "GRU", "ahead, points or ×; (even)", "here", "no net"]

    def lines(longest: int) -> list[str]:
        """With names of so many characters at the most: a number is never cut."""
        table = []
        for found in shown:
            naive = "–"
            if found.naive_name:
                name = found.naive_name.split(" + ")[0].removeprefix("Kneser–Ney ")
                naive = f"{short(name, longest)} {score_text(found.naive_score, found.score)}"
            scores = [score_text(found.means[cell], found.score) for cell in CELLS]
            heading = "sample" if found.is_sample else found.heading
            name, who = short(found.name, longest), _who(mine.get(found.name))
            table.append([name, heading, *scores, _ahead_in_short(found), who, naive])
        return str(tabulate.tabulate(table, header, tablefmt="simple", disable_numparse=True)).splitlines()

    for longest in range(40, 7, -1):
        table = lines(longest)
        if max(map(len, table)) <= 100:
            break
    return [line.rstrip() for line in table]


def _who(found: Answer | None) -> str:
    if found is None:
        return "–"
    return found.ahead.upper() if found.ahead in CELLS else "even" if found.ahead == "too close to tell" else "?"


def _ahead_in_short(found: Answer) -> str:
    """As `ahead_text`, shorter: what is no ratio are points; in brackets where the two are not told apart."""
    cell = found.better
    advantage = found.advantage(cell) if cell else None
    if cell is None or advantage is None:
        return found.ahead
    value, low, high = in_words(advantage, found.score.scale)
    text = f"{cell.upper()} {value}{'×' * (found.score.scale == 'ratio')} [{low}, {high}]"
    return text if found.ahead in CELLS else f"({text})"


def _labels(answers: Sequence[Answer]) -> str:
    """What studies are compared by, and up to where a difference does not matter."""
    labels: dict[str, list[str]] = {}
    margins: dict[str, list[str]] = {}
    for found in answers:
        labels.setdefault(found.score.label, []).append(found.study)
        margins.setdefault(margin_text(found.score), []).append(found.study)

    def said(by: Mapping[str, Sequence[str]]) -> str:
        return "; ".join(f"{label} ({', '.join(dict.fromkeys(studies))})" for label, studies in by.items())

    return f"{said(labels)}. Margins: {said(margins)}"


def of_studies(answers: Sequence[Answer]) -> list[Answer]:
    """The first headings of what documents studied; variants are left out, each a test of its study's own answer."""
    return [found for found in first_headings(answers) if found.setting not in documents()[found.study]["variants"]]


def in_three_sentences(answers: Sequence[Answer]) -> list[str]:
    """What the answers come to, in plain words: who is ahead where, what that is worth, and whether nets are needed."""
    decided = of_studies(answers)
    if not decided:
        return []
    settings = Counter(found.study for found in decided)

    def named(found: Sequence[Answer]) -> str:
        """A study whose settings are all among them is named once."""
        whole = Counter(one.study for one in found)
        names = (one.study if whole[one.study] == settings[one.study] else one.title for one in found)
        return listed(list(dict.fromkeys(names)))

    where: dict[str, list[Answer]] = {}
    for found in decided:
        where.setdefault(found.ahead, []).append(found)
    parts = [f"the {cell.upper()} is ahead on {named(where[cell])}" for cell in CELLS if cell in where]
    if "too close to tell" in where:
        parts.append(f"they are too close to tell on {named(where['too close to tell'])}")
    if lacking := where.get("too few repeats", []) + where.get("too little data", []):
        parts.append(f"too little is known of {named(lacking)}")
    tested = [(found, found.p) for found in decided if found.p is not None]
    family = zip((found for found, _ in tested), holm([p for _, p in tested]), strict=True)
    if alone := [found for found, p in family if found.ahead in CELLS and p >= LEVEL]:
        parts.append(f"on {named(alone)} that is open once all {len(tested)} rows are held to 5 % together (Holm)")
    first = as_sentence("; ".join(parts))
    matters = [found for found in decided if found.margin_passed]
    small = [found for found in decided if found.margin_passed is None and found.ahead in CELLS]
    second = (
        f"By more than the margin, up to which it does not matter: {named(matters)}"
        if matters
        else "Nowhere is the difference shown to be more than the margin, up to which it does not matter"
    )
    second += f"; on {named(small)} that is open." if small else "."
    beaten = {found.title: found.naive_name for found in decided if found.naive and "ahead" not in found.naive.values()}
    third = (
        "Neither is shown to beat what takes no net on "
        + listed([f"{study} ({name})" for study, name in beaten.items()])
        if beaten
        else "Wherever a row without a net has that score, one of the cells beats it"
    )
    by_rnn: dict[tuple[str, ...], list[Answer]] = {}
    for found in decided:
        by_rnn.setdefault(behind_rnn(found), []).append(found)
    by_rnn.pop((), None)
    if by_rnn:
        third += "; the plain rnn beats " + listed(f"{' and '.join(who)} on {named(on)}" for who, on in by_rnn.items())
    return [first, second, f"{third}."]


def cautions(answers: Sequence[Answer]) -> list[str]:
    """What else the readers of a table of answers must know, a sentence each."""
    said: dict[str, list[str]] = {}
    for found in answers:
        for caution in found.cautions:
            said.setdefault(caution, []).append(f"{found.title} ({found.heading})")
    return [f"{', '.join(names)}: {caution}." for caution, names in said.items()]


def answers_json(answers: Sequence[Answer]) -> list[dict[str, Any]]:
    """What plots/STUDY/answer.json holds: an object a setting, under the heading that says most about the question.

    No seconds are in it: the same scores give the same bytes.
    """
    return [
        {
            "setting": found.setting,
            "heading": found.heading,
            "score": found.score.label,
            "lstm": found.means["lstm"],
            "gru": found.means["gru"],
            "gru_minus_lstm_points" if found.score.scale == "points" else "gru_over_lstm": found.effect,
            "low": found.low,
            "high": found.high,
            "ahead": ahead_text(found),
        }
        for found in first_headings(answers)
    ]


def _score(about: Mapping[str, Any]) -> Score:
    scale = "points" if about.get("percent") else "ratio"
    margin = about.get("margin", _MARGINS[scale])
    return Score(about["label"], about["better"] == "higher", scale, margin)  # type: ignore[arg-type]


def _value(row: Row, name: str, heading: str) -> float:
    return math.nan if diverged(row) else float(score_of(row, name, heading))


def _arms(
    of_cells: Mapping[Cell, Sequence[Row]], rnn: Sequence[Row], score: str, heading: str
) -> tuple[dict[Cell, Scores], list[float], list[int]]:
    """Both cells' scores in the repeats that both have, each the mean over the settings of both.

    Also the plain rnn's scores there, NaN where it lacks a repeat, and the numbers of those repeats.
    """

    def by_place(rows: Sequence[Row]) -> dict[tuple[str, Any], Row]:
        return {(unit(row), setting_of(row)): row for row in rows}

    tables = {cell: by_place(rows) for cell, rows in of_cells.items()}
    settings = set.intersection(*({setting for _, setting in table} for table in tables.values()))
    shared = set.intersection(*(set(table) for table in tables.values()))
    units = [
        name for name in sorted({name for name, _ in shared}) if all((name, setting) in shared for setting in settings)
    ]
    seconds = _seconds_an_epoch(of_cells)
    number = {unit(row): row.repeat for rows in of_cells.values() for row in rows}

    def scores(table: Mapping[tuple[str, Any], Row]) -> list[float]:
        """A repeat each, in the order of `units`."""
        return [
            fmean(_value(table[name, setting], score, heading) for setting in settings)
            if all((name, setting) in table for setting in settings)
            else math.nan
            for name in units
        ]

    arms = {
        cell: Scores(scores(table), of_cells[cell][0].parameters, seconds.get(cell)) for cell, table in tables.items()
    }
    return arms, scores(by_place(rnn)), [number[name] for name in units]


def _unpaired(of_cells: Mapping[Cell, Sequence[Row]], heading: str) -> list[str]:
    """How many fresh repeats of a cell the other one lacks: a cell that diverges is not as good as its scores."""
    units = {cell: {unit(row) for row in rows} for cell, rows in of_cells.items()}
    shared = set.intersection(*units.values())
    said = [f"{len(mine - shared)} of the {cell.upper()}" for cell, mine in units.items() if mine - shared]
    if not said or heading not in OWN_RATE:
        return []
    return [f"left out, since the other cell lacks them (its training diverged, or is to come): {' and '.join(said)}"]


def _late(study: str, of_cells: Mapping[Cell, Sequence[Row]]) -> list[str]:
    """That most repeats of a cell still improve in their last epoch, where validation chooses one."""
    if documents()[study]["epoch_chosen_by"] is None:
        return []
    said = [f"{n} of {of} {cell.upper()}s" for cell, n, of in still_improving(of_cells.items())]
    return (
        [f"still improving in their last epoch, so that more epochs may change it: {' and '.join(said)}"]
        if said
        else []
    )


def _untuned(trials: Sequence[Row], about: Mapping[str, Any], setting: str, heading: str) -> list[str]:
    """That no trial of a cell does better than guessing, so that its own learning rate is one by chance."""
    if heading not in OWN_RATE or "chance" not in about or not about["from"].startswith("validation."):
        return []
    bound = about["chance"] + about.get("margin", _MARGINS["points"]) / 100
    best: dict[tuple[Cell, str | int], float] = {}
    for row in trials:
        if row.cell in CELLS and setting in ("", row.setting):
            place = row.cell, setting_of(row)
            value = row.validated[about["from"].partition(".")[2]]
            best[place] = max(best.get(place, 0.0), cast(float, value))
    found = {
        cell: [str(one) for (whose, one), value in sorted(best.items()) if whose == cell and value <= bound]
        for cell in CELLS
    }
    said = [f"the {cell.upper()} at {listed(ones)}" for cell, ones in found.items() if ones]
    return [f"no learning rate does better than guessing for {' and '.join(said)}"] if said else []


def _seconds_an_epoch(of_cells: Mapping[Cell, Sequence[Row]]) -> dict[Cell, float]:
    """Seconds an epoch of a repeat, mean over the settings that both cells have alike; empty where they have none.

    Alike: on one processor, by one engine. Of a setting's repeats the least, since others at work on a machine only
    ever add to it.
    """
    timed: dict[tuple[str, str], dict[Cell, dict[str, list[float]]]] = {}
    for cell, rows in of_cells.items():
        for row in rows:
            origin = row.provenance
            if origin and origin.seconds_per_epoch:
                where = timed.setdefault((origin.machine.processor, origin.machine.engine), {})
                seconds = origin.seconds_per_epoch / max(origin.repeats_at_once, 1)
                where.setdefault(cell, {}).setdefault(row.setting, []).append(seconds)
    alike = {where: set.intersection(*map(set, cells.values())) for where, cells in timed.items() if len(cells) == 2}
    if not any(alike.values()):
        return {}
    best = max(alike, key=lambda where: len(alike[where]))
    return {cell: fmean(min(seconds[one]) for one in alike[best]) for cell, seconds in timed[best].items()}


def _naive(name: str, about: Mapping[str, Any], baselines: Baselines, repeats: Sequence[int]) -> Naive | None:
    """The row without a net that validates best, so that the test part chooses nothing; else what guessing gets.

    Where texts are divided in several ways it has a score for each, and a repeat that of its own division.
    """
    scored = [row for row in baselines if row["name"] != LOWEST_POSSIBLE and row.get("test", {}).get(name) is not None]
    if scored:
        part = "validation" if all(row.get("validation", {}).get(name) is not None for row in scored) else "test"
        best = (max if about["better"] == "higher" else min)(scored, key=lambda row: row[part][name])
        tests = best.get("tests", [best["test"]])
        mine = [tests[repeat % len(tests)] for repeat in repeats] if len(tests) > 1 else tests
        return Naive(best["name"], [test[name] for test in mine])
    return Naive("guessing", [about["chance"]]) if "chance" in about else None


def of_sample_text(rows: Sequence[Row]) -> bool:
    """Whether some of the rows were scored on text that the project made."""
    return any(row.corpus == SAMPLE for row in rows)
