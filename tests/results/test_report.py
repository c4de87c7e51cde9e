"""The report: complete, self-contained, equal to the tables, escaped, and readable by anybody."""

import base64
import csv
import itertools
import json
import re
import shutil
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml
from browser import measure, needs_browser, run

from stages.kinds import kind
from stages.results.claims import record_verdicts
from stages.results.compare import write_comparison
from stages.results.documents import PROTOCOLS, claims, documents
from stages.results.report import Section, record_page, render, run_page, unmeasured_section
from stages.results.row import read_rows, write_rows
from stages.results.table import Cell, Table
from stages.results.verdict import Verdict
from stages.studies import described
from stages.support.params import load_project

ROOT = Path(__file__).parent.parent.parent
PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text())
STUDIES, CELLS = PARAMS["studies"], PARAMS["cells"]
FULL = load_project(ROOT / "params.yaml").studies
REPEATS = {study: FULL[study]["full"].training.repeats for study in STUDIES}
VOID = {"meta", "link", "img", "br", "hr", "input"}
HOSTILE = "\"><img src=x onerror='alert(1)'><script>alert(2)</script>&amp;"


class Page(HTMLParser):
    """A page's elements, and its tables as rows of texts; fails where an element is closed that was not open."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.open, self.headings, self.tables, self.cells = [], [], [], [], []
        self.text = ""
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.elements.append((tag, attributes))
        if tag not in VOID:
            self.open.append(tag)
        if re.fullmatch("h[1-6]", tag):
            self.headings.append([int(tag[1]), ""])
        if tag == "table":
            self.tables.append({"caption": "", "rows": []})
        if tag == "tr":
            self.tables[-1]["rows"].append([])
        if tag in ("td", "th"):
            self.tables[-1]["rows"][-1].append({"tag": tag, "text": "", "small": "", **attributes})

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data
        if {"h1", "h2", "h3", "h4", "h5"} & set(self.open):
            self.headings[-1][1] += data
        if "caption" in self.open:
            self.tables[-1]["caption"] += data
        if {"td", "th"} & set(self.open):
            self.tables[-1]["rows"][-1][-1]["small" if "small" in self.open else "text"] += data

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    """A workspace with this repository's record, and a small run of it as on sample text."""
    folder = tmp_path_factory.mktemp("workspace")
    for name in ("metrics/record", "plots/record", "benchmarks/results"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).symlink_to(ROOT / name)
    for study in STUDIES:
        rows = []
        for cell in CELLS:
            recorded = [row for row in read_rows(ROOT / f"metrics/record/{study}/{cell}.json") if row.repeat < 3]
            two = ("5", "50") if recorded[0].sweep else list(dict.fromkeys(row.setting for row in recorded))[:2]
            small = [row for row in recorded if row.setting in two]  # figures of all take long to draw
            text = (
                [replace(row, corpus="sample") for row in small]
                if PARAMS[study]["corpus"]["source"] == "sample"
                else small
            )
            write_rows(folder / f"metrics/{study}/{cell}.json", text)
            rows += text
        path = ROOT / f"metrics/record/{study}/baseline.json"
        baselines = json.loads(path.read_text())["rows"] if path.exists() else []
        tables, figures = folder / "plots" / study, folder / "plots/figures" / study
        write_comparison(study, rows, rows, baselines, tables=tables, figures=figures)
    return folder


@pytest.fixture(scope="module")
def pages(workspace):
    """Both pages of a workspace's results, with the verdicts that they should show."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(workspace)
        recorded = record_verdicts()
        run_text = run_page(STUDIES, CELLS, recorded, sample=True)
        record_text = record_page(CELLS, REPEATS, recorded)
        assert run_page(STUDIES, CELLS, recorded, sample=True) == run_text  # else dvc.lock would change with every run
        verdicts = {"run": recorded, "record": recorded}  # a run gives none of its own
    texts = {"run": run_text, "record": record_text}
    return {name: (text, Page(text), verdicts[name]) for name, text in texts.items()}


@pytest.fixture(params=["run", "record"])
def page(request, pages):
    return request.param, *pages[request.param]


def test_a_page_loads_nothing_from_anywhere(page):
    _, text, parsed, _ = page
    for tag, attributes in parsed.elements:
        assert tag not in ("script", "iframe", "object", "embed", "base", "form"), tag
        assert not [name for name in attributes if name.startswith("on")], attributes
        for name in ("src", "srcset", "data", "poster", "background"):
            assert attributes.get(name, "data:").startswith("data:"), attributes
        if tag == "link":
            assert attributes["href"] == "data:,"
        elif "href" in attributes:
            assert re.fullmatch("#.+|run.html|record.html", attributes["href"]), attributes
    css = re.search("<style>(.*?)</style>", text, re.S)[1]
    assert not re.search(r"url\(|@import|expression\(", css)
    for uri in re.findall(r"data:image/svg\+xml;base64,([^\"]+)", text):
        assert not re.search(rb'(href|src)="(?!#|data:)', base64.b64decode(uri))


def test_headings_ids_and_links_lead_through_the_page(page):
    _, _, parsed, _ = page
    levels = [level for level, _ in parsed.headings]
    assert levels.count(1) == 1 == levels[0]
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    assert all(name.strip() for _, name in parsed.headings)
    ids = [attributes["id"] for _, attributes in parsed.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    targets = {attributes["href"][1:] for attributes in parsed.all("a") if attributes["href"].startswith("#")}
    assert targets <= set(ids)
    assert {*STUDIES, "answer", "verdicts", "provenance", "again"} <= targets
    assert parsed.all("html")[0]["lang"] == "en"
    assert "viewport" in [attributes.get("name") for attributes in parsed.all("meta")]
    scrolling = [attributes for _, attributes in parsed.elements if attributes.get("class") == "scroll"]
    assert scrolling
    assert all(attributes["tabindex"] == "0" and attributes["aria-label"] for attributes in scrolling)


def test_every_figure_is_there_whole_and_said_in_words(page, workspace):
    name, _, parsed, _ = page
    folder = workspace / "plots" / ("record" if name == "record" else "figures")
    drawn = {path.read_bytes() for study in STUDIES for path in (folder / study).glob("*.svg")}
    if name == "record":
        drawn.add((folder / "answers.svg").read_bytes())
    images = parsed.all("img")
    assert {base64.b64decode(image["src"].split(",")[1]) for image in images} == drawn
    assert len(images) == len(drawn)
    words = [image["alt"] for image in images]
    assert len(set(words)) >= len(words) - 1  # the landscape alone is the same everywhere
    assert all(len(text) > 60 for text in words)


def test_every_study_stands_there_with_its_flaws_or_the_command_that_adds_it(page, workspace):
    name, text, parsed, _ = page
    parts = text.split("<section ")
    sections = dict(
        zip(STUDIES, parts[next(i for i, part in enumerate(parts) if 'id="reading"' in part) + 1 :], strict=False)
    )
    for study, section in sections.items():
        shown = Page("<section " + section).text
        assert documents()[study]["title"] in shown
        assert all(flaw in shown for flaw in documents()[study]["flaws"])
        folder = workspace / "plots" / ("record" if name == "record" else "") / study
        assert ("Not recorded yet" in shown or "Not measured yet" in shown) != folder.exists()
        if not folder.exists():
            assert f"make full STUDY={study} CELL=gru REPEATS={REPEATS[study]}" in shown
    assert ("Sample text." in parsed.text) == (name == "run")


def test_every_verdict_is_shown_once_a_protocol(page):
    _, _, parsed, verdicts = page
    claimed = [(claim["id"], protocol) for claim in claims() for protocol in claim.get("protocols", [""])]
    (table,) = [
        table for table in parsed.tables if table["caption"] == "Every claim under the headings that it was made under"
    ]
    cells = [cell for row in table["rows"] for cell in row if "data-claim" in cell]
    shown = {(cell["data-claim"], cell["data-protocol"]): cell["text"].split()[1] for cell in cells}
    assert sorted(shown) == sorted(claimed)
    assert len(cells) == len(claimed)
    assert shown == {(verdict.id, verdict.protocol): verdict.verdict for verdict in verdicts}
    articles = [attributes["id"] for attributes in parsed.all("article")]
    assert sorted(articles) == sorted(f"claim-{claim['id']}" for claim in claims())
    counts = {word: list(shown.values()).count(word) for word in ("supported", "contradicted", "open")}
    assert (
        f"Of {len(shown)} verdicts {counts['supported']} are supported, {counts['contradicted']} contradicted and "
        f"{counts['open']} open" in " ".join(parsed.text.split())
    )


def number(text):
    """A shown number and half a unit of its last digit."""
    digits, _, exponent = text.rstrip("%").partition("e")
    scale = 10 ** int(exponent or 0) / (100 if text.endswith("%") else 1)
    return float(digits) * scale, 0.5000001 * 10 ** -len(digits.partition(".")[2]) * scale


def test_the_numbers_are_those_of_the_tables(page, workspace):
    name, _, parsed, _ = page
    folder = workspace / "plots" / ("record" if name == "record" else "")
    results = iter(table for table in parsed.tables if table["caption"].startswith("Published beside measured"))
    compared = 0
    for study in STUDIES:
        path = folder / study / ("means.csv" if "sweep" in documents()[study] else "table.csv")
        if not path.exists():
            continue
        first, second, *rows = next(results)["rows"]
        leading = [cell["text"] for cell in first if cell.get("rowspan")]
        labels = [cell["text"] for cell in first if cell["scope"] == "colgroup" for _ in range(int(cell["colspan"]))]
        headers = [*leading, *zip(labels, (cell["text"] for cell in second), strict=True)]
        shown = [dict(zip(headers, row, strict=True)) for row in rows]
        for row in csv.DictReader(path.open()):
            (mine,) = [
                other
                for other in shown
                if (other["cell"]["text"].strip(), other["cell"]["small"].removeprefix("custom: "))
                == (row["cell"], row["custom"])
                and other.get("setting", other.get("mean over lengths", {"text": ""}))["text"] == row["setting"]
            ]
            counts = [mine["parameters"]["text"].strip(), *re.findall(r"[\d,]*\d", mine["parameters"]["small"])]
            assert f"{int(row['parameters']):,}" in counts
            assert row["repeats"] in mine["repeats"]["text"].split(" / ")
            for score, about in documents()[study]["scores"].items():
                headings = {name: f"measured {label}" for name, label in PROTOCOLS.items()}
                both = (about["label"], "measured, nothing corrected")
                cell = mine.get((about["label"], headings[row["protocol"]]), mine.get(both))
                texts = [cell["text"].strip(), *cell["small"].strip("[]").split(", ")]
                for key, text in zip((score, f"{score}_low", f"{score}_high"), texts, strict=False):
                    if row[key]:
                        value, half = number(text)
                        assert value == pytest.approx(float(row[key]), abs=half + 1e-5 * abs(value)), (study, key)
                        compared += 1
                if row[f"{score}_published"]:
                    value, half = number(mine[about["label"], "in the document"]["text"].strip())
                    assert value == pytest.approx(float(row[f"{score}_published"]), abs=half)
                    compared += 1
    assert compared > 60
    assert next(results, None) is None


def test_every_length_of_a_sweep_is_shown(pages):
    _, parsed, _ = pages["record"]
    (table,) = [
        table for table in parsed.tables if table["caption"] == "Validation accuracy by sequence length (steps)"
    ][:1]
    first, second, *rows = table["rows"]
    labels = [cell["text"] for cell in first if cell["scope"] == "colgroup" for _ in range(int(cell["colspan"]))]
    columns = list(zip(labels, (cell["text"] for cell in second), strict=True))
    for row in csv.DictReader((ROOT / "plots/record/latch/table.csv").open()):
        (mine,) = [other for other in rows if other[0]["text"] == row["setting"]]
        place = 1 + columns.index((f"measured {PROTOCOLS[row['protocol']]}", row["cell"]))
        value, half = number(mine[place]["text"].strip())
        assert value == pytest.approx(float(row["validation_accuracy"]), abs=half + 1e-6)
        count = round(float(row["converged"]) * int(row["repeats"]))
        assert f"{count}/{row['repeats']} converged" in mine[place]["small"]


def verdict(**changes):
    about = {"id": "a", "study": "imdb", "source": "s", "origin": "document", "claim": "c", "published": "p"}
    return Verdict(**about | {"protocol": "corrected"} | changes)


def test_hostile_text_is_shown_and_not_obeyed():
    document = documents()["imdb"] | {"title": HOSTILE, "flaws": [HOSTILE]}
    table = Table(HOSTILE, [HOSTILE], [(HOSTILE, [HOSTILE])], [[Cell(HOSTILE, HOSTILE), Cell(HOSTILE)]])
    section = Section("imdb", document, HOSTILE, [table], [HOSTILE], [], [HOSTILE])
    part = verdict(effect=1.0, effect_label=HOSTILE, details=({HOSTILE: HOSTILE},))
    shown = verdict(
        claim=HOSTILE, published=HOSTILE, reason=HOSTILE, scaled=HOSTILE, effect_label=HOSTILE, parts=(part,)
    )
    text = render([section], [shown], table, record=True, sample=True)
    page = Page(text)
    assert page.all("script") == []
    assert page.all("img") == []
    assert page.text.count(HOSTILE) > 15


def test_an_open_verdict_says_what_it_lacks():
    shown = verdict(
        effect=0.0123, low=-0.01, high=0.035, percent=True, effect_label="accuracy, gru - lstm", repeats=3,
        reason="the interval spans 0", detectable=0.0456, repeats_needed=1234,
    )  # fmt: skip
    text = Page(
        render([unmeasured_section("imdb", [])], [shown], Table("", [""], (), ()), record=True, sample=False)
    ).text
    words = " ".join(text.split())
    assert "accuracy, gru - lstm: 1.2 points [-1.0, 3.5], 3 seeds on one split. The interval spans 0." in words
    assert "4.6 points" in words
    assert "1,234 would settle it" in words


def test_without_any_result_a_page_says_how_to_get_some(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = Page(record_page(["gru"], dict.fromkeys(documents(), "0-1"), record_verdicts())).text
    assert text.count("Not recorded yet.") == len(documents())
    for study in documents():
        assert f"make full STUDY={study} CELL=gru REPEATS=0-1" in text
    assert Page(run_page([], [], record_verdicts(), sample=False)).text.count("Not measured yet.") == len(documents())


def test_the_record_names_what_it_lacks_and_counts_a_packed_job_once(tmp_path, monkeypatch):
    shutil.copytree(ROOT / "plots/record/latch", tmp_path / "plots/record/latch")
    entry = json.loads((ROOT / "metrics/record/latch/gru.json").read_text())[0]
    origin = {
        **entry["provenance"],
        "seconds": 600.0,
        "repeats_at_once": 2,
        "commit": "0123456789abcdef".ljust(40, "0"),
    }
    entries = [{**entry, "repeat": repeat, "provenance": origin} for repeat in (0, 1)]
    (tmp_path / "metrics/record/latch").mkdir(parents=True)
    (tmp_path / "metrics/record/latch/gru.json").write_text(json.dumps(entries))
    monkeypatch.chdir(tmp_path)
    page = Page(record_page(["gru", "lstm"], {"latch": "0-1"}, record_verdicts()))
    assert "CELL=lstm REPEATS=0-1" in page.text
    assert "CELL=gru REPEATS=0-1" not in page.text
    assert "CELL=gru REPEATS=0-2" in Page(record_page(["gru"], {"latch": "0-2"}, record_verdicts())).text
    row = [cell["text"] for cell in page.tables[-1]["rows"][1]]
    assert row[:3] == ["latch gru", "2", "0123456789ab"]
    assert row[-1] == "10 min"


def test_a_study_of_ones_own_has_no_section_on_the_page_of_the_record(monkeypatch):
    own = described("kritiken", kind("classification"))
    monkeypatch.setattr("stages.results.report.documents", lambda: documents() | {"kritiken": own})
    page = Page(record_page(["gru"], {}, []))
    assert "kritiken" not in page.text
    assert "fibonacci" in page.text


def luminance(colour):
    """Relative luminance of #rrggbb (WCAG 2.2)."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_every_text_stands_out_from_its_ground_in_light_and_dark():
    css = (ROOT / "stages/results/templates/report.css").read_text()
    schemes = [
        dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", block)) for block in re.findall(r":root \{(.*?)\}", css, re.S)
    ]
    light, dark, printed = schemes
    rules = re.findall(r"\{([^{}]*)\}", css)
    pairs = set()
    for rule in rules:
        text = re.search(r"(?<![-\w])color: var\(--([\w-]+)\)", rule)
        ground = re.search(r"background: var\(--([\w-]+)\)", rule)
        grounds = [ground[1]] if ground else ["paper", "band"]
        pairs |= {(text[1] if text else "ink", name) for name in grounds if name != "card"}
    assert len(pairs) > 8
    for scheme in (light, light | dark, light | printed):
        for text, ground in pairs:
            assert contrast(scheme[text], scheme[ground]) >= 4.5, (text, ground, scheme[text], scheme[ground])


LOOK = """
    const ground = element => {
        for (; element; element = element.parentElement) {
            const colour = getComputedStyle(element).backgroundColor;
            if (!/, 0\\)$/.test(colour)) return colour;
        }
        return matchMedia('(prefers-color-scheme: dark)').matches ? 'rgb(0, 0, 0)' : 'rgb(255, 255, 255)';
    };
    const colours = new Set(), walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode())
        if (walker.currentNode.textContent.trim()) {
            const element = walker.currentNode.parentElement;
            if (!element.closest('script')) colours.add(getComputedStyle(element).color + '|' + ground(element));
        }
    return {
        dark: matchMedia('(prefers-color-scheme: dark)').matches,
        width: document.documentElement.scrollWidth, seen: innerWidth,
        broken: [...document.images].filter(image => !image.complete || !image.naturalWidth).length,
        smallest: Math.min(...[...document.querySelectorAll('body *')].map(one => parseFloat(
            getComputedStyle(one).fontSize))),
        loaded: performance.getEntriesByType('resource').map(entry => entry.name).filter(name => !/^data:/.test(name)),
        colours: [...colours],
    };
"""


@needs_browser
@pytest.mark.parametrize(("width", "scheme"), [(360, "dark"), (1200, "light")])
def test_a_browser_shows_it_on_a_phone_and_a_desk_in_light_and_dark(page, tmp_path, width, scheme):
    _, text, _, _ = page
    (tmp_path / "page.html").write_text(text)
    option = f"--blink-settings=preferredColorScheme={0 if scheme == 'dark' else 1}"
    seen = measure(tmp_path / "page.html", LOOK, tmp_path, option, width=width)
    assert seen["dark"] == (scheme == "dark")
    assert seen["seen"] == width
    assert seen["width"] <= width  # what is wider scrolls within itself
    assert seen["broken"] == 0
    assert seen["loaded"] == []
    assert seen["smallest"] >= 10
    hexadecimal = lambda rgb: "#" + "".join(f"{int(part):02x}" for part in re.findall(r"\d+", rgb)[:3])  # noqa: E731
    for pair in seen["colours"]:
        one, other = map(hexadecimal, pair.split("|"))
        assert contrast(one, other) >= 4.5, pair
    assert len(seen["colours"]) >= 5


@needs_browser
def test_it_prints(page, tmp_path):
    _, text, _, _ = page
    (tmp_path / "page.html").write_text(text)
    run(
        (tmp_path / "page.html").as_uri(), tmp_path, f"--print-to-pdf={tmp_path / 'page.pdf'}", "--no-pdf-header-footer"
    )
    pdf = (tmp_path / "page.pdf").read_bytes()
    assert 5 <= len(re.findall(rb"/Type\s*/Page\b", pdf)) <= 60
