"""How a file's bytes become lines of text: compression, byte-order marks, UTF-16, old code pages, mixtures."""

import codecs
import gzip
import io
import math
import re
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from stages.support.process import InputError

MARK = "\N{ZERO WIDTH NO-BREAK SPACE}"  # of the byte order; some programs put a second one before it
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_NOT_TEXT = (
    (b"PK\x03\x04", "a zip archive or an Excel workbook: unpack it, or save it as CSV"),
    (b"%PDF", "a PDF: save its text"),
    (b"PAR1", "a Parquet file, compressed once more: unpack it"),
    (b"\x89HDF", "an HDF5 file: save it as CSV"),
    (b"\xd0\xcf\x11\xe0", "an old Excel or Word file: save it as CSV"),
    (b"SQLite format 3", "a database: save a table of it as CSV"),
    (b"BZh", "compressed with bzip2: unpack it, or compress it with gzip"),
    (b"\xfd7zXZ", "compressed with xz: unpack it, or compress it with gzip"),
    (b"\x93NUMPY", "a NumPy array: save it as CSV"),
    (b"\x80\x04", "a pickle, which can run any code: save its table as CSV"),
    (b"\x80\x05", "a pickle, which can run any code: save its table as CSV"),
)
_MARKUP = (  # texts of which a net would learn the tags; small letters, as they begin
    (re.compile(rb"\{\\rtf"), "an RTF document: save it as plain text"),
    (re.compile(rb"<!doctype html|<html"), "a web page: save its text, or its table as CSV"),
    (re.compile(rb"(?:%[^\n]*\s+)*@relation"), "an ARFF file: save it as CSV"),
)
_CONTROLS = bytes(set(range(1, 32)) - set(b"\b\t\n\v\f\r\x1a\x1b"))  # NUL characters are left out where they stand
_MULTIBYTE = ("cp932", "euc_jp", "gb18030", "big5", "euc_kr")
_RUSSIAN = "оеаинтсрвлкмдпуяыьгзбчйхжшюцщэфъё"
# The letters beyond ASCII of languages that a code page was used for, the most frequent first.
_LETTERS = {
    "cp1252": ("éàèêçùâôîûëïœ", "üäöß", "óíáéñúü", "ãáçéêóíõâúôà", "èàùòìé", "åäöøæé"),
    "cp1250": ("łąęóżśćńź", "íáěéřčžýšůúťďňó", "áéőöóíüúű", "čšžćđ", "ăîţşâ"),
    "cp1254": ("ıüşöğçâîû",),
    "cp1257": ("ėšąųžįčęū", "āīēšūļņķģčž"),
    "cp1251": (_RUSSIAN, "оаинітервскдлмпуязьбгчйхжєшюїцщф"),
    "koi8_r": (_RUSSIAN,),
    "cp1253": ("ατοιεςνσρκπηυμλόίάγέύωθδήφχβώξζψϊϋ",),
    "cp1255": ("יוהלאתרבמשנעכדחפקטצגםןסזךץף",),
    "cp1256": ("اليمنوترةبعدسفهكقحجشطصخضذزثئءغظأإىؤآ",),
    "cp874": ("านรอก่เ้งมยลวดิทีสตัะปบคหแุจพืูช็ข์ใไำโผณธศซถภฟฐญษฉึๆฮ",),
}
_AS_LATIN_1 = "as latin-1"  # five bytes mean nothing in cp1252: as control characters they lose no row
_CHUNK_BYTES = 1 << 20
_SAMPLE_BYTES = 200_000
_PUNCTUATION = set("‘’“”„‚«»‹›–—…•·€£¥¢§©®™°±²µ¼½¾¿¡ª´\u00a0\u00adº")


@dataclass(frozen=True)
class Encoding:
    """How to read a file's bytes.

    Attributes:
        name: Python's name of the encoding; of the lines that are not UTF-8 where `mixed`.
        compressed: Whether the file is compressed with gzip.
        mixed: Whether each line is UTF-8 where it can be, else `name`.
        guessed: Whether `name` was concluded from the look of the text.
        nul: Whether NUL characters stand in the text.
        cut_off: Whether the file ends within a character.
        other_lines: How many lines are not UTF-8, where `mixed` or `guessed`.
        first_other_line: The first of them, counted from 1.
    """

    name: str
    compressed: bool = False
    mixed: bool = False
    guessed: bool = False
    nul: bool = False
    cut_off: bool = False
    other_lines: int = 0
    first_other_line: int = 0


_UNUSUAL = 3.0
"""Nats by which a text must fit another code page better than Windows-1252: one letter alone tells hardly any apart."""


def _as_latin_1(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)
    return error.object[error.start : error.end].decode("latin-1"), error.end


codecs.register_error(_AS_LATIN_1, _as_latin_1)


def find_encoding(path: Path) -> Encoding:
    """Read a whole file's bytes and say how they are encoded.

    Raises InputError where the file is empty, no text, or a damaged gzip file.
    """
    try:
        compressed = _is_gzip(path)
        with _open(path, compressed) as file:
            head = file.read(_CHUNK_BYTES)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: can't be read: {error}") from error
    if not head.strip(b"\0 \t\r\n\xef\xbb\xbf\xff\xfe"):
        raise InputError(f"{path}: the file is empty")
    _refuse_other_formats(path, head)
    if head[257:262] == b"ustar":
        raise InputError(f"{path}: is a tar archive: unpack it, and take one of its files or their folder")
    marked = next((name for mark, name in _BOMS if head.startswith(mark)), None)
    name = marked or _utf16_without_mark(head) or "utf-8"
    if name.startswith("utf-8") and _is_binary(head):
        raise InputError(f"{path}: not a text file")
    return _try(path, Encoding(name, compressed)) or _old_code_page(path, compressed)


def lines(path: Path, encoding: Encoding) -> Iterator[str]:
    r"""The lines of a file, each with the line end that it has: \n, \r\n or \r.

    Raises InputError with the line's number where bytes do not fit the encoding.
    """
    with _open(path, encoding.compressed) as file:
        if encoding.mixed:
            yield from _mixed(file, encoding.name)
            return
        number = 0
        errors = "ignore" if encoding.cut_off else "strict"
        if encoding.guessed and encoding.name not in _MULTIBYTE:
            errors = _AS_LATIN_1
        try:
            for line in io.TextIOWrapper(file, encoding.name, newline="", errors=errors):
                number += 1
                yield line.lstrip(MARK) if number == 1 else line
        except UnicodeError as error:
            raise InputError(
                f"{path}: after line {number}: not text in the encoding {encoding.name}; save it as UTF-8"
            ) from error


def decode(content: bytes, path: Path) -> str:
    """The text of one small file, whatever its encoding; raises InputError where it is none."""
    _refuse_other_formats(path, content)
    if not _is_binary(content):
        with suppress(UnicodeDecodeError):
            return content.decode("utf-8").lstrip(MARK)
    return "".join(lines(path, find_encoding(path)))


def _refuse_other_formats(path: Path, content: bytes) -> None:
    for magic, what in _NOT_TEXT:
        if content.startswith(magic):
            raise InputError(f"{path}: is {what}")
    beginning = content[:10_000].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    for begins, what in _MARKUP:
        if begins.match(beginning):
            raise InputError(f"{path}: is {what}")


def _is_gzip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"\x1f\x8b"


def _open(path: Path, compressed: bool) -> BinaryIO:
    return cast(BinaryIO, gzip.open(path)) if compressed else path.open("rb")


def _is_binary(sample: bytes) -> bool:
    """Whether more of the bytes are control characters than of any text: of random bytes, one in eleven is."""
    return len(sample.translate(None, _CONTROLS)) < 0.98 * len(sample)


def _utf16_without_mark(head: bytes) -> str | None:
    """ASCII characters have a zero byte in UTF-16: at odd places where the low byte comes first."""
    low_first, high_first = head[1::2].count(0), head[0::2].count(0)
    for name, zeros, others in (("utf-16-le", low_first, high_first), ("utf-16-be", high_first, low_first)):
        if zeros > 10 * others and zeros * 100 > len(head) // 2:
            try:
                text = codecs.getincrementaldecoder(name)().decode(head)
            except UnicodeDecodeError:
                continue
            # Stray zero bytes of an ASCII text make rare characters of their neighbours.
            if sum(c.isprintable() or c.isspace() for c in text) > 0.95 * len(text) and (
                "\n" in text or "\r" in text or zeros * 5 > len(head)
            ):
                return name
    return None


def _try(path: Path, encoding: Encoding) -> Encoding | None:
    """The encoding with what a whole reading finds out, or None where bytes do not fit it."""
    decoder = codecs.getincrementaldecoder(encoding.name)()
    nul = False
    try:
        with _open(path, encoding.compressed) as file:
            while chunk := file.read(_CHUNK_BYTES):
                nul = "\0" in decoder.decode(chunk) or nul
    except UnicodeDecodeError:
        return None
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: the compressed file is damaged or cut off: {error}") from error
    try:
        decoder.decode(b"", final=True)
        cut_off = False
    except UnicodeDecodeError:
        cut_off = True
    return Encoding(encoding.name, encoding.compressed, nul=nul, cut_off=cut_off)


def _old_code_page(path: Path, compressed: bool) -> Encoding:
    """A file that is neither UTF-8 nor UTF-16: which encoding its other lines have."""
    utf8_lines = other_lines = first = 0
    nul = False
    sample = bytearray()
    with _open(path, compressed) as file:
        for number, line in enumerate(file, 1):
            nul = nul or b"\0" in line
            if line.isascii():
                continue
            try:
                line.decode("utf-8")
                utf8_lines += 1
            except UnicodeDecodeError:
                other_lines += 1
                first = first or number
                if len(sample) < _SAMPLE_BYTES:
                    sample += line
    name = _name_code_page(bytes(sample), path, first)
    # Two bytes of a multibyte encoding can look like a character of UTF-8.
    mixed = utf8_lines > 0 and (name not in _MULTIBYTE or utf8_lines * 20 > other_lines)
    return Encoding(
        name, compressed, mixed=mixed, guessed=True, nul=nul, other_lines=other_lines, first_other_line=first
    )


def _name_code_page(sample: bytes, path: Path, first: int) -> str:
    if _is_binary(sample):
        raise InputError(f"{path}: line {first}: not a text file")
    for name, looks_right in _LOOKS.items():
        special = [c for c in sample.decode(name, errors="ignore") if not c.isascii()]
        if _fits(sample, name) and special and looks_right(special):
            return name
    beyond_ascii = max(sum(byte > 127 for byte in sample), 1)
    return max(_LETTERS, key=lambda name: _likelihood(sample, name) - _UNUSUAL * (name != "cp1252") / beyond_ascii)


def _likelihood(sample: bytes, name: str) -> float:
    """Mean log-probability of the bytes beyond ASCII, if they are a code page's letters, some of them as capitals.

    A letter is as probable as one over its rank by frequency; what is neither a letter nor punctuation hardly is.
    """
    special = Counter(c for c in sample.decode(name, errors="replace") if not c.isascii())
    best = -math.inf
    for letters in _LETTERS[name]:
        whole = sum(1 / (rank + 2) for rank in range(len(letters)))
        chance = {letter: 0.8 / (rank + 2) / whole for rank, letter in enumerate(letters)}
        chance = {letter.upper(): 0.1 * one for letter, one in chance.items()} | chance
        total = sum(
            count * math.log(chance.get(c) or (0.03 if c in _PUNCTUATION else 0.0001)) for c, count in special.items()
        )
        best = max(best, total / special.total())
    return best


def _share(special: list[str], belongs: Callable[[str], bool]) -> float:
    letters = [c for c in special if c.isalpha()]
    return sum(map(belongs, letters)) / max(len(letters), 1)


def _looks_japanese(special: list[str]) -> bool:
    """Kana stand in any Japanese text; half-width ones are what other encodings look like."""
    return _share(special, lambda c: "ぁ" <= c <= "ヿ") > 0.15 and _share(special, lambda c: "ｦ" <= c <= "ﾟ") < 0.05


def _looks_chinese(special: list[str], name: str, first: range) -> bool:
    """Common characters stand in the first level of either standard, ordered by sound or strokes."""
    return _share(special, lambda c: (c.encode(name, "ignore") or b" ")[0] in first) > 0.8


_LOOKS: dict[str, Callable[[list[str]], bool]] = {
    "cp932": _looks_japanese,
    "euc_jp": _looks_japanese,
    "euc_kr": lambda special: _share(special, lambda c: "가" <= c <= "힣") > 0.95,
    "gb18030": lambda special: _looks_chinese(special, "gb2312", range(0xB0, 0xD8)),
    "big5": lambda special: _looks_chinese(special, "big5", range(0xA4, 0xC7)),
}


def _fits(sample: bytes, name: str) -> bool:
    try:
        sample.decode(name)
    except UnicodeDecodeError:
        return False
    return True


def _mixed(file: BinaryIO, name: str) -> Iterator[str]:
    for number, line in enumerate(file):
        if number == 0:
            line = line.removeprefix(codecs.BOM_UTF8)
        try:
            text = line.decode("utf-8")
        except UnicodeDecodeError:
            text = line.decode(name, _AS_LATIN_1)
        if "\r" in text[:-2]:
            yield from re.split(r"(?<=\r)(?!\n)", text)
        else:
            yield text
