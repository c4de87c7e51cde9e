"""Faults in bytes and in values, by chance."""

import copy
import random
from typing import Any

WORDS = [
    b"NaN", b"1e400", b"-1", b"0", b"null", b"true", b"9" * 5000, b"[" * 2000, b"{", b"}", b'"', b"'", b",", b":",
    b"\n", b"\r\n", b"\t", b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"\xe9", b"\\ud800", b"\xed\xa0\x80", b"<<<<<<< HEAD\n",
    b"=======\n", b">>>>>>> other\n", b"<script>", b"../..", b"&a *a", b"!!python/object:os.system", b"#", b"%", b"- ",
]  # fmt: skip
"""What has a meaning in one of the forms that are read, or in what a careless program makes of them."""

VALUES: list[Any] = [
    None, True, False, 0, 1, -1, 3, 10**6, 10**30, -(10**30), 0.5, -0.5, 1e-9, 1e300, float("nan"), float("inf"), "",
    "x", "1", "1e-3", "0-1", "0-99999999999", "é" * 300, "a\nb", "a\0b", "\ud800", "lstm", "sample", "NaN",
    "~nosuchuser", "../..", "<script>", [], [1], ["lstm", "lstm"], [[1]], {}, {"a": 1}, {"source": "file"}, [None],
    list(range(2000)),
]  # fmt: skip
"""What stands in the place of a value."""


def mutate(chance: random.Random, data: bytes) -> bytes:
    """`data` with one to three faults."""
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        data = _once(chance, data)
    return data


def _once(chance: random.Random, data: bytes) -> bytes:
    place = chance.randrange(len(data) + 1)
    end = min(len(data), place + chance.choice((1, 1, 2, 8, 64, 512)))
    before, stretch, after = data[:place], data[place:end], data[end:]
    match chance.randrange(9):
        case 0:
            return before + bytes([byte ^ 1 << chance.randrange(8) for byte in stretch[:1]]) + stretch[1:] + after
        case 1:
            return before + chance.randbytes(len(stretch)) + after
        case 2:
            return before + bytes(len(stretch)) + after
        case 3:
            return before + after
        case 4:
            return before
        case 5:
            return before + stretch + stretch + after
        case 6:
            return data + chance.choice((b"\0", data, chance.randbytes(9)))
        case 7:
            return after + before + stretch
        case _:
            return before + chance.choice(WORDS) + chance.choice((b"", stretch)) + after


def mutate_value(chance: random.Random, value: Any) -> Any:
    """A copy of what JSON or YAML can say, with one to three faults: a value, a key, an entry more or less."""
    value = copy.deepcopy(value)
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        holders = [holder for holder in _holders(value) if holder]
        if not holders:
            return chance.choice(VALUES)
        holder = chance.choice(holders)
        key = chance.choice(list(holder)) if isinstance(holder, dict) else chance.randrange(len(holder))
        match chance.randrange(6):
            case 0:
                del holder[key]
            case 1 if isinstance(holder, dict):
                name = chance.choice((f"{key}x", str(key)[:-1], "", "é", *holder))
                holder[name] = holder.pop(key)
            case 2 if isinstance(holder, list):
                holder.append(copy.deepcopy(holder[key]))
            case 3:
                holder[key] = copy.deepcopy(chance.choice([item for each in holders for item in _items(each)]))
            case 4 if isinstance(holder[key], int | float):
                holder[key] *= chance.choice((-1, 10, 1000, 0.5))
            case _:
                holder[key] = copy.deepcopy(chance.choice(VALUES))
    return value


def _items(holder: Any) -> Any:
    return holder.values() if isinstance(holder, dict) else holder


def _holders(value: Any) -> list[Any]:
    """The mappings and lists in a value, itself among them."""
    if not isinstance(value, dict | list):
        return []
    return [value, *(holder for item in _items(value) for holder in _holders(item))]
