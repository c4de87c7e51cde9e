"""Reviews made by the project, in the raw form of aclImdb.

Every review states one opinion of a film, and many of its sentences say it in a way that their words alone do
not: negated ("was not dull"), against a concession ("although the acting was dull, ..."), or beside somebody
else's opinion or one of something else ("my friend hated it", "the book was dull"). Where praise and blame are
mixed, the more intense one counts.
"""

import random
from collections.abc import Callable, Iterator
from pathlib import Path

from stages.support.files import write_json, write_text
from stages.text.corpora.reviews_tar import write_reviews

SEED = 0  # of the text that ships; no setting, so that a sample is the same for everyone
LICENCE = """\
These reviews are made up by a program of this project and are free of any rights: nobody wrote them and no
film is meant. They have the layout of the Large Movie Review Dataset.
"""
LABEL_NOISE = 0.04  # share of the reviews whose rating contradicts their text

# Index 0 negative, 1 positive.
_ADJECTIVES = (
    ("bad", "horrible", "dull", "boring", "awful", "weak", "poor", "stupid", "terrible", "clumsy", "flat", "silly"),
    ("good", "great", "decent", "brilliant", "lovely", "strong", "fine", "clever", "superb", "moving", "fresh",
     "funny"),
)  # fmt: skip
_VERBS = ("hate", "love")
_ASPECTS = (
    "acting", "plot", "story", "music", "camera work", "ending", "cast", "script", "dialogue", "pace",
    "director", "first part", "second part",
)  # fmt: skip
_FILMS = ("film", "movie", "picture")
_OTHERS = ("book", "sequel", "original", "trailer", "remake", "other film")
_PEOPLE = ("my friend", "my wife", "my brother", "everybody else", "the man next to me", "my boss")
_WEAK = ("a bit", "slightly", "rather", "a little")
_STRONG = ("really", "absolutely", "truly", "very")
_NEUTRAL = (
    "I saw it with {person} for New Year's Eve.",
    "It runs for two hours.",
    "The director also made \"The {other}\".",
    "It will be on for weeks, they say.",
    "It could be shorter or longer; that is not the point.",
    "{person} told me about it.",
    "The story is about a doctor who moves to Paris with his dog...",
    "The story is about two thieves and an old bank (part of it is true).",
    "Part of it was shot in Rome: every wall is yellow.",
    "I read the {other} years ago.",
    "With best wishes to you all!",
    "Who wrote this? I tried hard to find out.",
)  # fmt: skip
_PLAIN = (
    "the {aspect} {time} {adjective}",
    "the {aspect} {time} {strong} {adjective}",
    "this {film} is {adjective}",
    "I {verb}{d} the {aspect}",
    "I {verb}{d} this {film}, every part of it",
    "it {time} a {adjective} {film}",
)
_NEGATED = (
    "the {aspect} {time} not {adjective}",
    "the {aspect} {time} never really {adjective}",
    "this {film} is not {adjective}",
    "I did not {verb} the {aspect}",
    "nobody could call the {aspect} {adjective}",
    "there {time} nothing {adjective} about the {aspect}",
)
_BESIDE = (  # [] is the opinion that counts
    "[], but {person} {verb}{s} it",
    "{person} {verb}{s} it, but []",
    "[], by the way I {verb}{d} the {other}",
    "the {other} {time} {adjective}, but []",
    "[]; the {other} {time} {strong} {adjective}",
    "I read that it {time} {adjective}: []",
)
_FAINT = "the {aspect} {time} {weak} {adjective}"
_FORCEFUL = "the {aspect} {time} {strong} {adjective}"


class _Reviewer:
    """Writes one review after another; polarity is 1 for a good opinion, 0 for a bad one."""

    def __init__(self, rng: random.Random) -> None:
        self._one_of = rng.choice
        self._rng = rng

    def review(self, polarity: int) -> str:
        """A review whose meaning has the given polarity."""
        units: tuple[Callable[[int], str], ...] = (self._statement, self._contrast, self._beside, self._mixed)
        count = self._rng.choices((1, 2, 3), (7, 2, 1))[0]
        sentences = [unit(polarity) for unit in self._rng.choices(units, (5, 4, 3, 2), k=count)]
        for _ in range(self._rng.choices((0, 1, 2), (6, 3, 1))[0]):
            aside = self._fill(self._one_of(_NEUTRAL))
            sentences.insert(self._rng.randrange(len(sentences) + 1), aside)
        gaps = ["<br /><br />" if self._rng.random() < 0.15 else " " for _ in sentences[1:]]
        return "".join(sentence + gap for sentence, gap in zip(map(_sentence, sentences), [*gaps, ""], strict=True))

    def _fill(self, template: str, polarity: int = 0) -> str:
        return template.format(
            adjective=self._one_of(_ADJECTIVES[polarity]),
            aspect=self._one_of(_ASPECTS),
            film=self._one_of(_FILMS),
            other=self._one_of(_OTHERS),
            person=self._one_of(_PEOPLE),
            verb=_VERBS[polarity],
            s=self._one_of("ds"),
            d=self._one_of(("", "d")),
            strong=self._one_of(_STRONG),
            weak=self._one_of(_WEAK),
            time=self._one_of(("is", "was")),
        )

    def _statement(self, polarity: int) -> str:
        if self._rng.random() < 0.8:
            return self._fill(self._one_of(_PLAIN), polarity)
        return self._fill(self._one_of(_NEGATED), 1 - polarity)

    def _contrast(self, polarity: int) -> str:
        meant, conceded = self._statement(polarity), self._statement(1 - polarity)
        return self._one_of(
            (f"{conceded}, but {meant}", f"although {conceded}, {meant}", f"{meant}, although {conceded}")
        )

    def _beside(self, polarity: int) -> str:
        elsewhere = polarity if self._rng.random() < 0.3 else 1 - polarity
        return self._fill(self._one_of(_BESIDE), elsewhere).replace("[]", self._statement(polarity))

    def _mixed(self, polarity: int) -> str:
        halves = [self._fill(_FAINT, 1 - polarity), self._fill(_FORCEFUL, polarity)]
        self._rng.shuffle(halves)
        return self._one_of((", and ", ", while ", "; ")).join(halves)


def _sentence(text: str) -> str:
    end = "" if text[-1] in ".!?" else "."
    return text[0].upper() + text[1:] + end


def reviews(count: int, rng: random.Random) -> Iterator[tuple[int, int, str]]:
    """Yield `count` different reviews as (label, rating, text), 0 and 1 in turn."""
    reviewer = _Reviewer(rng)
    seen: set[str] = set()
    while len(seen) < count:
        label = len(seen) % 2
        text = reviewer.review(label if rng.random() >= LABEL_NOISE else 1 - label)
        if text not in seen:
            seen.add(text)
            yield label, rng.randint(7, 10) if label else rng.randint(1, 4), text


def write_sample(folder: Path, *, train_reviews: int, test_reviews: int, seed: int) -> None:
    """Write reviews.tar, LICENCE.txt and provenance.json into `folder`, which must exist.

    Half of the reviews of a part are positive.
    """
    contents: list[tuple[str, bytes]] = []
    drawn = list(reviews(train_reviews + test_reviews, random.Random(seed)))
    for part, members in (("train", drawn[:train_reviews]), ("test", drawn[train_reviews:])):
        for place, (label, rating, text) in enumerate(members):
            name = f"aclImdb/{part}/{('neg', 'pos')[label]}/{place // 2}_{rating}.txt"
            contents.append((name, text.encode()))
    write_reviews(folder / "reviews.tar", contents)
    write_text(folder / "LICENCE.txt", LICENCE)
    write_json(
        folder / "provenance.json",
        {
            "corpus": "sample",
            "made_by": "stages/text/corpora/sample_imdb.py",
            "seed": seed,
            "reviews": {"train": train_reviews, "test": test_reviews},
            "label_noise": LABEL_NOISE,
        },
    )
