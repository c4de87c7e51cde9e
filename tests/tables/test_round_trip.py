"""What is read is what was written, whatever the delimiter, encoding, quoting and number form."""

import csv
import gzip
import json
import random
from datetime import date, datetime, timedelta

import pytest

from stages.tables.inspect import inspect
from stages.tables.records import records

WORDS = {
    "english": "the film was really good bad dull and I loved it a story of two people who never meet again",
    "french": "le film était très émouvant déçu où Noël façon être âgé coeur garçon naïve à la fin élève",
    "russian": "фильм был очень хороший плохой скучный история человек никогда больше смотреть сюжет актёры",
    "japanese": "映画はとても面白かった 最悪でした 音楽が良い 二度と見ない 物語が退屈 俳優は素晴らしい",
    "emoji": "great 😀 awful 😡 fine 👍🏽 movie 🎬 night ❤️ would see again",
}
ENCODINGS = {
    "english": ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "ascii"),
    "french": ("utf-8", "utf-8-sig", "utf-16", "latin-1", "cp1252"),
    "russian": ("utf-8", "utf-16", "cp1251", "koi8_r"),
    "japanese": ("utf-8", "utf-8-sig", "utf-16", "cp932", "euc_jp"),
    "emoji": ("utf-8", "utf-8-sig", "utf-16"),
}
DIRT = ("{d}", '"', "\n", "\r\n", "'", '""', ", ", "; ", "\t", " | ", "  ", "\\n", "#", '" {d} "', "1,5", "{d}{d}")
QUOTING = {"minimal": csv.QUOTE_MINIMAL, "all": csv.QUOTE_ALL, "nonnumeric": csv.QUOTE_NONNUMERIC}


def a_text(rng, language, delimiter, dirt):
    joint = "" if language == "japanese" else " "
    parts = rng.choices(WORDS[language].split(), k=rng.randint(2 if language == "japanese" else 4, 30))
    if dirt and rng.random() < 0.3:
        parts.insert(rng.randrange(1, len(parts)), rng.choice(DIRT).format(d=delimiter))
    return joint.join(parts)


@pytest.mark.parametrize("seed", range(80))
def test_labelled_texts_are_read_as_they_were_written(tmp_path, seed):
    rng = random.Random(seed)
    language = rng.choice(list(WORDS))
    encoding = rng.choice(ENCODINGS[language])
    delimiter = rng.choice(",;\t|")
    labels = rng.choice(
        [["pos", "neg"], ["0", "1"], ["1", "2", "3", "4", "5"], ["ham", "spam"], ["Sport", "World", "Tech"]]
    )
    count = rng.choice([30, 300, 1500])
    count = min(count, 400) if seed % 4 else count
    expected = [(a_text(rng, language, delimiter, dirt=True), rng.choice(labels)) for _ in range(count)]
    columns = rng.choice(
        [("text", "label"), ("label", "text"), ("id", "sentiment", "review"), ("review", "user", "rating")]
    )
    values = {
        "id": [str(place) for place in range(count)],
        "user": [f"user{rng.randrange(10**6)}" for _ in range(count)],
    }
    for name in ("text", "review"):
        values[name] = [text for text, _ in expected]
    for name in ("label", "sentiment", "rating"):
        values[name] = [label for _, label in expected]
    header = rng.random() < 0.8
    table = [[values[name][place] for name in columns] for place in range(count)]
    form = {
        "delimiter": delimiter,
        "quoting": QUOTING[rng.choice(list(QUOTING))],
        "lineterminator": rng.choice(["\n", "\r\n"]),
    }
    if rng.random() < 0.2:
        form |= {"doublequote": False, "escapechar": "\\"}
        # A backslash of its own would be doubled by csv and by few other writers.
        expected = [(text.replace("\\", "/"), label) for text, label in expected]
        table = [[cell.replace("\\", "/") for cell in row] for row in table]
    path = tmp_path / rng.choice(["mine.csv", "mine.tsv", "mine.csv.gz"])
    with (gzip.open if path.suffix == ".gz" else open)(path, "wt", encoding=encoding, newline="") as file:
        csv.writer(file, **form).writerows(([list(columns)] if header else []) + table)
    found = inspect(path)
    assert found.kind == "classification"
    assert found.layout.header == header
    assert list(records(path, found)) == expected
    assert found.rows == count
    assert found.dropped == ()
    assert dict(found.labels) == {
        label: sum(one == label for _, one in expected) for label in {one for _, one in expected}
    }


DATE_FORMS = (
    "%Y-%m-%d", "%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%d-%b-%y", "%b %d, %Y", "%B %d, %Y", "%d %B %Y", "%Y%m%d",
    "%m/%d/%y", "%d.%m.%y", "%Y/%m/%d", "%Y年%m月%d日", "%a %d %b %Y", "%Y-%m-%dT00:00:00Z", "%d-%m-%Y 00:00",
    "%Y-%b-%d",
)  # fmt: skip
STAMP_FORMS = (
    "%Y-%m-%d %H:%M:%S",
    "%d/%m/%Y %H:%M",
    "%m/%d/%Y %I:%M %p",
    "%a %b %d %H:%M:%S PDT %Y",
    "%Y-%m-%dT%H:%M:%S.000Z",
)


def number_text(rng, value, mark, thousands, sign):
    text = f"{value:,.2f}" if thousands else f"{value:.2f}"
    if mark == ",":
        text = text.translate({ord(","): thousands or None, ord("."): ","})
    elif thousands:
        text = text.replace(",", thousands)
    return f"{sign}{text}" if sign != "%" else f"{text}%"


@pytest.mark.parametrize("seed", range(80))
def test_series_are_read_in_time_order_as_they_were_written(tmp_path, seed):
    rng = random.Random(seed)
    count = rng.choice([40, 400, 1500])
    count = min(count, 400) if seed % 4 else count
    hourly = rng.random() < 0.3
    form = rng.choice(STAMP_FORMS if hourly else DATE_FORMS)
    start = datetime(rng.randint(1970, 2015), rng.randint(1, 12), rng.randint(1, 28))
    if "%y" in form:
        start = start.replace(year=2001)
    step = timedelta(hours=1) if hourly else timedelta(days=1)
    dates = [start + place * step for place in range(count)]
    scale = rng.choice([1.0, 100.0, 5_000.0, 2_000_000.0])
    values = [round(scale * (1 + rng.gauss(0, 0.3)), 2) for _ in dates]
    others = [float(rng.randint(-50, 50)) for _ in dates]
    mark, delimiter = rng.choice([(".", ","), (".", ";"), (",", ";"), (",", "\t"), (",", ","), (".", "\t")])
    thousands = rng.choice(["", "." if mark == "," else ",", "\u00a0", " "])
    sign = rng.choice(["", "", "$", "€", "%"])
    order = rng.choice(["ascending", "descending", "unsorted"])
    table = [
        [when.strftime(form), number_text(rng, value, mark, thousands, sign), str(int(other))]
        for when, value, other in zip(dates, values, others, strict=True)
    ]
    standing = list(range(count))
    if order == "descending":
        standing.reverse()
    elif order == "unsorted":
        rng.shuffle(standing)
    path = tmp_path / "mine.csv"
    with path.open("w", encoding=rng.choice(["utf-8", "utf-8-sig", "utf-16"]), newline="") as file:
        csv.writer(file, delimiter=delimiter).writerows([["Date", "Price", "Other"], *(table[i] for i in standing)])
    found = inspect(path, value="Price", inputs=["other"])
    assert found.kind == "series"
    assert found.columns("date") == ("Date",)
    assert found.order == order
    assert (found.first_date, found.last_date) == tuple(
        str(day).removesuffix(" 00:00:00") for day in (dates[0], dates[-1])
    )
    assert list(records(path, found)) == [list(row) for row in zip(values, others, strict=True)]
    assert found.dropped == ()


@pytest.mark.parametrize("seed", range(12))
def test_json_lines_are_read_as_they_were_written(tmp_path, seed):
    rng = random.Random(seed)
    language = rng.choice(list(WORDS))
    expected = [(a_text(rng, language, ",", dirt=True), rng.choice(["1", "2", "3"])) for _ in range(200)]
    nested = rng.random() < 0.5
    objects = [
        {"id": place, "post": {"body": text, "stars": int(label)} if nested else text, "deep": {"when": {"year": 2018}}}
        | ({} if nested else {"stars": int(label)})
        for place, (text, label) in enumerate(expected)
    ]
    path = tmp_path / "mine.jsonl"
    path.write_text(
        "".join(json.dumps(one, ensure_ascii=rng.random() < 0.5) + "\n" for one in objects),
        encoding=rng.choice(ENCODINGS[language][:2]),
    )
    found = inspect(path)
    assert found.columns("text") == ("post.body" if nested else "post",)
    assert list(records(path, found)) == expected


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_plain_texts_are_read_whole(tmp_path, seed, end):
    rng = random.Random(seed)
    language = rng.choice(list(WORDS))
    encoding = rng.choice(ENCODINGS[language])
    text = (
        "\n".join(rng.choice([a_text(rng, language, ",", dirt=False), ""]) for _ in range(rng.choice([150, 700])))
        + "\n"
    )
    path = tmp_path / "mine.txt"
    path.write_bytes(text.replace("\n", end).encode(encoding))
    found = inspect(path)
    assert found.kind == "language_model"
    assert "".join(records(path, found)) == text
    assert found.total_characters == len(text)
    assert found.words_by_spaces == (language != "japanese")


def test_two_digit_years_go_on_over_the_end_of_a_century(tmp_path):
    path = tmp_path / "mine.csv"
    days = [date(1941, 1, 15) + timedelta(days=30.4 * place) for place in range(900)]  # to 2015
    standing = random.Random(1).sample(range(900), 900)
    path.write_text("month;sales\n" + "".join(f"{days[i]:%b-%y};{i}\n" for i in standing))
    found = inspect(path)
    assert found.order == "unsorted"
    months = [(days[int(row[0])].year, days[int(row[0])].month) for row in records(path, found)]
    assert months == sorted(months)


CODE_PAGES = {
    "cp1250": (
        "książka była świetna więc polecam każdemu ten film gęślą jaźń żółw ćma",
        "příběh byl špatný ale herci výborní",
    ),
    "cp1251": ("фільм був дуже цікавий але кінець нудний їжак", "сюжет скучный актёры хорошие музыка чудесная"),
    "koi8_r": ("сюжет скучный актёры хорошие музыка чудесная никогда больше",),
    "cp1252": ("der Film war schön aber das Ende überhaupt nicht große Straße", "la película no está mal año corazón"),
    "cp1253": ("η ταινία ήταν πολύ καλή αλλά το τέλος δεν μου άρεσε καθόλου",),
    "cp1254": ("film çok güzeldi ama sonu kötüydü oyuncular şahane ıssız ağır değil",),
    "cp1255": ("הסרט היה טוב מאוד אבל הסוף היה משעמם לא אהבתי את השחקנים",),
    "cp1256": ("كان الفيلم جيدا جدا لكن النهاية كانت مملة لم يعجبني الممثلون",),
    "cp1257": ("filmas buvo labai įdomus tačiau pabaiga nuobodi šiek tiek ūmus žmogus",),
    "cp874": ("หนังเรื่องนี้ดีมาก แต่ตอนจบน่าเบื่อ ไม่ชอบนักแสดง เรื่องราวยอดเยี่ยม",),
    "cp932": ("映画は とても 面白かった しかし 音楽が 退屈 でした",),
    "euc_jp": ("映画は とても 面白かった しかし 音楽が 退屈 でした",),
    "euc_kr": ("영화가 정말 좋았어요 하지만 결말은 지루했다 배우들이 훌륭하다",),
    "gb18030": ("这部电影非常好看 但是结局很无聊 我不喜欢演员 故事精彩 音乐很好",),
    "big5": ("這部電影非常好看 但是結局很無聊 我不喜歡演員 故事精彩 音樂很好",),
}


@pytest.mark.parametrize(("encoding", "words"), [(name, words) for name, all_ in CODE_PAGES.items() for words in all_])
def test_old_code_pages_are_told_apart(tmp_path, encoding, words):
    rng = random.Random(words)
    expected = [(" ".join(rng.choices(words.split(), k=rng.randint(4, 12))), str(place % 2)) for place in range(80)]
    path = tmp_path / "mine.csv"
    path.write_bytes(("text,label\n" + "".join(f"{text},{label}\n" for text, label in expected)).encode(encoding))
    found = inspect(path)
    assert list(records(path, found)) == expected
    assert any("which is a guess" in warning for warning in found.warnings)
