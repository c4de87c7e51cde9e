"""What texts look like together: lengths, script, repetitions."""

import re
import unicodedata
from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from hashlib import blake2b

import numpy as np

from stages.tables.findings import Lengths

_WITHOUT_SPACES = frozenset({"cjk", "hiragana", "katakana", "thai", "lao", "khmer", "myanmar", "tibetan"})
_CHARACTERS_LOOKED_AT = 200_000
_TAGS = (
    "a|b|blockquote|body|br|center|code|dd|div|dl|dt|em|font|form|h[1-6]|head|hr|html|i|img|li|link|meta|ol|p|pre|"
    "script|small|span|strong|style|sub|sup|table|tbody|td|th|thead|title|tr|tt|u|ul"
)
_TAG = re.compile(rf"</?(?:{_TAGS})(?:\s[^<>]*)?/?>", re.IGNORECASE)  # and not <unk> or <s>, words of corpora
_FEW_TAGGED = 0.02


def text_key(text: str) -> int:
    """64 bits that are equal for texts that differ in case and white space alone, the same in every process.

    For finding repetitions, and for keeping them in one part of a split.
    """
    return int.from_bytes(
        blake2b(" ".join(text.casefold().split()).encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little"
    )


def script(texts: Iterable[str]) -> tuple[str, bool]:
    """The script of most letters, "" without letters, and whether spaces part words."""
    letters: Counter[str] = Counter()
    spaces = looked_at = 0
    for text in texts:
        part = text[:5000]
        looked_at += len(part)
        letters.update(filter(str.isalpha, part))
        spaces += len(part.split())
        if looked_at > _CHARACTERS_LOOKED_AT:
            break
    scripts: Counter[str] = Counter()
    for letter, count in letters.items():
        scripts[unicodedata.name(letter, "unknown").split()[0].lower()] += count
    if not scripts:
        return "", True
    unspaced = sum(count for name, count in scripts.items() if name in _WITHOUT_SPACES)
    # Texts of such a script that were parted into words beforehand have words of some three characters.
    by_spaces = unspaced * 2 < letters.total() or letters.total() < 4 * spaces
    return scripts.most_common(1)[0][0], by_spaces


def tags(texts: Sequence[str]) -> list[str]:
    """A warning where more than a few of the texts hold tags of HTML."""
    tagged = sum(bool(_TAG.search(text)) for text in texts)
    if tagged <= _FEW_TAGGED * len(texts):
        return []
    return [f"{tagged / len(texts):.0%} of the texts hold HTML tags, which are read as words"]


class Measures:
    """Lengths and keys of texts, some twenty bytes a text."""

    def __init__(self) -> None:
        self.words = array("I")
        self.characters = array("I")
        self.keys = array("Q")

    def add(self, texts: Iterable[str], *, keys: bool = True) -> None:
        """Measure texts."""
        for text in texts:
            self.words.append(len(text.split()))
            self.characters.append(len(text))
            if keys:
                self.keys.append(text_key(text))

    def lengths(self) -> tuple[Lengths, Lengths]:
        """In words and in characters."""
        return _lengths(self.words), _lengths(self.characters)

    def repetitions(self, labels: Iterable[int] | None = None) -> tuple[int, float, int]:
        """Texts that repeat an earlier one; share of a random tenth that stands in the rest; repeats of other label."""
        keys = np.frombuffer(self.keys, dtype=np.uint64)
        _, first, which, counts = np.unique(keys, return_index=True, return_inverse=True, return_counts=True)
        crossing = float((counts * (1 - 0.1 ** (counts - 1.0))).sum() / max(len(keys), 1))
        contradicting = 0
        if labels is not None:
            codes = np.fromiter(labels, dtype=np.int64, count=len(keys))
            contradicting = int((codes != codes[first[which]]).sum())
        return len(keys) - len(counts), crossing, contradicting


def _lengths(lengths: "array[int]") -> Lengths:
    values = np.frombuffer(lengths, dtype=f"u{lengths.itemsize}")
    return Lengths(float(np.median(values)), int(values.max())) if len(values) else Lengths(0.0, 0)
