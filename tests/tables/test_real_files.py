"""Real files that people brought, where they lie beside the checkout, and mutations of them."""

import csv
import gzip
import io
import random
from pathlib import Path

import pytest

from stages.support.process import InputError
from stages.tables.inspect import inspect
from stages.tables.records import records

REAL = Path(__file__).parents[3] / "shared" / "data" / "own"
LINES = 1200
OPTIONS = {
    "amazon_alexa.tsv": {"label": "feedback"},
    "passengers.csv": {},
    "AAPL.csv": {"value": "Close", "inputs": ["Open", "Volume"]},
    "shakespeare.txt": {},
    "moviereview.csv": {},
}

pytestmark = pytest.mark.skipif(not REAL.is_dir(), reason="the real files are not beside this checkout")


def read(path, **options):
    found = inspect(path, **options)
    return found, list(records(path, found))


def test_what_the_real_files_hold(tmp_path):
    found, got = read(REAL / "amazon_alexa.tsv", label="feedback")
    with (REAL / "amazon_alexa.tsv").open(encoding="utf-8-sig") as file:
        lines = [line.rstrip("\n").split("\t") for line in file][1:]  # no cell of this file holds a line end
    whole = [cells for cells in lines if len(cells) == 5 and cells[3].strip()]
    assert len(got) == len(whole) == found.rows
    assert [label for _, label in got] == [cells[4] for cells in whole]
    assert got[2][0] == whole[2][3].strip('"')
    assert any(warning.startswith("rating gives the label away") for warning in found.warnings)
    assert sum(dropped.rows for dropped in found.dropped) + found.rows == len(lines)

    found, got = read(REAL / "passengers.csv")
    assert (len(got), got[0], got[-1]) == (144, [112.0], [432.0])
    assert [dropped.first for dropped in found.dropped] == [(146,), (147,)]
    assert any(warning.startswith("48% of the last 30% of passengers") for warning in found.warnings)

    found, got = read(REAL / "AAPL.csv", value="Close", inputs=["Open", "Volume"])
    with (REAL / "AAPL.csv").open() as file:
        assert got == [[float(r["Close"]), float(r["Open"]), float(r["Volume"])] for r in csv.DictReader(file)]

    found, got = read(REAL / "shakespeare.txt")
    assert "".join(got) == (REAL / "shakespeare.txt").read_text()
    assert found.unit == "characters"

    found, got = read(REAL / "moviereview.csv")
    assert len(got) == 20
    assert any("too few" in warning for warning in found.warnings)


@pytest.fixture(scope="module")
def heads(tmp_path_factory):
    """The first lines of each file, and what they hold: mutations of all of it would show no more."""
    folder, found = tmp_path_factory.mktemp("heads"), {}
    for name, options in OPTIONS.items():
        (folder / name).write_bytes(b"".join((REAL / name).read_bytes().splitlines(keepends=True)[:LINES]))
        found[name] = (folder / name).read_bytes(), *read(folder / name, **options)
    return found


def table_of(name):
    lines = (REAL / name).read_text(encoding="utf-8-sig").splitlines(keepends=True)[:LINES]
    # One line of the reviews opens a quote that nothing closes; it is dropped when the file is read as it is.
    paired = [line for line in lines if line.count('"') % 2 == 0]
    return list(csv.reader(paired, delimiter="\t" if name.endswith("tsv") else ","))


def rewritten(name, **form):
    text = io.StringIO()
    csv.writer(text, **form).writerows(table_of(name))
    return text.getvalue()


def with_decimal_commas(table):
    return [[cell.replace(".", ",") if cell.replace(".", "").isdigit() else cell for cell in row] for row in table]


def swapped(name, rng):
    table = table_of(name)
    order = rng.sample(range(len(table[0])), len(table[0]))
    text = io.StringIO()
    csv.writer(text, delimiter="\t" if name.endswith("tsv") else ",").writerows(
        [row[place] if place < len(row) else "" for place in order] for row in table
    )
    return text.getvalue()


def semicolons_and_commas(name):
    text = io.StringIO()
    csv.writer(text, delimiter=";").writerows(with_decimal_commas(table_of(name)))
    return text.getvalue()


SAME = {
    "as it is": lambda raw, name, rng: raw,
    "utf-16": lambda raw, name, rng: raw.decode("utf-8-sig").encode("utf-16"),
    "utf-16 without a mark": lambda raw, name, rng: raw.decode("utf-8-sig").encode("utf-16-le"),
    "byte-order mark": lambda raw, name, rng: b"\xef\xbb\xbf" + raw.removeprefix(b"\xef\xbb\xbf"),
    "utf-32": lambda raw, name, rng: raw.decode("utf-8-sig").encode("utf-32"),
    "two byte-order marks": lambda raw, name, rng: b"\xef\xbb\xbf" * 2 + raw.removeprefix(b"\xef\xbb\xbf"),
    "NUL bytes behind": lambda raw, name, rng: raw + b"\0" * 4096,
    "gzip": lambda raw, name, rng: gzip.compress(raw),
    "line ends of Windows": lambda raw, name, rng: raw.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"),
    "line ends of an old Mac": lambda raw, name, rng: raw.replace(b"\r\n", b"\n").replace(b"\n", b"\r"),
    "NUL bytes": lambda raw, name, rng: raw[:600] + b"\0" + raw[600:],
}
SAME_TABLE = {
    "semicolons": lambda raw, name, rng: rewritten(name, delimiter=";").encode(),
    "bars": lambda raw, name, rng: rewritten(name, delimiter="|").encode(),
    "tabs, all in quotes": lambda raw, name, rng: rewritten(name, delimiter="\t", quoting=csv.QUOTE_ALL).encode(),
    "semicolons and decimal commas": lambda raw, name, rng: semicolons_and_commas(name).encode(),
    "columns in another order": lambda raw, name, rng: swapped(name, rng).encode(),
    "empty columns behind": lambda raw, name, rng: b"\n".join(
        line + (b"\t\t" if name.endswith("tsv") else b",,") for line in raw.replace(b"\r", b"").split(b"\n")
    ),
}


@pytest.mark.parametrize("mutation", [*SAME, *SAME_TABLE])
@pytest.mark.parametrize("name", OPTIONS)
def test_a_mutation_that_keeps_the_content_is_read_alike(tmp_path, heads, name, mutation):
    if name == "shakespeare.txt" and mutation in SAME_TABLE:
        pytest.skip("a text has no cells")
    raw, original, expected = heads[name]
    path = tmp_path / name
    mutated = (SAME | SAME_TABLE)[mutation](raw, name, random.Random(f"{name} {mutation}"))
    path.write_bytes(mutated)
    found, got = read(path, **OPTIONS[name])
    assert got == expected
    assert found.kind == original.kind


NOISE = [byte for byte in range(256) if byte not in b"\n\r"]


def cut(raw, rng):
    return raw[: rng.randrange(len(raw) // 3, len(raw))]


def some_lines(raw, rng, change):
    lines = raw.split(b"\n")
    for place in rng.sample(range(1, len(lines)), max(1, len(lines) // 200)):
        lines[place] = change(lines[place])
    return b"\n".join(lines)


DAMAGE = {
    "cut off": cut,
    "cut off, utf-16": lambda raw, rng: cut(raw.decode("utf-8-sig").encode("utf-16"), rng),
    "some lines halved": lambda raw, rng: some_lines(raw, rng, lambda line: line[: len(line) // 2]),
    "some quotes lost": lambda raw, rng: some_lines(raw, rng, lambda line: line.replace(b'"', b"", 1)),
    "some quotes added": lambda raw, rng: some_lines(raw, rng, lambda line: line[:4] + b'"' + line[4:]),
    "a footer": lambda raw, rng: raw + b"\n\nSource: the archive of the faculty, 2019\n",
    "lines twice": lambda raw, rng: some_lines(raw, rng, lambda line: line + b"\n" + line),
    "mixed encodings": lambda raw, rng: some_lines(raw, rng, lambda line: line.replace(b"a", b"\xe9", 1)),
    "noise": lambda raw, rng: some_lines(raw, rng, lambda line: bytes(rng.choices(NOISE, k=20))),
    "other delimiter in some lines": lambda raw, rng: some_lines(
        raw, rng, lambda line: line.replace(b"\t", b";").replace(b",", b";")
    ),
}


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("name", [name for name in OPTIONS if name != "shakespeare.txt"])
def test_damage_costs_the_damaged_rows_alone_or_the_file_is_refused(tmp_path, heads, name, damage, seed):
    """Of what is read, all but the damaged lines was there before; no row vanishes without a reason."""
    raw, _, expected = heads[name]
    raw = raw.replace(b"\r\n", b"\n")
    path = tmp_path / name
    path.write_bytes(DAMAGE[damage](raw, random.Random(f"{name} {damage} {seed}")))
    try:
        found, got = read(path, **OPTIONS[name])
    except InputError as error:
        assert "\n" not in str(error)  # noqa: PT017 - either outcome is right
        return
    known = {repr(one) for one in expected}
    foreign = [one for one in got if repr(one) not in known]
    assert len(foreign) <= raw.count(b"\n") // 200 + 1
    content = path.read_bytes()
    if damage != "cut off, utf-16":
        lines = content.count(b"\n") + (not content.endswith(b"\n"))
        assert found.rows + sum(dropped.rows for dropped in found.dropped) + 1 == lines
