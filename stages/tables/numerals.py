"""Numbers as people write them: decimal commas, thousands separators, currencies, per cent, 1.2M."""

import re
from collections.abc import Iterable

MISSING = frozenset(
    {"", "-", "--", "—", "–", ".", "..", "?", "na", "n/a", "#n/a", "nan", "null", "none", "nil", "<na>", r"\n"}
)
_MAGNITUDES = {"k": 1e3, "m": 1e6, "b": 1e9}
_SPACES = dict.fromkeys(map(ord, " \u00a0\u2009\u202f'’_"))
_CURRENCY = (
    r"[$€£¥₹₽]|(?:USD|EUR|GBP|CHF|JPY|CNY|INR|RUB|SEK|NOK|DKK|ISK|PLN|CZK|HUF|RON|BGN|TRY|UAH|ILS|BRL|MXN|ARS|"
    r"CLP|COP|PEN|CAD|AUD|NZD|ZAR|KRW|SGD|HKD|TWD|THB|IDR|MYR|PHP|VND|PKR|EGP|NGN|KES|SAR|AED|DEM|FRF|ITL|BTC|ETH)(?![A-Z])"
)
_DECORATION = re.compile(rf"^([-+(]?)\s*(?:{_CURRENCY})?\s*|\s*(?:{_CURRENCY})?\s*%?\s*$")
_UNIT = re.compile(rf"{_CURRENCY}|%")
_POINT = re.compile(r"(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d*)?(?:[eE][-+]?\d+)?|\.\d+(?:[eE][-+]?\d+)?")
_COMMA = re.compile(r"(?:\d{1,3}(?:\.\d{3})+|\d+)(?:,\d*)?(?:[eE][-+]?\d+)?|,\d+(?:[eE][-+]?\d+)?")
_GROUPED = re.compile(r"\d{1,3}(?:[ \u00a0\u2009\u202f'’_]\d{3})+")
_PLAIN = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?", re.ASCII)
_DIGIT = re.compile(r"\d")
_WORD = re.compile(r"[^\W\d_]{5}")  # 9.5MUSD has four letters


def is_missing(cell: str) -> bool:
    """Whether a cell says that it has no value."""
    return cell.strip().lower() in MISSING


def decimal_mark(cells: Iterable[str]) -> tuple[str | None, str | None]:
    """The decimal mark that a column's cells show, and the mark that they leave in doubt, None where there is none.

    A mark that stands last, once, and not before exactly three digits is decimal; that of `0,123` is decimal as well.
    `1,234` and `1.234` leave it in doubt.
    """
    votes = {".": 0, ",": 0}
    doubt = None
    for cell in cells:
        cell = _DECORATION.sub(r"\1", cell.rstrip("- "))
        marks = [c for c in cell if c in ".,"]
        if not marks or not any(c.isdigit() for c in cell):
            continue
        last = marks[-1]
        before, _, after = cell.rpartition(last)
        after = after.strip(" )%").rstrip("kKmMbB")
        before = before.strip(" (+-$€£")
        other = "," if last == "." else "."
        if marks.count(last) > 1:
            votes[other] += len(set(marks)) == 1
        elif len(set(marks)) == 2 or len(after) != 3 or before in ("", "0") or len(re.sub(r"\D", "", before)) > 3:
            votes[last] += 1
        else:
            doubt = last
    if votes["."] == votes[","]:
        return None, doubt
    return max(votes, key=lambda mark: votes[mark]), None


def read_number(cell: str, mark: str = ".") -> float | None:
    """The number that a cell holds, or None where it holds none.

    Args:
        cell: As written: `1,234.5`, `1.234,5` or `1 234,5` (with mark ","), `$3`, `CHF 3`, `-0.4%`, `(12)`, `12-`,
            `9.5M`.
        mark: The decimal mark.
    """
    if mark == "." and _PLAIN.fullmatch(cell):
        return _finite(cell)
    if not _DIGIT.search(cell) or _WORD.search(cell):  # most cells of a column of texts
        return None
    text = cell.strip().replace("−", "-")
    negative = text.startswith("(") and text.endswith(")")
    text = _DECORATION.sub(r"\1", text.strip("()") if negative else text)
    if text[-1:] == "-" and text[0].isdigit():  # as accountants put it
        negative, text = True, text[:-1].rstrip()
    elif text[:1] in ("-", "+"):
        negative = negative or text[0] == "-"
        text = text[1:].lstrip(" $€£¥₹₽")
    scale = 1.0
    if text[-1:].lower() in _MAGNITUDES:
        if text[-1].islower() and text[-2:-1].isspace():  # a statistical office's flag, such as b for a break
            return None
        scale = _MAGNITUDES[text[-1].lower()]
        text = text[:-1].rstrip()
    if any(ord(c) in _SPACES for c in text):
        if not _GROUPED.fullmatch(text.split(mark)[0]):
            return None
        text = text.translate(_SPACES)
    if not (_POINT if mark == "." else _COMMA).fullmatch(text):
        return None
    text = text.replace(",", "") if mark == "." else text.replace(".", "").replace(",", ".")
    number = _finite(text)
    return None if number is None else (-number if negative else number) * scale


def unit(cell: str) -> str:
    """The currency or per cent sign that `read_number` leaves out; "" where there is none."""
    found = None if _PLAIN.fullmatch(cell) else _UNIT.search(cell)
    return found[0] if found else ""


def _finite(text: str) -> float | None:
    number = float(text)
    return number if abs(number) != float("inf") else None
