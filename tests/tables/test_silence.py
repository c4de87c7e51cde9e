"""What could be read wrongly without a word is read right, said with its number, or refused with a cell."""

import json
import random
from datetime import date, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from scipy import stats

from stages.support.process import InputError
from stages.tables.common import Sample
from stages.tables.date_words import LANGUAGES
from stages.tables.findings import text_report
from tests.tables.test_dirt import refused, reviews, table

DAYS = [date(2019, 11, 20) + timedelta(day) for day in range(400)]
MONTHS = {
    "Italian": "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre",
    "Portuguese": "janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro",
    "Dutch": "jan. feb. mrt. apr. mei jun. jul. aug. sep. okt. nov. dec.",
    "Danish": "januar februar marts april maj juni juli august september oktober november december",
    "Swedish": "januari februari mars april maj juni juli augusti september oktober november december",
    "Polish": "stycznia lutego marca kwietnia maja czerwca lipca sierpnia września października listopada grudnia",
    "Czech": "ledna února března dubna května června července srpna září října listopadu prosince",
    "Russian": "января февраля марта апреля мая июня июля августа сентября октября ноября декабря",
    "Ukrainian": "січня лютого березня квітня травня червня липня серпня вересня жовтня листопада грудня",
    "Turkish": "Ocak ŞUBAT Mart Nisan MAYIS Haziran Temmuz Ağustos Eylül Ekim KASIM Aralık",
    "Romanian": "ianuarie februarie martie aprilie mai iunie iulie august septembrie octombrie noiembrie decembrie",
    "Hungarian": "január február március április május június július augusztus szeptember október november december",
    "French": "janv. févr. mars avr. mai juin juil. août sept. oct. nov. déc.",
    "German": "Jänner Februar März April Mai Juni Juli August September Oktober November Dezember",
}


def warned(found, *words):
    """The warnings that have all of the words."""
    return [warning for warning in found.warnings if all(word in warning for word in words)]


@pytest.mark.parametrize("language", MONTHS)
def test_months_of_many_languages_are_dates_and_no_texts(read, language):
    names = MONTHS[language].split()
    rows = [f"{day.day} {names[day.month - 1]} {day.year};{200 + place % 20}" for place, day in enumerate(DAYS)]
    found, got = read("\n".join(["quando;quanto", *reversed(rows)]))
    assert (found.columns("date"), found.order) == (("quando",), "descending")
    assert got == [[200.0 + place % 20] for place in range(400)]


def test_a_weekday_that_is_short_for_a_month_too(read):
    weekdays, months = ["lun", "mar", "mer", "gio", "ven", "sab", "dom"], MONTHS["Italian"].split()
    rows = [f"{weekdays[d.weekday()]} {d.day} {months[d.month - 1]} {d.year},{n}.5" for n, d in enumerate(DAYS)]
    found, got = read("\n".join(["quando,quanto", *rows]))
    assert found.order == "ascending"
    assert got == [[n + 0.5] for n in range(400)]


@pytest.mark.parametrize("value", ["{}", "{}.25"])
@pytest.mark.parametrize("way", ["{0.day}. {1} {0.year}", "{1} {0.year}", "令和{0.month}年{0.day}月"])
def test_dates_in_words_that_nobody_knows_are_refused_by_name(read, way, value):
    words = ["bir", "iki", "uch", "tort", "besh", "olti", "yetti", "sakkiz", "toqqiz", "on", "elf", "dvanaest"]
    rows = [f"{way.format(day, words[day.month - 1])},{value.format(n % 20)}" for n, day in enumerate(DAYS)]
    line = refused(read, "\n".join(["sana,son", *rows]))
    assert "sana" in line
    assert repr(rows[0].split(",")[0]) in line
    found, got = read("\n".join(["sana,son", *rows]), value="son")
    assert len(got) == 400
    assert warned(found, "sana", "order")
    with_texts = [
        f'{row.split(",")[0]},"{text}",{label}' for row, (text, label) in zip(rows, reviews(400), strict=True)
    ]
    assert read("\n".join(["sana,text,label", *with_texts]))[1] == reviews(400)


def test_seasons_and_numbers_of_cases_are_no_unread_dates(read):
    rows = [f"{1970 + n}/{(71 + n) % 100:02},{n % 9}.5" for n in range(45)]
    found, got = read("\n".join(["season,goals", *reversed(rows)]))
    assert (found.order, found.first_date[:4]) == ("descending", "1970")
    assert got == [[n % 9 + 0.5] for n in range(45)]
    rows = [f"2019-{n:05},{n % 9}.5" for n in range(60)]
    assert read("\n".join(["case,weight", *rows]))[1] == [[n % 9 + 0.5] for n in range(60)]


@pytest.mark.parametrize("day", ["9999-12-31 24:00", "0001-01-01 00:30+05:00"])
def test_a_date_at_an_end_of_the_calendar(read, day):
    rows = [f"{one} 00:00,{n % 13}.5" for n, one in enumerate(DAYS)] + [f"{day},3.5"]
    found, got = read("\n".join(["date,value", *rows]))
    assert len(got) == 401
    assert warned(found, "years", day[:4])


def test_titles_with_their_years_are_texts(read):
    words = [f"{first}{second}ix" for first in ("Bal", "Dor", "Fen", "Gul", "Hob") for second in "abdegiklmnoprstuvz"]
    titles = [f"{word} Returns ({1950 + n % 70})" for n, word in enumerate(words)]
    _, got = read("movie,seen\n" + "".join(f"{title},{n % 2}\n" for n, title in enumerate(titles)))
    assert got == [(title, str(n % 2)) for n, title in enumerate(titles)]


@pytest.mark.parametrize(
    ("one", "other"), [("${}", "€{}"), ("{} USD", "{} JPY"), ("{}%", "0.{}"), ("{} EUR", "{}"), ("CHF {}", "{} EUR")]
)
def test_numbers_of_two_units_are_refused_with_a_cell_of_each(read, one, other):
    cells = [(other if n in (70, 90) else one).format(n + 11) for n in range(200)]
    rows = "".join(f"{day},{cell},{n}\n" for n, (day, cell) in enumerate(zip(DAYS, cells, strict=False)))
    for options in ({"value": "price"}, {"value": "n", "inputs": ["price"]}):
        line = refused(read, f"date,price,n\n{rows}", **options)
        assert f"row 2 has {cells[0]!r}" in line
        assert f"row 72 has {cells[70]!r}" in line
    alike = "".join(f"{day},{'0' if n == 7 else one.format(n + 11)}\n" for n, day in enumerate(DAYS))
    assert read(f"date,price\n{alike}")[1] == [[0.0 if n == 7 else n + 11.0] for n in range(400)]


@pytest.mark.parametrize(
    ("written", "value"),
    [("CHF 1'{:03}.50", 1000.5), ("EUR {}", 0), ("{}-", None), ("{} PLN", 0), ("-{} kr", ...), ("$ {}", 0)],
)
def test_currencies_in_front_and_a_minus_behind(read, written, value):
    content = "date,price\n" + "".join(f"{day},{written.format(n + 1)}\n" for n, day in enumerate(DAYS))
    if value is ...:
        assert "price" in refused(read, content)
        return
    got = read(content)[1]
    assert got == [[-(n + 1.0) if value is None else n + 1 + value] for n in range(400)]


@pytest.mark.parametrize("odd", ["{} kWh", "{}*", "<{}", "1,{:02},100", "{} KWH", "~{}.5", "{} °C"])
def test_what_is_nearly_a_number_is_named_with_a_cell(read, odd):
    cells = [odd.format(n % 90 + 5) if n % 3 else str(n) for n in range(400)]
    content = "date,use\n" + "".join(f'{day},"{cell}"\n' for day, cell in zip(DAYS, cells, strict=True))
    line = refused(read, content)
    assert "use" in line
    assert f"row 3 has {cells[1]!r}" in line
    beside = "".join(f'{day},"{cell}",{n % 7}.5\n' for n, (day, cell) in enumerate(zip(DAYS, cells, strict=True)))
    found, got = read(f"date,use,temp\n{beside}")
    assert got == [[n % 7 + 0.5] for n in range(400)]
    assert warned(found, "use", f"row 3 has {cells[1]!r}")


def test_a_point_before_a_currency_is_in_doubt_as_without_it(read):
    rows = "".join(f"{day};1.{100 + n} EUR\n" for n, day in enumerate(DAYS))
    assert "1.100 EUR" in refused(read, f"date;price\n{rows}")


def test_dates_in_the_header_are_to_be_transposed(read):
    months = MONTHS["Dutch"].split()
    wide = "\n".join(
        [",".join(["Year", *months]), *(f"{1950 + n}," + ",".join("1.5" for _ in months) for n in range(60))]
    )
    assert "transpose" in refused(read, wide)
    days = [f"{day:%-m/%-d/%y}" for day in DAYS[:30]]
    countries = [
        f"{name},{','.join(str(n + k) for k in range(30))}" for n, name in enumerate(["Chad", "Mali", "Togo"] * 12)
    ]
    line = refused(read, "\n".join([",".join(["country", *days]), *countries]), kind="series")
    assert days[0] in line
    assert days[-1] in line


def test_seconds_since_1970_are_no_value(read):
    for factor in (1, 1000):
        rows = "".join(f"{(1_600_000_000 + 60 * n) * factor},{n % 17}.5\n" for n in range(100))
        found, got = read(f"ts,v\n{rows}")
        assert (found.columns("date"), found.columns("value")) == (("ts",), ("v",))
        assert got == [[n % 17 + 0.5] for n in range(100)]


def test_a_date_is_never_offered_as_a_text(read):
    rows = "".join(f"{day},{('login', 'logout')[n % 2]}\n" for n, day in enumerate(DAYS))
    line = refused(read, f"timestamp,event\n{rows}", label="event")
    assert "TEXT= to one of" not in line
    assert "timestamp" in line


def series(values, dates=DAYS):
    return "date,value\n" + "".join(f"{day},{value}\n" for day, value in zip(dates, values, strict=False))


@pytest.mark.parametrize(
    ("stand_in", "scale", "offset"),
    [
        (-999, 1, 10),
        (-9999, 30, 0),
        (99.9, 1, 5),
        (-1, 4, 3),
        (-99, 500, 0),
        (-200, 1000, 800),
        (0, 40, 500),
        (1e20, 9, 0),
    ],
)
@pytest.mark.parametrize("rows", [2, 40])
def test_a_number_that_says_no_value_is_said_with_its_rows(read, stand_in, scale, offset, rows):
    rng = random.Random(rows)
    values = [round(offset + scale * rng.random(), 3) for _ in DAYS]
    assert not warned(read(series(values))[0], "apart")
    for place in rng.sample(range(400), rows):
        values[place] = stand_in
    found, got = read(series(values))
    assert got == [[float(value)] for value in values]
    (warning,) = warned(found, "apart")
    assert f"{stand_in:g} in {rows} rows" in warning
    both = "".join(f"{day},{n % 7},{value}\n" for n, (day, value) in enumerate(zip(DAYS, values, strict=True)))
    assert warned(read(f"date,y,x\n{both}", value="y", inputs=["x"])[0], "x", f"{rows} rows lies apart")


def test_several_stand_ins_in_a_column(read):
    values = [n % 17 + 0.5 for n in range(400)]
    for place, stand_in in ((3, -999), (30, -999), (50, -9999), (70, 999.9), (90, 999.9)):
        values[place] = stand_in
    said = warned(read(series(values))[0], "apart")
    assert [next(n for n in ("-9999", "-999", "999.9") if n in one) for one in said] == ["-9999", "-999", "999.9"]


@pytest.mark.parametrize("seed", range(5))
def test_nothing_is_said_to_lie_apart_among_ordinary_numbers(read, seed):
    rng = random.Random(seed)
    for values in (
        [rng.gauss(0, 1) for _ in DAYS],
        [round(rng.lognormvariate(0, 1.5), 2) for _ in DAYS],
        [max(0, round(rng.gauss(-2, 6), 1)) for _ in DAYS],  # rain: mostly 0
        [rng.randint(-1, 1) for _ in DAYS],
        [rng.choice([0, 0, 0, 5, 10, 20, 50]) for _ in DAYS],
        [100 + sum(rng.gauss(0, 1) for _ in range(n)) for n in range(400)],
        [round(rng.paretovariate(1.2), 3) for _ in DAYS],
        [n % 12 * 900 / 11 for n in range(400)],
    ):
        assert not warned(read(series(values))[0], "apart")


@pytest.mark.parametrize(
    ("names", "column"), [(["Ulm", "Rom", "Bern"], "place"), ([2, 9, 4], "place"), ([1, 2, 3], "site_id")]
)
def test_stations_one_after_the_other_are_said_or_refused(read, names, column):
    values = [n % 13 + 0.5 for n in range(400)]
    place_of = [names[n // 140] for n in range(400)]
    rows = [f"{day},{value},{place}" for day, value, place in zip(DAYS, values, place_of, strict=True)]
    found, got = read("\n".join([f"date,value,{column}", *rows]), value="value")
    assert got == [[value] for value in values]
    (warning,) = warned(found, column)
    assert "3 blocks" in warning
    hours = [
        f"{DAYS[n % 140]} {n // 140:02}:00,{value},{place}"
        for n, (value, place) in enumerate(zip(values, place_of, strict=True))
    ]
    found, _ = read("\n".join([f"date,value,{column}", *hours]), value="value")
    assert "anew" in found.refusals[0]
    assert column in found.refusals[0]
    same = [f"{DAYS[n % 140]},{value},{place}" for n, (value, place) in enumerate(zip(values, place_of, strict=True))]
    found, _ = read("\n".join([f"date,value,{column}", *same]), value="value")
    assert column in found.refusals[0]


def test_what_changes_beside_a_series_is_no_station(read):
    total = 0
    rows = []
    for n, day in enumerate(DAYS):
        total += n % 40 == 0
        rows.append(f"{day},{n % 13}.5,{total},{day:%B},{('wet', 'dry')[n % 3 == 0]},{('train', 'test')[n > 300]}")
    found, _ = read("\n".join(["date,value,total,month,sky,split", *rows]), value="value")
    assert not warned(found, "blocks")
    assert found.refusals == ()


def times(hours):
    start = datetime(2020, 1, 1)
    return [start + timedelta(hours=hour) for hour in hours]


def test_uneven_steps_are_said_however_many(read):
    values = [n % 13 + 0.5 for n in range(400)]
    for share in (0.02, 0.3, 0.7):
        rng = random.Random(1)
        hours = [0]
        while len(hours) < 400:
            hours.append(hours[-1] + (rng.choice([5, 30, 500]) if rng.random() < share else 1))
        found, _ = read(series(values, times(hours)))
        longer = sum(b - a > 1 for a, b in pairwise(hours))
        if share == 0.02:
            assert warned(found, f"{longer} steps", "longer")
        else:
            assert warned(found, "uneven", "1 hour", f"{500 / 24:.3g} days")
    quick = [n if n < 200 else 200 + (n - 200) / 60 for n in range(400)]
    assert warned(read(series(values, times(quick)))[0], "uneven", "1 minute", "1 hour")
    few = list(range(190)) + [190 + n / 2 for n in range(6)] + [193 + n for n in range(100)]
    assert warned(read(series(values, times(few)))[0], "6 steps", "shorter")


def test_even_steps_are_not_said_to_be_uneven(read):
    values = [n % 13 + 0.5 for n in range(400)]
    working = [day for day in DAYS if day.weekday() < 5]
    months = [date(2000 + n // 12, n % 12 + 1, 1) for n in range(200)]
    weeks = [
        f"{day.isocalendar().year}-W{day.isocalendar().week:02}"
        for day in (DAYS[0] + timedelta(7 * n) for n in range(300))
    ]
    for dates in (DAYS, working, months, weeks, times(range(400)), range(1700, 2000)):
        found, _ = read(series(values, dates), value="value")
        assert found.first_date
        assert not warned(found, "step")
    without = [day for n, day in enumerate(working) if n not in (50, 90)]  # holidays
    assert warned(read(series(values, without))[0], "2 steps", "longer")


def test_dates_are_shown_as_they_are_read(read):
    values = [n % 13 + 0.5 for n in range(60)]
    months = [date(2015 + n // 12, n % 12 + 1, 1) for n in range(60)]
    found, _ = read(series(values, [f"{day:%d/%m/%Y}" for day in months]))
    assert any("from 2015-01-01 to 2019-12-01" in line for line in text_report(found))
    weeks = read(series(values, [f"{2016 + n // 52}-W{n % 52 + 1:02}" for n in range(60)]))[0]
    assert (weeks.first_date, weeks.last_date) == (
        f"{date.fromisocalendar(2016, 1, 1)}",
        f"{date.fromisocalendar(2017, 8, 1)}",
    )
    late = read(series(values, [f"{day:%d/%m}/{day.year + 543}" for day in months]))[0]
    assert warned(late, "2558", "2562")


@pytest.mark.parametrize("quote", ["", "'"])
@pytest.mark.parametrize("commas", [1, 2, 3])
@pytest.mark.parametrize("label_first", [False, True])
def test_texts_are_not_cut_at_commas_without_quotes(read, commas, quote, label_first):
    pairs = [(text.replace(",", "").replace(" ", ", ", commas), label) for text, label in reviews(90)]
    rows = [
        f"{label},{quote}{text}{quote}" if label_first else f"{quote}{text}{quote},{label}" for text, label in pairs
    ]
    header = "label,text" if label_first else "text,label"
    line = refused(read, "\n".join([header, *rows]))
    assert f"2 columns and the rows have {2 + commas}" in line
    mixed = [row if n % 3 else row.replace(", ", " ") for n, row in enumerate(rows)]
    refused(read, "\n".join([header, *mixed]))
    quoted = "".join(f'"{text}",{label}\n' for text, label in pairs)
    assert read(f"text,label\n{quoted}")[1] == pairs


def test_names_of_rows_as_r_writes_them_are_none_of_the_columns(read):
    cars = ["Mazda RX4 Wag", "Datsun 710", "Hornet Sportabout", "Valiant", "Merc 240D"]
    rows = [f'"{cars[n % 5]}{n}",{n % 7}.5,{n}' for n in range(60)]
    assert read("\n".join(['"mpg","weight"', *rows]), value="mpg")[1] == [[n % 7 + 0.5] for n in range(60)]


@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_files_put_together_with_their_headers(read, mark):
    pairs = reviews(900)
    for parts in (3, 6, 90):
        size = 900 // parts
        content = "".join(
            mark + "text,label\n" + "".join(f'"{text}",{label}\n' for text, label in pairs[start : start + size])
            for start in range(0, 900, size)
        )
        found, got = read(content)
        assert got == pairs
        assert [(d.rows, d.first[0]) for d in found.dropped] == [(parts - 1, size + 2)]
    days = [(f"{DAYS[n]}", f"{n % 9}.5") for n in range(400)]
    rows = [("date", "value"), *days[:200], ("date", "value"), *days[200:]]
    found, got = read("\n".join(map(",".join, rows)))
    assert got == [[n % 9 + 0.5] for n in range(400)]
    assert not warned(found, "within the series")


def test_a_first_row_that_recurs_beside_others_of_its_label_is_no_header(read):
    pairs = [("so good", "pos"), *reviews(60), ("so good", "pos")]
    found, got = read("".join(f'"{text}",{label}\n' for text, label in pairs))
    assert got == pairs
    assert not found.layout.header


@pytest.mark.parametrize("mark", [",", ";", "|", " / ", " + "])
def test_labels_that_are_sets_are_said_to_be_taken_whole(read, mark):
    rng = random.Random(2)
    sets = [mark.join(sorted(rng.sample(["action", "comedy", "drama"], rng.choice([1, 2, 3])))) for _ in range(200)]
    texts = [text for text, _ in reviews(200)]
    found, got = read(table(zip(texts, (f'"{one}"' for one in sets), strict=True)), label="sentiment")
    assert got == list(zip(texts, sets, strict=True))
    (warning,) = warned(found, "sets")
    assert any(one in warning for one in sets if mark in one)
    lines = [json.dumps({"text": text, "tags": one.split(mark)}) for text, one in zip(texts, sets, strict=True)]
    assert warned(read("\n".join(lines), name="mine.jsonl", label="tags")[0], "sets", '["')


@pytest.mark.parametrize(
    "labels", [["very good", "very bad"], ["5 out of 5", "1 out of 5"], ["yes/no", "maybe"], ["[1]", "[2]"]]
)
def test_labels_of_several_words_are_no_sets(read, labels):
    found, _ = read(table((text, f'"{labels[n % 2]}"') for n, (text, _) in enumerate(reviews(60))))
    assert not warned(found, "sets")


@pytest.mark.parametrize("cell", ["NA", "\\N", "NaN", "null", ""])
def test_rows_that_lose_their_label_are_said_with_the_cell(read, cell):
    pairs = [(text, ("Europe", "Asia", cell)[n % 3]) for n, (text, _) in enumerate(reviews(300))]
    found, got = read(table(pairs), label="sentiment")
    assert got == [pair for pair in pairs if pair[1] != cell]
    assert warned(found, "100 (33.3%)", f"'{cell}'" if cell else "empty cell")
    one = [(text, cell if n == 7 else label) for n, (text, label) in enumerate(reviews(300))]
    found, got = read(table(one))
    assert not warned(found, "label", "left out")
    assert [d.rows for d in found.dropped] == [1]


def test_texts_with_tags_are_said_and_files_of_tags_refused(read):
    tagged = [
        (f"<p>{text}<br /> indeed</p>" if n % 4 == 0 else text, label) for n, (text, label) in enumerate(reviews(80))
    ]
    found, got = read(table(tagged))
    assert got == tagged
    assert warned(found, "25%", "HTML")
    assert not warned(read(table([(f"{text} <3 if a<b", label) for text, label in reviews(80)]))[0], "HTML")
    assert not warned(read(table([(f"{text} <unk> </s>", label) for text, label in reviews(80)]))[0], "HTML")
    prose = "\n".join(text for text, _ in reviews(200))
    for content, name in (
        (f"<!DOCTYPE html>\n<html><body>{prose}</body></html>", "mine.txt"),
        (f"\ufeff \n<HTML lang='en'><table><tr><td>{prose}</table></HTML>", "mine.xls"),
        ("{\\rtf1\\ansi " + prose + "}", "mine.txt"),
        ("% comment\n\n@RELATION reviews\n@attribute text string\n@attribute class {a,b}\n@data\n'x',a\n", "mine.arff"),
    ):
        assert "save" in refused(read, content, name=name)
    refused(read, {f"{n}.html": f"<html>{text}</html>" for n, (text, _) in enumerate(reviews(40))}, name="pages")


def test_a_text_whose_lines_or_files_may_have_labels(read):
    pairs = [(text.replace(",", ""), {"pos": "+1", "neg": "-1"}[label]) for text, label in reviews(200)]
    lines = "".join(f"{label} {text}\n" for text, label in pairs)
    line = refused(read, lines, name="mine.txt")
    assert "+1, -1" in line
    assert "".join(read(lines, name="mine.txt", kind="language_model")[1]) == lines
    verses = "".join(f"{n % 40 + 1} {text.replace(',', '')}\n" for n, (text, _) in enumerate(reviews(200)))
    assert "".join(read(verses, name="mine.txt")[1]) == verses
    files = {f"{name}.txt": "\n".join(text for text, label in reviews(200) if label == name) for name in ("pos", "neg")}
    assert warned(read(files, name="two")[0], "2 files")
    assert not warned(read(files, name="said", kind="language_model")[0], "2 files")
    assert not warned(read({f"{n}.txt": text for n, (text, _) in enumerate(reviews(90))}, name="many")[0], "files")


def test_the_document_names_the_languages_of_dates():
    document = (Path(__file__).parents[2] / "docs" / "own-data.md").read_text(encoding="utf-8")
    assert [language for language in LANGUAGES if language not in document] == []


@pytest.mark.parametrize("period", [2, 3, 4, 5, 8, 16])
def test_what_stands_in_every_other_or_nth_row_is_looked_at_in_its_share(period):
    drawn = Sample(500)
    for start in range(0, 20_000, 1000):
        drawn.add(range(start, start + 1000))
    assert 500 <= len(drawn.items) <= 1000
    assert drawn.items == sorted(set(drawn.items))
    spread = stats.chisquare([sum(place % period == phase for place in drawn.items) for phase in range(period)])
    assert spread.pvalue > 0.001
    few = Sample(500)
    few.add("ab")
    assert few.items == ["a", "b"]


def test_a_text_whose_every_second_line_is_blank_is_of_its_script(read):
    lines = ["".join(random.Random(n).choices("天地玄黃宇宙洪荒日月盈昃辰宿列張", k=30)) for n in range(3000)]
    found, got = read("\n\n".join(lines), "poem.txt")
    assert (found.script, found.words_by_spaces, found.unit) == ("cjk", False, "characters")
    assert "".join(got) == "\n\n".join(lines) + "\n"


def test_all_that_could_be_the_label_is_named(read):
    rows = [f"{text},{n % 5},{n % 2},{n % 3}" for n, (text, _) in enumerate(reviews(90))]
    with pytest.raises(InputError, match="LABEL= to one of: rating, recommended, sentiment count"):
        read("\n".join(["text,rating,recommended,sentiment count", *rows]))


def test_a_text_of_any_other_suffix_is_a_text(read):
    lines = [f" {line} {', and <unk> ' * (n % 5)}\n" for n, (line, _) in enumerate(reviews(300))]
    text = " \n = A title = \n \n" + "".join(lines)
    found, got = read(text, "wiki.train.tokens")
    assert found.format == "plain text"
    assert "".join(got) == text


GROUPED = ["800", "937", *(f"{n // 1000}.{n % 1000:03d}" for n in range(1074, 6000, 137))]
MANY = reviews(400)
SPLIT = ("test", "train", "train", "train", "train")


@pytest.mark.parametrize(
    ("header", "rows", "named"),
    [
        ("x,y", [f"{n},{10 + n % 7},{17 * n % 90 + 10}" for n in range(1, 60)], "decimal comma"),  # 10.17, 11.72, ...
        ("id;label;text", [f"{n};{'ab'[n % 2]};well; {text}" for n, (text, _) in enumerate(reviews(60), 1)], "text"),
        (
            "Datum;Uhrzeit;Umsatz",
            [f"{day:%d.%m.%Y};6.10;{n}" for day, n in zip(DAYS, GROUPED, strict=False)],
            "thousands",
        ),
        (
            "text,category,split",
            [f'"{text}",c{n % 77},{("test", "train")[n % 5 > 0]}' for n, (text, _) in enumerate(MANY)],
            "77",
        ),
    ],
)
def test_what_could_be_read_in_two_ways_is_refused(read, header, rows, named):
    try:
        found, _ = read("\n".join([header, *rows]), **({"value": "Umsatz"} if "Umsatz" in header else {}))
    except InputError as error:
        assert named in str(error)  # noqa: PT017 - or among the refusals
    else:
        assert any(named in refusal for refusal in found.refusals)


def test_r_leaves_out_the_name_of_its_first_column(read):
    found, got = read("x,y\n" + "".join(f"{n},{n % 7}.5,{n % 9}.25\n" for n in range(1, 60)), value="y")
    assert got == [[n % 9 + 0.25] for n in range(1, 60)]
    assert found.columns("value") == ("y",)


@pytest.mark.parametrize(
    "dates",
    [
        [f"{day:%d %b}" for day in (date(2019, 9, 1) + timedelta(n) for n in range(200))],
        [*(f"{n % 12 + 1:02d}/{n % 12 + 1:02d}/20{n // 12 + 10}" for n in range(36)), "13/01/2021", "01/14/2021"],
    ],
    ids=["days over New Year", "either way round"],
)
def test_a_row_that_one_of_several_forms_cannot_read_is_counted_alike_both_times(read, dates):
    rows = [f"{day},{n}.5" for n, day in enumerate(dates)]
    rows[20] = "n/a,20.5"
    try:
        found, got = read("\n".join(["date,value", *rows]))
    except InputError as error:
        assert "date" in str(error)  # noqa: PT017 - a line, no traceback
    else:
        assert len(got) == found.rows >= len(rows) - 3


@pytest.mark.parametrize("word", ["crème", "très", "crêpe", "encyclopædia", "così", "flûte", "naïve", "señor", "Größe"])
def test_a_lone_accent_of_western_europe_is_its_own(read, word):
    rows = [(f"{text} {word}" if n == 7 else text, label) for n, (text, label) in enumerate(reviews(60))]
    _, got = read(table(rows).encode("cp1252"))
    assert got == rows


@pytest.mark.parametrize(("name", "clock"), [("sunrise", "6:{:02d}"), ("peak_hour", "{}")])
def test_a_time_of_day_beside_days_that_stand_once_is_no_clock(read, name, clock):
    rows = [f"{day},{clock.format(n % 20) if n != 9 else ''},{n % 17}.5" for n, day in enumerate(DAYS[:300])]
    found, got = read("\n".join([f"date,{name},value", *rows]), value="value")
    assert len(got) == 300
    assert found.columns("date") == ("date",)
    assert not warned(found, "uneven")


def test_what_a_file_is_refused_for_it_is_refused_for_in_a_folder(read):
    cyrillic = "Это хороший фильм, и я посмотрел бы его ещё раз"
    found, got = read(
        {
            **{f"pos/{n}.txt": f"{text} again" for n, (text, _) in enumerate(reviews(40))},
            **{f"neg/{n}.txt": text for n, (text, _) in enumerate(reviews(40, seed=3))},
            "pos/a.txt": b"%PDF-1.4\n1 0 obj\n<<>>\nendobj\n",
            "neg/b.txt": f"{cyrillic}\n".encode("utf-16-le"),
        },
        "reviews",
    )
    assert [dropped.first for dropped in found.dropped if dropped.reason == "no text file"] == [("pos/a.txt",)]
    assert [text.strip() for text, _ in got].count(cyrillic) == 1


def test_a_label_column_named_like_a_label_has_a_header(read):
    rows = [(text, "spam" if label == "neg" else "ham") for text, label in reviews(100)]
    found, got = read(table(rows, header="message,spam"))
    assert (found.layout.header, got) == (True, rows)


def test_rows_of_one_day_in_a_descending_file_stand_in_the_order_of_time(read):
    days = [*DAYS[:50], DAYS[49], *DAYS[50:60]]  # two readings on one day, the later one above
    rows = [f"{day},{n}.5" for n, day in enumerate(days)]
    found, got = read("\n".join(["date,value", *reversed(rows)]))
    assert found.order == "descending"
    assert got == [[n + 0.5] for n in range(len(days))]
