"""A Parquet file is read as the CSV of the same table is."""

import datetime
import decimal
import json

import pandas as pd
import pytest

from stages.support.process import InputError
from stages.tables.inspect import inspect
from stages.tables.records import records, series_rows
from tests.tables.test_dirt import reviews
from tests.tables.test_real_files import OPTIONS, REAL


def read(path, **options):
    found = inspect(path, **options)
    assert found.format == "parquet"
    return found, list(records(path, found))


@pytest.mark.skipif(not REAL.is_dir(), reason="the real files are not beside this checkout")
@pytest.mark.parametrize(("name", "options"), [(name, OPTIONS[name]) for name in OPTIONS if name.endswith(".csv")])
def test_a_real_table_reads_as_its_text_does(name, options, tmp_path):
    path = tmp_path / "mine.parquet"
    pd.read_csv(REAL / name).to_parquet(path)
    text, found = inspect(REAL / name, **options), inspect(path, **options)
    assert (found.kind, found.rows, found.labels) == (text.kind, text.rows, text.labels)
    read_as = series_rows if found.kind == "series" else records
    assert list(read_as(path, found)) == list(read_as(text.path, text))


def test_types_of_every_kind_are_read(tmp_path):
    days = pd.date_range("2024-01-01", periods=120, tz="UTC")
    table = pd.DataFrame(
        {
            "when": days,
            "exact": [decimal.Decimal(day) / 8 for day in range(120)],
            "single": pd.Series([day / 4 for day in range(120)], dtype="float32"),
            "whole": pd.Series([None, *range(1, 120)], dtype="Int64"),
            "picture": [b"\x89PNG"] * 120,
            "inner": [{"depth": day * 2} for day in range(120)],
        }
    )
    path = tmp_path / "mine.parquet"
    table.to_parquet(path)
    for value, factor in {"exact": 1 / 8, "single": 1 / 4, "inner.depth": 2}.items():
        found = inspect(path, value=value, kind="series")
        rows = list(series_rows(path, found))
        assert [list(row) for _, row in rows] == [[day * factor] for day in range(120)]
        assert [time - rows[0][0] for time, _ in rows] == [day * 86_400 for day in range(120)]
    found = inspect(path, value="whole", kind="series")
    assert "picture" not in found.layout.columns
    assert found.layout.columns[0] == "when"


def test_texts_keep_line_ends_quotes_and_scripts_and_missing_cells_are_empty(tmp_path):
    pairs = [(f'{text}\n"quoted", ünï', label) for text, label in reviews(80)]
    table = pd.DataFrame(pairs, columns=["review", "label"])
    table.loc[5, "review"] = None
    path = tmp_path / "mine.parquet"
    table.to_parquet(path)
    found, got = read(path)
    assert got == pairs[:5] + pairs[6:]
    assert [(dropped.reason, dropped.rows, dropped.first) for dropped in found.dropped] == [("empty text", 1, (6,))]
    lines = tmp_path / "mine.jsonl"
    lines.write_text(
        "".join(json.dumps({"review": t, "label": label}) + "\n" for t, label in table.itertuples(index=False))
    )
    assert list(records(lines, inspect(lines))) == got


def test_a_damaged_file_is_refused_in_a_line(tmp_path):
    path = tmp_path / "mine.parquet"
    pd.DataFrame(reviews(400), columns=["review", "label"]).to_parquet(path)
    whole = path.read_bytes()
    for size in (4, 30, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        with pytest.raises(InputError, match=r"mine\.parquet: is a damaged Parquet file: [^\n]+$"):
            inspect(path)
    refusals = []
    for place in range(40, len(whole) - 40, len(whole) // 60):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
        try:
            list(records(path, inspect(path)))
        except InputError as error:
            refusals.append(str(error))
    assert refusals
    assert not any("\n" in refusal for refusal in refusals)


def test_a_file_without_rows_is_refused(tmp_path):
    path = tmp_path / "mine.parquet"
    pd.DataFrame({"review": [], "label": []}).to_parquet(path)
    with pytest.raises(InputError, match=r"mine\.parquet: row 1: a Parquet file without rows or columns$"):
        inspect(path)


def test_dates_of_days_alone_are_dates(tmp_path):
    first = datetime.date(2023, 5, 1)
    days = [first + datetime.timedelta(days=day) for day in range(200)]
    path = tmp_path / "mine.parquet"
    pd.DataFrame({"day": days, "sold": [float(day % 7) for day in range(200)]}).to_parquet(path)
    found = inspect(path)
    assert (found.kind, found.columns("date"), found.columns("value")) == ("series", ("day",), ("sold",))
    assert [row[0] for _, row in series_rows(path, found)] == [day % 7 for day in range(200)]
