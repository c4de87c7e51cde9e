"""Files with dirt: each is read right, or refused in one line that names the row."""

import codecs
import gzip
import io
import json
import pickle
import random
import tarfile
import tracemalloc
from datetime import date, datetime, timedelta

import pytest

from stages.support.process import InputError
from stages.tables.dates import read_date
from stages.tables.inspect import inspect
from stages.tables.numerals import read_number
from stages.tables.records import records

GOOD = ["what a lovely film it was", "the best that I have seen", "a great story, well told", "I would see it again"]
BAD = ["what an awful film it was", "the worst that I have seen", "a dull story, badly told", "I want my money back"]


def reviews(count, seed=0):
    """Distinct texts with their labels."""
    rng = random.Random(seed)
    both = [
        (f"{rng.choice(kind)} on day {place}", label)
        for place in range(count)
        for kind, label in ((GOOD, "pos"), (BAD, "neg"))
    ]
    return both[:count]


def table(pairs, delimiter=",", header="review,sentiment"):
    rows = [f'"{text}"{delimiter}{label}' for text, label in pairs]
    return "\n".join([header.replace(",", delimiter), *rows]) + "\n"


def archived(text):
    """A tar archive of one table."""
    content = text.encode()
    member = tarfile.TarInfo("reviews.csv")
    member.size = len(content)
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def refused(read, *content, **options):
    with pytest.raises(InputError) as raised:
        read(*content, **options)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def drops(found):
    return {dropped.reason: (dropped.rows, dropped.first) for dropped in found.dropped}


def test_messages_with_empty_columns_behind_and_spilt_cells(read):
    lines = [f"{'ham' if i % 3 else 'spam'},Message number {i} says £{i} é,,," for i in range(60)]
    lines[10] = "ham,Message ten spills, over,,"
    found, got = read("\r\n".join(["v1,v2,,,", *lines]).encode("latin-1"))
    assert (found.columns("text"), found.columns("label")) == (("v2",), ("v1",))
    assert found.layout.encoding.name in ("cp1252", "latin-1")
    assert got[5] == ("Message number 5 says £5 é", "ham")
    assert found.rows == 60


def test_air_quality_with_semicolons_decimal_commas_date_and_time_apart_and_empty_rows_below(read):
    rows = [f"{10 + h // 24:02d}/03/2004;{h % 24:02d}.00.00;{h},{h % 10};-200;;" for h in range(18, 400)]
    found, got = read("\r\n".join(["Date;Time;CO(GT);PT08;;", *rows, *[";;;;;"] * 30]), value="CO(GT)")
    assert got == [[h + h % 10 / 10] for h in range(18, 400)]
    assert found.columns("date") == ("Date", "Time")
    assert found.order == "ascending"
    assert drops(found) == {"empty row": (30, (384, 385, 386, 387, 388))}


def test_coin_prices_with_thousands_in_quotes_magnitudes_per_cent_and_newest_first(read):
    rows = [f'"Mar {d:02d}, 2019","{3994.1 + d:,.1f}","{d}.50M","-{d / 100:.2f}%"' for d in range(31, 0, -1)]
    found, got = read(
        "\ufeff" + "\n".join(['"Date","Price","Vol.","Change %"', *rows]), value="price", inputs=["Vol.", "Change %"]
    )
    assert got == [[round(3994.1 + d, 1), (d + 0.5) * 1e6, -d / 100] for d in range(1, 32)]
    assert (found.order, found.first_date, found.last_date) == ("descending", "2019-03-01", "2019-03-31")


def test_numbers_with_dirt_are_left_out_by_row(read):
    rows = [
        f'"19{80 + d // 366:02d}-{d % 12 + 1:02d}-{d // 12 % 28 + 1:02d}",{"?" if d == 40 else ""}{d / 10}'
        for d in range(300)
    ]
    found, got = read("\n".join(['"Date","Temp"', *rows]))
    assert drops(found) == {"no number in Temp": (1, (42,))}
    assert sorted(got) == [[d / 10] for d in range(300) if d != 40]


def test_months_that_are_no_dates_keep_the_order_of_the_file(read):
    rows = [f'"{1 + m // 12}-{m % 12 + 1:02d}",{266 + m}' for m in range(36)]
    found, got = read("\n".join(['"Month","Sales of shampoo"', *rows, "", "Sales of shampoo over a three year period"]))
    assert got == [[266.0 + m] for m in range(36)]
    assert found.rows + sum(d.rows for d in found.dropped) == 38


def test_year_month_day_and_hour_in_columns(read):
    rows = [
        f"{i + 1},{2010 + i // 600},{1 + i // 60 % 10},{1 + i // 24 % 28},{i % 24},{'NA' if i < 5 else i},NW"
        for i in range(24 * 28)
    ]
    found, got = read("\n".join(["No,year,month,day,hour,pm2.5,cbwd", *rows]), value="pm2.5")
    assert found.columns("date") == ("year", "month", "day", "hour")
    assert drops(found)["no value in pm2.5"] == (5, (2, 3, 4, 5, 6))
    assert len(got) == 24 * 28 - 5


def test_only_column_of_numbers_is_the_series_and_row_numbers_are_none(read):
    rows = [f'"{i + 1}",{1949 + i / 12:.6f},{100 + i}' for i in range(144)]
    found, got = read("\n".join(['"","time","value"', *rows]))
    assert got == [[100.0 + i] for i in range(144)]
    assert found.columns("date") == ("time",)


def test_a_choice_is_asked_for(read):
    prices = "\n".join(["Date,Open,Close", *(f"2019-01-{d:02d},{d}.5,{d}.7" for d in range(1, 31))])
    assert "VALUE= to one of: Open, Close" in refused(read, prices)
    assert "there are: Date, Open, Close" in refused(read, prices, value="Clsoe")
    assert "no numbers" in refused(read, prices, value="Date")
    assert read(prices, value="3")[1][0] == [1.7]
    two = "\n".join(["stars,feedback,text", *(f"{i % 5},{i % 2},{text}" for i, (text, _) in enumerate(reviews(40)))])
    assert "LABEL= to one of: stars, feedback" in refused(read, two.replace(", ", " "))
    with_titles = "\n".join(
        f"{a},{b},{i % 2}" for i, ((a, _), (b, _)) in enumerate(zip(reviews(40), reviews(40, 1), strict=True))
    )
    assert "TEXT= to one of: 1, 2" in refused(read, with_titles.replace("story, ", "story "))


def test_days_and_months_that_could_be_swapped(read):
    increasing = "\n".join(
        ["date,value", *(f"{d:02d}/{m:02d}/2019,{m}.{d:02d}" for m in range(1, 11) for d in (1, 5, 11))]
    )
    assert read(increasing)[0].order == "ascending"
    shuffled = increasing.splitlines()
    mixed = [shuffled[0], *random.Random(3).sample(shuffled[1:], 30)]
    assert read("\n".join(mixed))[1] == sorted([float(row.split(",")[1])] for row in mixed[1:])
    either = [f"{d:02d}/{m:02d}/2019,{m}" for d in range(1, 13) for m in range(1, 13)]
    random.Random(3).shuffle(either)
    assert "which the month" in refused(read, "\n".join(["date,value", *either]))


@pytest.mark.parametrize("way", ["%y.%m.%d", "%y/%m/%d", "%d.%m.%y", "%m/%d/%y", "%d %b %y", "%b %d", "%Y-%m-%d"])
@pytest.mark.parametrize("in_order", [True, False])
def test_days_however_written_stand_in_order(read, way, in_order):
    rows = [f"{date(2023, 1, 1) + timedelta(day):{way}},{day}" for day in range(365)]
    if not in_order:
        random.Random(3).shuffle(rows)
    if not in_order and way in ("%y.%m.%d", "%y/%m/%d", "%d.%m.%y", "%b %d"):  # Jan 02 may be a month of 2002
        assert "which the month" in refused(read, "\n".join(["date,value", *rows]))
        return
    found, got = read("\n".join(["date,value", *rows]))
    assert got == [[float(day)] for day in range(365)]
    assert found.order == ("ascending" if in_order else "unsorted")
    assert way == "%b %d" or not any("longer than the usual" in warning for warning in found.warnings)


@pytest.mark.parametrize("way", ["%d-%b", "%b %d"])
def test_days_that_go_on_in_a_year_that_none_names_stay_as_they_are(read, way):
    rows = [f"{date(2023, 11, 1) + timedelta(day):{way}},{1000 + day}" for day in range(500)]
    found, got = read("\n".join(["Date,Visitors", *rows]))
    assert got == [[1000.0 + day] for day in range(500)]
    assert any("order" in warning and "Date" in warning for warning in found.warnings)


def test_dates_of_two_kinds_that_give_no_order_are_refused(read):
    days = [date(2020, 1, 1) + timedelta(day) for day in range(90)]
    rows = [f"{day:%m/%d/%Y},{n}" if day.day > 12 else f"{day:%d-%m-%Y},{n}" for n, day in enumerate(days)]
    refused(read, "\n".join(["Date,Sales", *rows]))
    rows = [f"{day:%d-%m-%Y},{n}" if day.day > 12 else f"{day:%m/%d/%Y},{n}" for n, day in enumerate(days)]
    refused(read, "\n".join(["Date,Sales", *rows]))


def test_a_measured_series_does_not_begin_in_the_future(read):
    months = [f"{date(1949 + n // 12, 1 + n % 12, 1):%b-%y},{n}" for n in range(144)]
    found, _ = read("\n".join(["Month,Passengers", *months]))
    assert datetime(1, 1, 1) + timedelta(seconds=read_date("Jan-49", found.date_form) - 86_400) == datetime(1949, 1, 1)
    found, _ = read(
        "\n".join(["Month,Sales", *(month.replace("-4", "-1").replace("-5", "-2") for month in months[:96])])
    )
    assert datetime(1, 1, 1) + timedelta(seconds=read_date("Jan-19", found.date_form) - 86_400) == datetime(2019, 1, 1)


def test_a_total_below_the_rows_is_none_of_them(read):
    rows = "".join(f"KW {1 + n % 52}/{2016 + n // 52},{n}.5\n" for n in range(120))
    found, got = read(f"Week,GDP\n{rows}Total,7200\nMean:,60\n")
    assert got == [[n + 0.5] for n in range(120)]
    assert sum(dropped.rows for dropped in found.dropped) == 2
    everywhere = "".join(f"Total,{n}.5\n" for n in range(120))
    assert read(f"Region,GDP\n{everywhere}", value="GDP")[1] == [[n + 0.5] for n in range(120)]


def test_a_flag_behind_a_number_is_no_magnitude(read):
    rows = "".join(f"{2000 + n // 12}M{1 + n % 12:02},{100 + n}.5{' b' * (n == 40)}\n" for n in range(150))
    found, got = read(f"time,value\n{rows}")
    assert max(got) == [249.5]
    assert len(got) == 149
    assert sum(dropped.rows for dropped in found.dropped) == 1
    assert [read_number(cell) for cell in ("1.2M", "1.2 M", "3b", "3 b")] == [1.2e6, 1.2e6, 3e9, None]


@pytest.mark.parametrize("delimiter", [",", "\t", ";"])
def test_a_point_that_may_part_thousands_is_asked_about(read, delimiter):
    def table_of(*numbers):
        return "\n".join(
            [f"day{delimiter}sales", *(f"2023-01-{d:02d}{delimiter}{n}" for d, n in enumerate(numbers, 1))]
        )

    grouped = [f"{n:,}".replace(",", ".") for n in range(980, 1010)]
    assert "thousands separator" in refused(read, table_of(*grouped))
    assert read(table_of(*(f"{n / 100:.2f}" for n in range(98, 128))))[1][0] == [0.98]
    if delimiter != ";":
        mixed = read(table_of(*(n if n % 3 else f"{n}.125" for n in range(1, 31))))[1]
        assert mixed[:3] == [[1.0], [2.0], [3.125]]


@pytest.mark.parametrize("name", ["number_sold", "number of passengers", "sales no", "rows"])
def test_a_number_of_something_is_no_number_of_a_row(read, name):
    values = random.Random(1).sample(range(100, 900), 60)
    rows = [f"{date(2023, 1, 1) + timedelta(day)},{value}" for day, value in enumerate(values)]
    assert read("\n".join([f"date,{name}", *rows]))[1] == [[float(value)] for value in values]
    counted = [f"{place},{row}" for place, row in enumerate(rows, 1)]
    assert read("\n".join(["row number,date,value", *counted]))[0].columns("value") == ("value",)


def test_columns_that_together_are_a_date(read):
    values = [[float(i)] for i in range(96)]
    hours = [f"{date(2023, 1, 1) + timedelta(i // 24)},{i % 24 + 1},{i}" for i in reversed(range(96))]
    found, got = read("\n".join(["Date,Hour Ending,Load", *hours]))
    assert (found.columns("date"), got) == (("Date", "Hour Ending"), values)
    quarters = [f"{1990 + i // 4},{'Q' * (i % 2)}{i % 4 + 1},{i}" for i in reversed(range(96))]
    assert read("\n".join(["year,quarter,gdp", *quarters]))[1] == values
    of_a_year = [f"{1990 + i},{i % 24},{i}" for i in reversed(range(96))]  # the hour is no month
    assert read("\n".join(["fiscal year,hour of peak,load", *of_a_year]), value="load")[1] == values
    weeks = [f"{1990 + i // 52},{i % 52 + 1},{i}" for i in reversed(range(96))]
    assert read("\n".join(["year,week,cases", *weeks]))[1] == values


def test_a_text_is_one_whatever_its_suffix_and_signs(read):
    text = "".join(f"def one_{i}(a, b):\n\n    return 'a, b', {i}\n" for i in range(80))
    for name in ("prog.py", "paper.tex"):
        assert "".join(read(text, name=name, kind="language_model")[1]) == text


def test_a_byte_that_means_nothing_costs_no_row(read):
    lines = table((f"{text} café", label) for text, label in reviews(6000)).encode("cp1252").splitlines(keepends=True)
    lines[5901] = lines[5901].replace(b"caf", b"ca\x81f")
    found, got = read(b"".join(lines))
    assert found.layout.encoding.name == "cp1252"
    assert (len(got), got[5900][0][-5:]) == (6000, "ca\x81fé")


def test_several_series_in_a_file_are_refused(read):
    rows = [f"2019-01-{d:02d},{name},{d}" for d in range(1, 31) for name in ("AAPL", "MSFT", "IBM")]
    found, _ = read("\n".join(["date,Name,close", *rows]))
    assert "several series" in found.refusals[0]
    assert "Name" in found.refusals[0]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n\n\n",
        codecs.BOM_UTF8,
        b"review,sentiment\n",
        b"\0\0\0\0",
        codecs.BOM_UTF16_LE + "a,b\n".encode("utf-16-le"),
        b"{}\n",
    ],
)
def test_empty_files_are_refused(read, content):
    assert "mine.csv" in refused(read, content)


@pytest.mark.parametrize(
    "content",
    [
        b"PK\x03\x04rest",
        b"%PDF-1.4\n%\xe2",
        b"PAR1\x15",
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + random.Random(2).randbytes(300),
        gzip.compress(b"a,b\n" * 900, mtime=0)[:-20],
        pickle.dumps([["review", "sentiment"], *reviews(60)], protocol=4),
        archived(table(reviews(60))),
        gzip.compress(archived(table(reviews(9000)))),
        random.Random(0).randbytes(5000),
        gzip.compress(random.Random(1).randbytes(3_000_000)),
    ],
)
def test_what_is_no_text_is_refused(read, content):
    message = refused(read, content)
    assert "mine.csv" in message
    assert "KIND=" not in message  # nobody is asked which column of it holds what


def test_one_label_and_too_many_labels_and_a_single_column(read):
    pairs = reviews(60)
    assert "one label only" in read(table([(text, "pos") for text, _ in pairs]), label="sentiment")[0].refusals[0]
    many = [(text, f"class {place // 4}") for place, (text, _) in enumerate(reviews(240))]
    assert "60 labels; 2 to 50" in read(table(many), label="sentiment")[0].refusals[0]
    ids = [(text, f"class {place}") for place, (text, _) in enumerate(reviews(1200))]
    assert "1000 values; 2 to 50" in refused(read, table(ids), label="sentiment")
    found, got = read("text\n" + "".join(f'"{text}"\n' for text, _ in pairs))
    assert found.kind == "language_model"
    assert got == [f"{text}\n" for text, _ in pairs]
    assert "no labels" in refused(read, "text\n" + "".join(f'"{text}"\n' for text, _ in pairs), kind="classification")


def test_rows_of_a_mistyped_label_are_left_out_and_said(read):
    pairs = reviews(400)
    pairs[7] = (pairs[7][0], "positve")
    found, got = read(table(pairs))
    assert drops(found) == {"label in fewer than 3 rows": (1, (9,))}
    assert got == pairs[:7] + pairs[8:]


def test_empty_texts_missing_labels_one_word_texts_and_blank_lines(read):
    pairs = reviews(50)
    pairs[3], pairs[4], pairs[5], pairs[6] = (" ", "pos"), (pairs[4][0], ""), ("Wow", "neg"), ("😀", "pos")
    content = table(pairs).replace('"Wow"', '\n\n"Wow"')
    found, got = read(content)
    assert drops(found) == {"empty row": (2, (7, 8)), "empty text": (1, (5,)), "no label": (1, (6,))}
    assert got == pairs[:3] + pairs[5:]


def test_words_with_labels(read):
    words = [f"{'good' if i % 2 else 'bad'}{i}" for i in range(60)]
    found, got = read("word,polarity\n" + "".join(f"{word},{i % 2}\n" for i, word in enumerate(words)))
    assert found.kind == "classification"
    assert got == [(word, str(i % 2)) for i, word in enumerate(words)]


def test_a_text_of_100_000_words(read):
    pairs = reviews(40)
    pairs[9] = (" ".join(["word"] * 100_000), "pos")
    found, got = read(table(pairs))
    assert got == pairs
    assert found.words.longest == 100_000


def test_nul_bytes(read):
    pairs = reviews(40)
    found, got = read(table(pairs).replace("day 7", "day\0 7"))
    assert got == pairs
    assert any("NUL" in warning for warning in found.warnings)


def test_lines_of_two_encodings(read):
    pairs = [(f"{text} café", label) for text, label in reviews(60)]
    lines = table(pairs).splitlines(keepends=True)
    content = b"".join(line.encode("cp1252" if place % 7 == 3 else "utf-8") for place, line in enumerate(lines))
    found, got = read(content)
    assert got == pairs
    assert any("first is 4" in warning for warning in found.warnings)


def test_a_quote_that_is_never_closed_costs_one_row(read):
    pairs = reviews(60)
    lines = table(pairs).splitlines()
    lines[20] = lines[20].replace('",', ",")
    found, got = read("\n".join(lines))
    assert got == pairs[:19] + pairs[20:]
    assert [dropped.first for dropped in found.dropped] == [(21,)]


def test_quotes_that_are_only_characters(read):
    rng = random.Random(4)
    pairs = [(rng.choice(['"{}', '{} "well"', "{}"]).format(text), label) for text, label in reviews(2000)]
    found, got = read("text\tlabel\n" + "".join(f"{text}\t{label}\n" for text, label in pairs), name="mine.tsv")
    assert got == pairs
    assert found.layout.quoting == "none"


def test_tabs_in_a_csv_and_repeated_names_and_lines_above_the_header(read):
    pairs = reviews(40)
    rows = "".join(f"{text}\t{label}\t{place}\n" for place, (text, label) in enumerate(pairs))
    found, got = read(f"Reviews of 2019\n\ntext\tlabel\tlabel\n{rows}", label="label")
    assert got == pairs
    assert found.layout.columns == ("text", "label", "label (2)")
    assert found.layout.repeated_names == ("label",)
    assert drops(found)["above the table"] == (1, (1,))
    measured = "".join(f"{2000 + place},{place * place % 17}.5\n" for place in range(60))
    found, got = read(f"# Station 42\n# Degrees\nYEAR,TAVG\n{measured}")  # two columns below a line of one cell
    assert found.layout.columns == ("YEAR", "TAVG")
    assert got == [[place * place % 17 + 0.5] for place in range(60)]
    found, again = read(f"sep=;\nStation 42\nYEAR;TAVG\n{measured.replace(',', ';')}")  # as Excel says it
    assert (found.layout.columns, again) == (("YEAR", "TAVG"), got)


@pytest.mark.parametrize(
    ("content", "name"), [('""\n""\n', "mine.csv"), ("sep=;,1", "mine.tsv"), ("sep=,\n", "mine.csv")]
)
def test_a_table_without_a_row_is_refused(read, content, name):
    refused(read, content, name=name)


def test_rows_of_other_widths_are_left_out_or_the_file_is_refused(read):
    pairs = reviews(60)
    lines = table(pairs).replace('"', "").replace("story, ", "story ").splitlines()
    lines[30] += ",more"
    lines[40] = "cut"
    found, got = read("\n".join(lines))
    assert drops(found) == {"more cells than columns": (1, (31,)), "fewer cells than columns": (1, (41,))}
    assert len(got) == 58
    assert "row 3" in refused(read, "\n".join(line + ",more" * (place % 3 == 2) for place, line in enumerate(lines)))


def test_json_lines_with_a_broken_line(read):
    pairs = reviews(60)
    lines = [json.dumps({"data": {"text": text, "label": label}, "n": [1, None]}) for text, label in pairs]
    found, got = read("\n".join([*lines[:50], lines[50][:20], *lines[51:], lines[0][:9]]), name="mine.jsonl")
    assert got == pairs[:50] + pairs[51:]
    assert drops(found) == {"no JSON object": (2, (51, 61))}


def test_a_json_array_with_elements_that_are_no_objects(read):
    pairs = reviews(60)
    objects = [{"text": text, "label": label} for text, label in pairs]
    uneven = {"text": [text for text, _ in pairs], "label": ["good"]}
    several = {"train": objects, "test": objects}
    broken = ([{}, 1, "a"], [], uneven, several, {"data": [1, 2]}, {"text": "a", "label": "b"})
    for text in (
        *map(json.dumps, broken),
        json.dumps(objects)[:-1],
        '["a": 1]',
        '{"a": ' + "[" * 100_000,
        json.dumps(several, indent=1),
    ):
        assert "row 1: is JSON, but" in refused(read, text, name="mine.json")
    for spaces in (None, 2):
        dirty = [*objects[:9], "no object", None, {}, *objects[9:]]
        for held in (dirty, {"version": {"number": [1]}, "data": dirty}):
            found, got = read(json.dumps(held, indent=spaces), name="mine.json")
            assert found.format == "json array"
            assert got == pairs
            assert drops(found) == {"no JSON object": (2, (10, 11)), "empty row": (1, (12,))}
    lists = {name: [one[name] for one in objects] for name in objects[0]}
    by_row = {name: dict(zip(map(str, range(60)), cells, strict=True)) for name, cells in lists.items()}
    for held, name in ((lists, "mine.json"), (by_row, "mine.json"), (objects, "mine.jsonl"), (objects, "mine.txt")):
        assert read(json.dumps(held, indent=1), name=name)[1] == pairs


def test_lines_of_fasttext(read):
    pairs = reviews(60)
    lines = [f"__label__{label} {text}" for text, label in pairs]
    lines[7:7] = ["__label__pos __label__neg two labels", "", "no label at all", "__label__pos"]
    found, got = read("\n".join(lines), name="mine.txt")
    assert (found.kind, got) == ("classification", pairs)
    assert drops(found) == {"not one label and a text": (3, (8, 10, 11)), "empty row": (1, (9,))}


def test_folders_of_texts(read):
    pairs = [(text, label) for label in ("neg", "pos") for text, one in reviews(40) if one == label]
    files = {f"{label}/{place:03d}.txt": text for place, (text, label) in enumerate(pairs)}
    found, got = read(
        files | {"pos/.hidden": "x", "neg/empty.txt": " ", "pos/bin.txt": b"\x89PNG\0\1\2\3\xff" * 3}, name="mine"
    )
    assert found.kind == "classification"
    assert got == pairs
    assert sorted(dropped.first for dropped in found.dropped)[0] == ("neg/empty.txt",)
    assert "one/pos" not in refused(read, {f"one/{name}": text for name, text in files.items()}, name="deep")
    found, got = read({f"{place}.txt": text for place, (text, _) in enumerate(pairs * 9)}, name="flat")
    assert found.kind == "language_model"
    assert sorted(got) == sorted(f"{text}\n" for text, _ in pairs * 9)


def test_a_column_of_parts_is_said_not_to_be_read(read):
    rows = "".join(f'"{text}",{label},{("Train", "test")[n % 5 == 0]}\n' for n, (text, label) in enumerate(reviews(60)))
    found, _ = read(f"text,label,split\n{rows}", label="label")
    assert any("column split" in warning and "test, train" in warning for warning in found.warnings)
    found, _ = read("text,label,split\n" + rows.replace("Train", "Paris"), label="label")
    assert not any("divides" in warning for warning in found.warnings)


def test_repetitions_contradictions_imbalance_and_leaks(read):
    pairs = [(text, label) for text, label in reviews(200) if label == "pos"] + [
        (text, label) for text, label in reviews(20) if label == "neg"
    ]
    pairs += [(pairs[0][0].upper(), "pos"), (pairs[1][0], "neg")]
    stars = {"pos": "45", "neg": "12"}
    rng = random.Random(0)
    rows = "".join(f'"{text}",{label},{rng.choice(stars[label])},{rng.choice("ab")}\n' for text, label in pairs)
    found, got = read(f"text,label,stars,shop\n{rows}", label="label")
    assert got == pairs
    assert any(warning.startswith("stars gives the label away") for warning in found.warnings)
    (repeated,) = [
        warning for warning in found.warnings if warning.startswith(f"2 ({2 / len(pairs):.1%}) of the texts")
    ]
    assert any(warning.startswith("1 (") and "another label" in warning for warning in found.warnings)
    assert any("unbalanced" in warning for warning in found.warnings)
    # Four of the 112 rows have a twin; a tenth holds one of them without the other in 9 of 10 draws.
    assert f"{4 * 0.9 / len(pairs):.1%} of the test" in repeated


def test_texts_that_hold_their_label_are_refused(read):
    found, _ = read(table([(f"{label}: {text}", label) for text, label in reviews(80)]))
    assert "hold their label" in found.refusals[0]
    found, _ = read(
        table([(f"{text} {'neg' if place % 3 else 'pos'}", label) for place, (text, label) in enumerate(reviews(80))])
    )
    assert found.refusals == ()


def test_a_constant_series_and_a_trend(read):
    found, _ = read("value\n" + "5\n" * 50, value="value")
    assert "constant" in found.refusals[0]
    found, _ = read("value\n" + "".join(f"{i}\n" for i in range(100)), value="value")
    assert any(warning.startswith("100% of the last 30% of value") for warning in found.warnings)
    found, _ = read("value\n" + "".join(f"{i % 10}\n" for i in range(100)), value="value")
    assert not any("outside" in warning for warning in found.warnings)


def test_chinese_is_read_by_characters_unless_it_was_parted(read):
    rng = random.Random(0)
    words = ["电影", "非常", "好看", "剧情", "无聊", "演员", "喜欢", "讨厌", "故事", "音乐"]
    for joint, by_spaces in (("", False), (" ", True)):
        pairs = [(joint.join(rng.choices(words, k=12)), str(i % 2)) for i in range(60)]
        for encoding in ("utf-8", "gb18030"):
            found, got = read(table(pairs).encode(encoding))
            assert got == pairs
            assert (found.words_by_spaces, found.unit) == (by_spaces, "words" if by_spaces else "characters")


def test_numbers_between_spaces_are_a_table(read):
    found, got = read(
        "".join(f" {1900 + i}   {i % 7}.5\n" for i in range(100)).join(["year value\n", ""]), name="mine.dat"
    )
    assert got == [[i % 7 + 0.5] for i in range(100)]
    assert found.first_date == "1900-01-01"
    found, got = read("".join(f"{i % 7}.5\n" for i in range(100)), name="mine.txt")
    assert (found.kind, got[6]) == ("series", [6.5])


def test_a_header_that_leaves_out_the_row_numbers(read):
    rows = "".join(f'"{i + 1}","{text}","{label}"\n' for i, (text, label) in enumerate(reviews(50)))
    found, got = read(f'"review","sentiment"\n{rows}')
    assert found.layout.columns == ("column 1", "review", "sentiment")
    assert got == reviews(50)


def test_a_delimiter_at_each_end_leaves_the_names_where_they_are(read):
    rows = "".join(f"2010-{1 + n // 28:02}-{1 + n % 28:02},{100 + n}.65,{n % 30}," + "\n" for n in range(90))
    found, got = read(f"Date,Sales,Temp\n{rows}", value="Sales")
    assert found.layout.columns[:3] == ("Date", "Sales", "Temp")
    assert got[7] == [107.65]
    texts = "".join(f'"{text}",{label},' + "\n" for text, label in reviews(50))
    assert read(f"text,label\n{texts}")[1] == reviews(50)


@pytest.mark.parametrize(
    ("header", "row"),
    [("Datum,Wert", "{:02}.01.20{:02},100,04"), ("Wert", "{1}{0},60"), ("Jahr,Wert", "20{1},7,{0}")],
)
def test_decimal_commas_without_quotes_are_refused(read, header, row):
    rows = "\n".join(row.format(1 + n % 28, 10 + n // 28) for n in range(120))
    assert "decimal comma" in refused(read, f"{header}\n{rows}\n")


def test_titles_that_a_spreadsheet_fills_up_with_commas_stand_above_the_table(read):
    rows = "".join(f"2010-{1 + n // 28:02}-{1 + n % 28:02},{n}.5\n" for n in range(90))
    found, got = read(f"Monthly sales report,\nExported 2024-01-03 by John,\nDate,Sales\n{rows}")
    assert found.layout.columns == ("Date", "Sales")
    assert len(got) == 90
    texts = "".join(f'"{text}",{label}\n' for text, label in reviews(50))
    assert read(f"Our reviews,\n,\nreview,sentiment\n{texts}")[1] == reviews(50)


def test_a_mark_in_doubt_is_settled_by_other_columns_or_refused(read):
    days = [f"{1 + i % 28}.{1 + i // 28}.2019" for i in range(100)]
    table = "".join(f"{day};1.{100 + i};{i % 9},5\n" for i, day in enumerate(days))
    assert read(f"Datum;Wert;Grad\n{table}", value="Wert")[1] == [[1100.0 + i] for i in range(100)]
    alone = "".join(f"{day};1.{100 + i}\n" for i, day in enumerate(days))
    assert "decimal mark" in refused(read, f"Datum;Wert\n{alone}", value="Wert")
    commas = "".join(f'2019-{1 + i // 28:02d}-{1 + i % 28:02d},"1,{100 + i}"\n' for i in range(100))
    assert read(f"date,value\n{commas}")[1] == [[1100.0 + i] for i in range(100)]


def test_numbers_of_two_kinds_are_refused_with_a_row(read):
    marks = "".join(f"{i};{i % 7}{',' if i % 2 else '.'}5\n" for i in range(1000, 1100))
    assert "row 3 has '0,5'" in refused(read, f"time;value\n{marks}", value="value")
    later = "".join(f"{i};{'2019-01-01' if i > 1049 else i % 7}\n" for i in range(1000, 1100))
    assert "row 52 has '2019-01-01'" in refused(read, f"time;value\n{later}", value="value")


def test_times_with_offsets_are_compared_in_one_zone(read):
    rows = [f"2019-10-27T02:{i * 2 % 60:02d}:00{'+02:00' if i < 30 else '+01:00'},{i}" for i in range(60)]
    found, got = read("\n".join(["time,value", *rows]))
    assert (found.order, got[0], got[-1]) == ("ascending", [0.0], [59.0])


def test_memory_stays_flat_in_the_number_of_rows(tmp_path):
    peaks = []
    for count in (3_000, 30_000):
        path = tmp_path / f"{count}.csv"
        path.write_text(table(reviews(count)))
        found = inspect(path)
        tracemalloc.start()
        assert sum(1 for _ in records(path, found)) == count
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0]


def test_years_and_names_of_months_in_columns(read):
    names = [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ]
    rows = [f"{1949 + i // 12},{names[i % 12]},{100 + i}" for i in range(60)]
    found, got = read("\n".join(["year,month,passengers", *reversed(rows)]))
    assert found.columns("date") == ("year", "month")
    assert (found.order, found.refusals) == ("descending", ())
    assert got == [[100.0 + i] for i in range(60)]


def test_quoted_cells_after_a_space(read):
    pairs = [(f"{text}, really", label) for text, label in reviews(60)]
    rows = "".join(f'"{place}", "{text}", "{label}"\n' for place, (text, label) in enumerate(pairs))
    found, got = read(f'"id", "text", "label"\n{rows}')
    assert got == pairs
    assert found.layout.columns == ("id", "text", "label")
