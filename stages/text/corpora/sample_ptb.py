"""Text from a source whose entropy is known exactly, in the raw form of the Penn Treebank files.

A sentence is a dispatch. Its first word, a city, decides the field (finance, sport, ...) that most of its nouns,
verbs and adjectives come from; its subject decides the form of every later verb; and a dispatch from another city
may stand in brackets after the subject, after which the first field and the first subject hold again. So what must
be remembered lies many words back.

The source is a Markov chain on states that the words so far determine. Hence the probability of every word given
the whole past is known, and so is the lowest perplexity that any model can expect.
"""

import math
import random
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple, TypeAlias

from stages.support.files import write_json, write_text

SEED = 0  # of the text that ships; no setting, so that a sample is the same for everyone
LICENCE = """\
These sentences are made up by a program of this project and are free of any rights: nothing in them is news.
The files have the form of the Penn Treebank files as prepared for language models by Tomas Mikolov.
"""

END = "<eos>"  # what the end of a line counts as
UNKNOWN = "<unk>"  # a word of the text, as in the real files
FILES = {"train": "ptb.train.txt", "validation": "ptb.valid.txt", "test": "ptb.test.txt"}
OWN_FIELD = 0.8  # share of a dispatch's nouns, verbs and adjectives from its own field; the rest from any


class Field(NamedTuple):
    """Words of one field, most frequent first; nouns and verbs without their -s."""

    cities: tuple[str, ...]
    nouns: tuple[str, ...]
    verbs: tuple[str, ...]
    adjectives: tuple[str, ...]


def _field(cities: str, nouns: str, verbs: str, adjectives: str) -> Field:
    return Field(*(tuple(words.split()) for words in (cities, nouns, verbs, adjectives)))


FIELDS = (
    _field(
        "zurich frankfurt singapore",
        "bank share bond trader fund loan investor rate broker stock dividend merger",
        "sell buy price lend issue raise trade",
        "financial volatile listed foreign junk quarterly",
    ),
    _field(
        "madrid liverpool turin",
        "team coach player goal fan season match striker stadium trophy referee league",
        "score defend train win kick beat sign",
        "unbeaten injured professional fast olympic veteran",
    ),
    _field(
        "geneva boston basel",
        "doctor patient drug nurse hospital vaccine disease symptom trial surgeon clinic virus",
        "treat cure infect test heal prescribe inject",
        "clinical sick chronic rare viral surgical",
    ),
    _field(
        "detroit nagoya stuttgart",
        "car engine plant worker model dealer wheel union truck brake factory motor",
        "build assemble drive recall repair weld paint",
        "electric faulty heavy compact japanese cheap",
    ),
    _field(
        "kansas odessa bordeaux",
        "farmer crop field harvest cow tractor seed grain vineyard barn orchard pig",
        "plant grow feed harvest water plough graze",
        "dry rural organic fertile ripe muddy",
    ),
    _field(
        "hague brasilia ottawa",
        "judge court lawyer law senator bill minister vote treaty verdict committee appeal",
        "reject approve accuse amend ban sentence debate",
        "legal federal guilty corrupt strict bipartisan",
    ),
    _field(
        "vienna milan nashville",
        "singer orchestra song album critic concert composer guitar choir opera violin pianist",
        "sing record conduct compose applaud rehearse tune",
        "loud classical famous acoustic romantic melodic",
    ),
    _field(
        "oslo manila reykjavik",
        "storm flood wind river hurricane forecast cloud coast glacier volcano island earthquake",
        "destroy threaten cover soak isolate erode shake",
        "severe cold tropical icy coastal seismic",
    ),
)

_DETERMINERS = {
    "": {"the": 0.30, "its": 0.06, "his": 0.05, "their": 0.04},
    "singular": {"a": 0.17, "every": 0.05, "one": 0.04, "another": 0.03},
    "plural": {"some": 0.09, "many": 0.07, "N": 0.05, "several": 0.03, "few": 0.02},
}
_PREPOSITIONS = ("of", "for", "with", "near", "against", "without", "after", "behind")
_ADVERBS = ("often", "now", "rarely", "still", "quickly", "never", "always", "again", "finally", "soon")

Distribution: TypeAlias = list[tuple[str, float]]


class Dispatch(NamedTuple):
    """What a dispatch has settled: its field, and the number of its subject ("" before the subject)."""

    field: int
    subject: str = ""


class State(NamedTuple):
    """What the words of a sentence so far say about the next one."""

    phase: str  # city, determiner, noun, bare noun, verb, after, close
    dispatch: Dispatch | None = None  # None before the city
    clause_part: str = "subject"  # or "object": where the noun phrase under way stands
    determined: str = ""  # the number that the determiner asks of its noun
    interrupted: Dispatch | None = None  # the dispatch outside the bracket


START = State("city")


@cache
def with_s(word: str) -> str:
    """A noun's plural, a verb's third person."""
    if word.endswith(("s", "sh", "ch", "x")):
        return word + "es"
    if word.endswith("y") and word[-2] not in "aeiou":
        return word[:-1] + "ies"
    return word + "s"


def _zipf(words: Sequence[str]) -> Distribution:
    total = sum(1 / rank for rank in range(1, len(words) + 1))
    return [(word, 1 / rank / total) for rank, word in enumerate(words, start=1)]


@cache
def _words_of(kind: str, field: int) -> Distribution:
    """Nouns, verbs or adjectives: mostly from the field, else from any."""
    shares = [(1 - OWN_FIELD) / len(FIELDS) + (OWN_FIELD if i == field else 0) for i in range(len(FIELDS))]
    return [
        (word, share * probability)
        for share, words in zip(shares, FIELDS, strict=True)
        for word, probability in _zipf(getattr(words, kind))
    ]


def _choices(state: State) -> Iterator[tuple[str, float, State]]:
    """Every next word of a state, its probability, and the state that it leads to."""
    if state.phase == "city":
        field_of = {field.cities[place]: i for place in range(3) for i, field in enumerate(FIELDS)}
        for city, probability in _zipf(list(field_of)):
            yield city, probability, state._replace(phase="determiner", dispatch=Dispatch(field_of[city]))
        return
    dispatch = state.dispatch
    assert dispatch is not None

    def choose(share: float, words: Distribution, after: State) -> Iterator[tuple[str, float, State]]:
        for word, probability in words:
            yield word, share * probability, after

    def verbs(share: float) -> Iterator[tuple[str, float, State]]:
        form = with_s if dispatch.subject == "singular" else str
        words = [(form(word), probability) for word, probability in _words_of("verbs", dispatch.field)]
        return choose(share, words, state._replace(phase="determiner", clause_part="object"))

    def prepositions(share: float) -> Iterator[tuple[str, float, State]]:
        return choose(share, _zipf(_PREPOSITIONS), state._replace(phase="determiner"))

    match state.phase:
        case "determiner":
            for number, determiners in _DETERMINERS.items():
                yield from choose(1.0, list(determiners.items()), state._replace(phase="noun", determined=number))
        case "noun":
            yield from _nouns(state, dispatch, 0.7)
            bare = state._replace(phase="bare noun")
            yield UNKNOWN, 0.03, bare
            yield from choose(0.27, _words_of("adjectives", dispatch.field), bare)
        case "bare noun":
            yield from _nouns(state, dispatch, 1.0)
        case "verb":
            yield from verbs(1.0)
        case "after" if state.clause_part == "subject":
            yield from verbs(0.5)
            yield from choose(0.1, _zipf(_ADVERBS), state._replace(phase="verb"))
            if state.interrupted:
                yield from prepositions(0.4)
            else:
                yield from prepositions(0.15)
                yield "(", 0.25, State("city", interrupted=dispatch)
        case "after":
            yield from prepositions(0.2)
            yield "and", 0.2, state._replace(phase="verb")
            yield from choose(0.15, _zipf(_ADVERBS), state._replace(phase="close"))
            yield from _close(state, 0.45)
        case "close":
            yield from _close(state, 1.0)


def _nouns(state: State, dispatch: Dispatch, share: float) -> Iterator[tuple[str, float, State]]:
    singular = {"": 0.6, "singular": 1.0, "plural": 0.0}[state.determined]
    for word, probability in _words_of("nouns", dispatch.field):
        for form, number, portion in ((word, "singular", singular), (with_s(word), "plural", 1 - singular)):
            if portion:
                settled = dispatch if dispatch.subject else dispatch._replace(subject=number)
                after = state._replace(phase="after", dispatch=settled, determined="")
                yield form, share * portion * probability, after


def _close(state: State, share: float) -> Iterator[tuple[str, float, State]]:
    if state.interrupted:
        yield ")", share, State("verb", state.interrupted)
    else:
        yield END, share, START


@cache
def next_words(state: State) -> dict[str, tuple[float, State]]:
    """For every word that can follow: its probability, and the state that it leads to."""
    return {word: (probability, after) for word, probability, after in _choices(state)}


@cache
def _cumulative(state: State) -> tuple[list[str], list[float]]:
    choices = next_words(state)
    return list(choices), list(accumulate(probability for probability, _ in choices.values()))


def sentence(rng: random.Random) -> list[str]:
    """Draw one sentence, <eos> included."""
    words: list[str] = []
    state = START
    while not words or words[-1] != END:
        choices, cumulative = _cumulative(state)
        words += rng.choices(choices, cum_weights=cumulative)
        state = next_words(state)[words[-1]][1]
    return words


def surprisal(words: Iterable[str]) -> float:
    """Minus the log-probability (nats) that the source gives to whole sentences, <eos> after each.

    Raises ValueError for text that the source never writes.
    """
    total = 0.0
    state = START
    for word in words:
        if word not in next_words(state):
            raise ValueError(f"the source never writes {word!r} after {state}")
        probability, state = next_words(state)[word]
        total -= math.log(probability)
    return total


def entropy() -> float:
    """The source's entropy in nats a token: expected surprisal of a sentence over its expected length.

    What goes on inside a bracket does not depend on the dispatch outside, so it is reckoned once.
    """
    sentence_surprisal, sentence_tokens, brackets = _expected(START, END)
    bracket_surprisal, bracket_tokens, _ = _expected(START._replace(interrupted=Dispatch(0, "singular")), ")")
    return (sentence_surprisal + brackets * bracket_surprisal) / (sentence_tokens + brackets * bracket_tokens)


def _expected(start: State, last: str) -> tuple[float, float, float]:
    """From `start` to the word `last`: expected surprisal (nats), tokens and brackets, without what is inside.

    The expected visits v to the states solve v = e + Pᵀ·v, with P the transitions and e one visit to `start`.
    """
    import numpy as np

    states = [start]
    places = {start: 0}
    steps: list[tuple[int, int, float]] = []
    per_visit: list[tuple[float, float, float]] = []
    for state in states:  # which grows as states are met
        surprisal_nats = 0.0
        for word, (probability, after) in next_words(state).items():
            surprisal_nats -= probability * math.log(probability)
            if word == last:
                continue
            if word == "(":
                after = State("verb", state.dispatch)  # where the bracket's end leads
            if after not in places:
                places[after] = len(states)
                states.append(after)
            steps.append((places[after], places[state], probability))
        bracket = next_words(state).get("(", (0.0, START))[0]
        per_visit.append((surprisal_nats, 1.0, bracket))
    system = np.identity(len(states))
    for row, column, probability in steps:
        system[row, column] -= probability
    visits = np.linalg.solve(system, np.identity(len(states))[0])
    surprisal_total, tokens, brackets = visits @ np.array(per_visit)
    return float(surprisal_total), float(tokens), float(brackets)


def write_sample(folder: Path, *, train_tokens: int, validation_tokens: int, test_tokens: int, seed: int) -> None:
    """Write the three files, LICENCE.txt and provenance.json into `folder`.

    Each file ends with the sentence that reaches its number of tokens. provenance.json holds the entropy and, for
    validation and test, the perplexity of the source itself: the lowest that a model can expect there.
    """
    rng = random.Random(seed)
    sizes = {"train": train_tokens, "validation": validation_tokens, "test": test_tokens}
    texts: dict[str, list[str]] = {}
    for split, size in sizes.items():
        words: list[str] = []
        while len(words) < size:
            words += sentence(rng)
        texts[split] = words
        lines = " ".join(words).split(END)[:-1]
        write_text(folder / FILES[split], "".join(f" {line.strip()} \n" for line in lines))
    write_text(folder / "LICENCE.txt", LICENCE)
    write_json(
        folder / "provenance.json",
        {
            "corpus": "sample",
            "made_by": "stages/text/corpora/sample_ptb.py",
            "seed": seed,
            "tokens": {split: len(words) for split, words in texts.items()},
            "entropy_nats_per_token": round(entropy(), 6),
            "floor_perplexity": {
                split: round(math.exp(surprisal(texts[split]) / len(texts[split])), 6)
                for split in ("validation", "test")
            },
        },
    )
