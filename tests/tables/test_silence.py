"""What could be read wrongly without a word is read right, said with its number, or refused with a cell."""

from datetime import date, timedelta
from pathlib import Path

import pytest

from stages.tables.date_words import LANGUAGES
from tests.tables.test_dirt import refused, reviews

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
    for options in ({"value": "price"}, {"value": "n", "inputs": "price"}):
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


def test_the_document_names_the_languages_of_dates():
    document = (Path(__file__).parents[2] / "docs" / "own-data.md").read_text(encoding="utf-8")
    assert [language for language in LANGUAGES if language not in document] == []
