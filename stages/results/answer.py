"""LSTM or GRU? The answer of one study under one heading, as data and as a sentence."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from stages.results.statistics import Effect, p_value, paired_effect, resampled_effect
from stages.results.verdict import LEVEL
from stages.support.words import told_apart

Cell = Literal["lstm", "gru"]
CELLS: tuple[Cell, ...] = get_args(Cell)
Ahead = Literal["lstm", "gru", "too close to tell", "too few repeats", "too little data"]
Standing = Literal["ahead", "behind", "not told apart"]
Scale = Literal["points", "ratio"]

HEADINGS = ("tuned", "equal size", "corrected", "published")
"""In the order of what they say about the question: under the first each cell has what suits it."""

FEWEST_REPEATS = 3
"""Of two, Student's t makes an interval 13 standard errors wide on either side: it says nothing."""

FEWEST_TEST_ITEMS = 20
"""Below, a share's own standard error is above 10 points, whatever the repeats agree on."""


@dataclass(frozen=True)
class Score:
    """What the cells are compared by.

    `scale`: `points` for shares, of which differences are shown in percentage points; `ratio` for positive errors,
    losses and perplexities, which are compared as logarithms and shown as times. `margin`: up to where a difference
    does not matter, in points or as a factor above 1.
    """

    label: str
    higher_is_better: bool
    scale: Scale
    margin: float


@dataclass(frozen=True)
class Scores:
    """One cell's test scores, a repeat each, in the order of the other cell's; what it costs."""

    scores: Sequence[float]
    parameters: int
    seconds_an_epoch: float | None = None


@dataclass(frozen=True)
class Naive:
    """A row without a net: its name as in "the last value", and its test score, or one a repeat where splits vary."""

    name: str
    scores: Sequence[float]


@dataclass(frozen=True)
class Answer:
    """Who is ahead in a study under a heading, by how much, and at what cost.

    `setting`: which of a study's several, or empty; `is_sample`: on text that the project made. `means`: of each
    cell's scores (geometric for ratios), the naive row's beside. `effect`, `low`, `high`: GRU less LSTM in points,
    or GRU over LSTM, with its interval, None where there is none. `margin_passed`: whether whoever is ahead is so
    by more than the margin; None: open. `level`: the interval lies within the margin. `p`: two-sided, of
    no difference. `diverged`: repeats without a finite score, left out of all else. `naive`, `rnn`: each cell beside
    the naive row, and beside the plain rnn where that was trained alike. `cautions`: what else its reader must know.
    """

    study: str
    setting: str
    is_sample: bool
    heading: str
    score: Score
    means: dict[Cell, float | None]
    effect: float | None
    low: float | None
    high: float | None
    repeats: int
    ahead: Ahead
    margin_passed: bool | None
    level: bool
    p: float | None
    parameters: dict[Cell, int]
    seconds_an_epoch: dict[Cell, float | None]
    diverged: dict[Cell, int]
    test_items: int | None = None
    naive_name: str | None = None
    naive_score: float | None = None
    naive: dict[Cell, Standing] | None = None
    rnn_score: float | None = None
    rnn: dict[Cell, Standing] | None = None
    cautions: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The study and its setting, such as `ptb basic`."""
        return f"{self.study} {self.setting}".rstrip()

    @property
    def title(self) -> str:
        """The name, and what it was measured on where that is made."""
        return self.name + " (sample text)" * self.is_sample

    @property
    def better(self) -> Cell | None:
        """The cell that is ahead, else the one whose mean is better; None where there is no difference to look at."""
        if self.ahead == "lstm" or self.ahead == "gru":
            return self.ahead
        if self.effect is None:
            return None
        no_difference = 0 if self.score.scale == "points" else 1
        return "gru" if (self.effect >= no_difference) == self.score.higher_is_better else "lstm"

    def difference(self, cell: Cell) -> tuple[float, float, float] | None:
        """The score of `cell` less the other's in points, or over it, and its interval's ends; None without one."""
        if self.effect is None or self.low is None or self.high is None:
            return None
        if cell == "gru":
            return self.effect, self.low, self.high
        value, high, low = (
            -end if self.score.scale == "points" else 1 / end for end in (self.effect, self.low, self.high)
        )
        return value, low, high

    def advantage(self, cell: Cell) -> tuple[float, float, float] | None:
        """By how many points, or how many times, `cell` does better than the other, and its interval's ends.

        0 points or once where there is no difference; None where there is no interval.
        """
        other: Cell = "lstm" if cell == "gru" else "gru"
        return self.difference(cell if self.score.higher_is_better else other)


def answer(
    study: str,
    heading: str,
    score: Score,
    lstm: Scores,
    gru: Scores,
    naive: Naive | None = None,
    rnn: Sequence[float] = (),
    *,
    setting: str = "",
    is_sample: bool = False,
    test_items: int | None = None,
    test_to_train: float | None = None,
    bootstrapped: bool = False,
    cautions: Sequence[str] = (),
) -> Answer:
    """Compare the two cells' paired repeats, and each with those of the plain rnn where there are as many.

    `test_items`: how many items the test part has. `test_to_train`: where every repeat has a split of its own, its test
    items over its training items, for the interval of `resampled_effect`. `bootstrapped`: as for `paired_effect`.
    Raises ValueError for scores that are not paired, and for a ratio of scores of which one is not positive.
    """
    tables: dict[Cell, NDArray[np.float64]] = {
        "lstm": np.asarray(lstm.scores, dtype=np.float64),
        "gru": np.asarray(gru.scores, dtype=np.float64),
    }
    repeats = len(tables["lstm"])
    if len(tables["gru"]) != repeats:
        raise ValueError(f"{study}: {repeats} scores of lstm and {len(tables['gru'])} of gru are no pairs")
    beside = np.asarray(naive.scores if naive else [], dtype=np.float64)
    if len(beside) not in (0, 1, repeats):
        raise ValueError(f"{study}: {len(beside)} scores of {naive and naive.name} beside {repeats} repeats")
    finite = {cell: np.isfinite(values) for cell, values in tables.items()}
    whole = finite["lstm"] & finite["gru"]
    lines = {cell: _to_line(study, values[whole], score.scale) for cell, values in tables.items()}
    beside = beside[whole] if len(beside) == repeats > 1 else beside
    plain = np.asarray(rnn, dtype=np.float64)
    told = whole & np.isfinite(plain) if len(plain) == repeats else np.zeros(repeats, dtype=bool)

    too_little = test_items is not None and test_items < FEWEST_TEST_ITEMS

    def compared(differences: NDArray[np.float64]) -> Effect | None:
        if too_little or len(differences) < FEWEST_REPEATS:
            return None
        if test_to_train is None:
            effect = paired_effect(differences, bootstrapped=bootstrapped)
        else:
            effect = resampled_effect(differences, test_to_train)
        # Then nothing bounds how far the next repeat may lie.
        agree_by_chance = not effect.deviation and p_value(effect) >= LEVEL
        return None if math.isnan(effect.low) or agree_by_chance else effect

    def beside_naive(line: NDArray[np.float64]) -> Standing:
        if too_little:
            return "not told apart"
        if score.scale == "ratio" and not beside.all():  # without error: a season that repeats itself exactly
            return "behind"
        return _standing(compared(line - _to_line(study, beside, score.scale)), score)

    def beside_rnn(cell: Cell) -> Standing:
        first, second = (_to_line(study, values[told], score.scale) for values in (tables[cell], plain))
        return _standing(compared(first - second), score)

    effect = compared(lines["gru"] - lines["lstm"])
    margin = score.margin / 100 if score.scale == "points" else math.log(score.margin)
    return Answer(
        study,
        setting,
        is_sample,
        heading,
        score,
        means={cell: _mean(values[whole], score.scale) for cell, values in tables.items()},
        effect=_as_read(effect.mean, score.scale) if effect else None,
        low=_as_read(effect.low, score.scale) if effect else None,
        high=_as_read(effect.high, score.scale) if effect else None,
        repeats=int(whole.sum()),
        ahead="too little data" if too_little else _ahead(effect, score),
        margin_passed=_passes(effect, margin),
        level=bool(effect and -margin <= effect.low and effect.high <= margin),
        p=p_value(effect) if effect else None,
        parameters={"lstm": lstm.parameters, "gru": gru.parameters},
        seconds_an_epoch={"lstm": lstm.seconds_an_epoch, "gru": gru.seconds_an_epoch},
        diverged={cell: int((~values).sum()) for cell, values in finite.items()},
        test_items=test_items,
        naive_name=naive.name if naive else None,
        naive_score=_mean(beside, score.scale) if naive else None,
        naive={cell: beside_naive(values) for cell, values in lines.items()} if naive else None,
        rnn_score=_mean(plain[told], score.scale) if told.any() else None,
        rnn={cell: beside_rnn(cell) for cell in CELLS} if told.any() else None,
        cautions=tuple(cautions),
    )


def sentence(answer: Answer) -> str:
    """The answer in one sentence: which cell, by how much, at what cost, and whether rnn or no net does as well."""
    parts = [*_beaten(answer), _verdict(answer), _cost(answer), *_diverged(answer), *_rnn(answer)]
    parts += [*_naive(answer), *answer.cautions]
    return f"On {answer.title}, {answer.heading}, {'; '.join(parts)}."


def _to_line(study: str, scores: NDArray[np.float64], scale: Scale) -> NDArray[np.float64]:
    """The scores where differences are to be taken: as they are, or their logarithms."""
    if scale == "points":
        return scores
    if (scores <= 0).any():
        raise ValueError(f"{study}: a ratio takes positive scores, not {scores.min()}")
    return np.asarray(np.log(scores))


def _as_read(value: float, scale: Scale) -> float:
    """A difference on the line, in points or as times."""
    return 100 * value if scale == "points" else math.exp(value)


def _mean(scores: NDArray[np.float64], scale: Scale) -> float | None:
    """The mean, for ratios the geometric one, 0 where one is; None of no scores."""
    if not len(scores):
        return None
    return float(np.exp(np.log(scores).mean()) if scale == "ratio" and scores.all() else scores.mean())


def _ahead(effect: Effect | None, score: Score) -> Ahead:
    if effect is None:
        return "too few repeats"
    match _standing(effect, score):
        case "ahead":
            return "gru"
        case "behind":
            return "lstm"
        case _:
            return "too close to tell"


def _standing(effect: Effect | None, score: Score) -> Standing:
    """How what the effect is of stands to what was taken from it."""
    if effect is None or effect.low <= 0 <= effect.high:
        return "not told apart"
    return "ahead" if (effect.low > 0) == score.higher_is_better else "behind"


def _passes(effect: Effect | None, margin: float) -> bool | None:
    if effect is None or effect.low <= 0 <= effect.high:
        return None
    nearer, further = sorted((abs(effect.low), abs(effect.high)))
    if nearer > margin:
        return True
    return False if further <= margin else None


def _beats_both(answer: Answer) -> bool:
    return answer.naive is not None and set(answer.naive.values()) == {"behind"}


def _beaten(answer: Answer) -> list[str]:
    return [f"take neither, for {_naive_row(answer)} beats both"] if _beats_both(answer) else []


def _verdict(answer: Answer) -> str:
    label = answer.score.label
    if answer.ahead == "too little data":
        return f"there is too little data to tell: {answer.test_items} to test on, where it takes {FEWEST_TEST_ITEMS}"
    if answer.ahead == "too few repeats":
        said = f"there are too few repeats to tell: {answer.repeats}"
        return f"{said}, with a {label} of {_means(answer, 'gru')} (GRU against LSTM)" if answer.repeats else said
    if answer.ahead == "too close to tell":
        said = f"the GRU's {label} is {_told(answer, 'gru')} the LSTM's {_counted(answer, 'gru')}"
        if answer.level:
            return f"it does not matter which: {said}, all within the margin of {margin_text(answer.score)}"
        return f"it is too close to tell: {said}"
    winner: Cell = answer.ahead
    other: Cell = "lstm" if winner == "gru" else "gru"
    choice = f"take the {winner.upper()}"
    if answer.margin_passed is False:
        choice = f"it hardly matters which: the {winner.upper()} is ahead"
    elif _beats_both(answer) or (answer.rnn or {}).get(winner) == "behind":
        choice = f"of the two the {winner.upper()} is ahead"
    said = f"{choice}: its {label} is {_told(answer, winner)} the {other.upper()}'s {_counted(answer, winner)}"
    if answer.margin_passed is None:
        return f"{said}, and whether by more than the margin of {margin_text(answer.score)} is open"
    return f"{said}, by {'more' if answer.margin_passed else 'less'} than the margin of {margin_text(answer.score)}"


def _means(answer: Answer, first: Cell) -> str:
    cells: tuple[Cell, Cell] = ("gru", "lstm") if first == "gru" else ("lstm", "gru")
    return " against ".join(score_text(answer.means[cell], answer.score) for cell in cells)


def _counted(answer: Answer, first: Cell) -> str:
    return f"({_means(answer, first)}, {answer.repeats} repeats)"


def _told(answer: Answer, cell: Cell) -> str:
    """Such as `4.2 points [2.0 to 6.5] above` or `0.88 times [0.83 to 0.93]`, of `cell` beside the other."""
    ends = answer.difference(cell)
    assert ends is not None
    value, low, high = ends
    if answer.score.scale == "ratio":
        value_text, low_text, high_text = in_words(ends, "ratio")
        return f"{value_text} times [{low_text} to {high_text}]"
    if value < 0:
        return f"{in_points(-value)} points [{in_points(-high)} to {in_points(-low)}] below"
    return f"{in_points(value)} points [{in_points(low)} to {in_points(high)}] above"


def _cost(answer: Answer) -> str:
    lstm, gru = (f"{answer.parameters[cell]:,}" for cell in ("lstm", "gru"))
    seconds = answer.seconds_an_epoch["gru"], answer.seconds_an_epoch["lstm"]
    if seconds[0] is None or seconds[1] is None:
        return f"the GRU has {gru} parameters, the LSTM {lstm}"
    return (
        f"the GRU has {gru} parameters and takes {in_digits(seconds[0])} s an epoch, "
        f"the LSTM {lstm} and {in_digits(seconds[1])} s"
    )


def _diverged(answer: Answer) -> list[str]:
    said = [f"{count} of the {cell.upper()}" for cell, count in answer.diverged.items() if count]
    return [f"repeats that diverged and are left out: {' and '.join(said)}"] if said else []


def behind_rnn(answer: Answer) -> tuple[str, ...]:
    """Which of the cells the plain rnn is shown to beat."""
    return tuple(cell.upper() for cell, standing in (answer.rnn or {}).items() if standing == "behind")


def _rnn(answer: Answer) -> list[str]:
    beaten = " and ".join(behind_rnn(answer))
    return [f"the plain rnn ({score_text(answer.rnn_score, answer.score)}) beats {beaten}"] if beaten else []


def _naive(answer: Answer) -> list[str]:
    if answer.naive is None or answer.naive_score is None or _beats_both(answer):
        return []
    beating = [cell.upper() for cell, standing in answer.naive.items() if standing == "ahead"]
    beaten = [cell.upper() for cell, standing in answer.naive.items() if standing == "behind"]
    if len(beating) == 2:
        return [f"both beat {_naive_row(answer)}"]
    if beating:
        return [f"only the {beating[0]} is shown to beat {_naive_row(answer)}"]
    if beaten:
        return [f"neither is shown to beat {_naive_row(answer)}, which beats the {beaten[0]}"]
    return [f"neither is shown to beat {_naive_row(answer)}"]


def _naive_row(answer: Answer) -> str:
    return f"{answer.naive_name} ({score_text(answer.naive_score, answer.score)})"


def score_text(value: float | None, score: Score) -> str:
    """A score as it is shown; a dash where no repeat has one."""
    if value is None:
        return "–"
    return f"{100 * value:.1f} %" if score.scale == "points" else in_digits(value)


def margin_text(score: Score) -> str:
    """Such as `2 points` or `1.05 times`."""
    unit = "times" if score.scale == "ratio" else "point" if score.margin == 1 else "points"
    return f"{score.margin:g} {unit}"


def ahead_text(found: Answer, by: str = "by ") -> str:
    """Such as `GRU by 4.2 points [2.0 to 6.5]`, the better mean of two that are not told apart, or what is lacking."""
    cell = found.better
    advantage = found.advantage(cell) if cell else None
    if cell is None or advantage is None:
        return found.ahead
    value, low, high = in_words(advantage, found.score.scale)
    amount = f"{value} {'points' if found.score.scale == 'points' else 'times'} [{low} to {high}]"
    return (
        f"neither ({cell.upper()} {amount})" if found.ahead == "too close to tell" else f"{cell.upper()} {by}{amount}"
    )


def in_words(advantage: tuple[float, float, float], scale: Scale) -> list[str]:
    """An advantage and its interval's ends, in so many digits that each is told from no difference."""
    return [in_points(value) if scale == "points" else told_apart(value, [1.0], in_digits) for value in advantage]


def in_points(value: float) -> str:
    """One decimal; of less than a point two digits."""
    return f"{value:.1f}" if abs(value) >= 0.95 or value == 0 else f"{value:.2g}"


def in_digits(value: float, more: int = 0) -> str:
    """Three digits or some more, and no powers of ten where a reader would rather have none."""
    rounded = float(f"{value:.{3 + more}g}")
    return f"{rounded:,.0f}" if abs(rounded) >= 100 else f"{rounded:.{3 + more}g}"
