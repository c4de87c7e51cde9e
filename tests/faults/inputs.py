"""Mutated files and requests: of each kind that the project reads, how one is made, used, and known to be read right.

Each function prepares a folder and returns a trial, which takes a source of chance, injects one fault and says what was
seen. The working directory is the folder.
"""

import json
import os
import random
import re
import shutil
import subprocess
import sys
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import redirect_stdout, suppress
from dataclasses import asdict, replace
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import yaml

from stages import mend
from stages.results.record import check_entries
from stages.results.row import read_baselines, read_rows
from stages.results.scores import repeats_table, summary_table
from stages.results.tables import scores_table
from stages.support.files import MANIFEST, decode, read_json, seal, verify, write_json
from stages.support.params import Params, Project, load_project, resolved
from stages.support.process import InputError
from stages.support.sections import OwnFile
from stages.support.tensors import read_tensors, write_tensors
from stages.tables.inspect import inspect
from stages.tables.raw import read_labelled, write_labelled, write_series, write_text
from stages.tables.records import records as records_of
from stages.tracking.desired import Desired
from stages.trained.find import find_trained
from stages.training import checkpoint as checkpoints
from tests.copies import ROOT, forget_served_code
from tests.faults.judge import SURVIVED, Seen, judge, watched
from tests.faults.mutations import mutate, mutate_value

Trial = Callable[[random.Random], Seen]


def checkpoint(folder: Path) -> Trial:
    """A checkpoint; the one before it takes its place."""
    path, states = folder / "key.safetensors", []
    for epoch in (1, 2):
        torch.manual_seed(epoch)
        model = torch.nn.LSTM(3, 2)
        optimizer = torch.optim.Adam(model.parameters())
        model(torch.randn(4, 1, 3))[0].sum().backward()
        optimizer.step()
        curves = [[{"epoch": 1, "loss": 0.1 + epoch}]]
        state = {"epoch": epoch, "curves": curves, "model": model.state_dict(), "optimizer": optimizer.state_dict()}
        checkpoints.save(path, state)
        states.append(repr(checkpoints.load(path)))
    good, torn = path.read_bytes(), folder / "key.before.safetensors"
    before = torn.read_bytes()

    def trial(chance: random.Random) -> Seen:
        path.write_bytes(data := mutate(chance, good))
        torn.write_bytes(before if (is_before_whole := chance.random() < 0.9) else mutate(chance, before))
        allowed = states[1:] if data == good else [states[0]] if is_before_whole else [states[0], "None"]
        return watched("safetensors", lambda: repr(checkpoints.load(path)), one_of(allowed, "another state"))

    return trial


def weights(folder: Path) -> Trial:
    """A file of weights."""
    path = folder / "w.safetensors"
    arrays = {"a": np.arange(600, dtype=np.float32).reshape(20, 30), "b": np.zeros((0, 3), np.uint16), "c": np.ones(9)}
    write_tensors(path, arrays, {"text": "é"})
    good, wanted = path.read_bytes(), repr(read_tensors(path))

    def trial(chance: random.Random) -> Seen:
        path.write_bytes(mutate(chance, good))
        return watched(str(path), lambda: repr(read_tensors(path)), one_of([wanted], "other weights"))

    return trial


def sealed(folder: Path) -> Trial:
    """A file of data/ready or models: arrays, a vocabulary, the manifest; or one that is gone or a folder."""
    (folder / "inner").mkdir()
    np.save(folder / "tokens.npy", np.arange(500, dtype=np.uint16))
    (folder / "vocabulary.txt").write_text("".join(f"word{n}\n" for n in range(200)))
    (folder / "inner/mask").write_bytes(bytes(64))
    facts = {"corpus": "sample", "counts": {"train": 3}, "digest": "d"}
    seal(folder, facts)
    good = {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}

    def trial(chance: random.Random) -> Seen:
        path = chance.choice(list(good))
        path.unlink()
        if chance.random() < 0.98:
            path.write_bytes(mutate(chance, good[path]))

        def wrong(manifest: Mapping[str, Any]) -> str:
            if {name: manifest.get(name) for name in facts} != facts:
                return "other facts"
            others = [p for p, data in good.items() if p.name != MANIFEST and p.read_bytes() != data]
            return "another file taken" if others else ""

        seen = watched(path.name, lambda: verify(folder), wrong)
        path.write_bytes(good[path])
        return seen

    return trial


def runs(folder: Path) -> Trial:
    """runs.json and what `predict`, `sample`, `forecast` and the registry find a trained model by."""
    entries = [
        {
            "key": f"{repeat:064x}", "corpus": "sample", "setting": "", "protocols": ["corrected"], "repeat": repeat,
            "seed": 1, "hyperparameters": {}, "best_epoch": 1, "curve": [{"epoch": 1, "validation_loss": 0.5 + repeat}],
            "weights": f"weights/corrected-{repeat}.safetensors", "data_digest": "d",
        }
        for repeat in range(3)
    ]  # fmt: skip
    models, ready = folder / "models/imdb/gru", folder / "data/ready/imdb"
    write_json(models / "runs.json", entries)
    for entry in entries:
        write_tensors_into(models / str(entry["weights"]))
    ready.mkdir(parents=True)
    (ready / "vocabulary.txt").write_text("<unk>\n")
    seal(models, {})
    seal(ready, {"digest": "d"})
    shutil.copy(ROOT / "params.yaml", folder)
    good = {path: path.read_bytes() for path in sorted(models.rglob("*")) if path.is_file()}
    wanted = repr(find_trained("imdb", "gru").settings)

    def trial(chance: random.Random) -> Seen:
        path = models / "runs.json" if chance.random() < 0.7 else chance.choice(list(good))
        if path.name == "runs.json" and chance.random() < 0.5:
            path.write_text(json.dumps(mutate_value(chance, entries)))
        else:
            path.write_bytes(mutate(chance, good[path]))
        seen = watched(path.name, lambda: repr(find_trained("imdb", "gru").settings), one_of([wanted], "another model"))
        path.write_bytes(good[path])
        return seen

    return trial


def write_tensors_into(path: Path) -> None:
    """A file of weights in a folder that may not be there yet."""
    path.parent.mkdir(exist_ok=True)
    write_tensors(path, {"w": np.ones(3)})


def records(folder: Path) -> Trial:
    """Rows of metrics/record as `merge` reads those of another clone, then shows them."""
    shutil.copy(ROOT / "params.yaml", folder)  # which names the studies
    goods = {}
    for study in ("imdb", "damped", "latch", "fibonacci"):
        rows = json.loads((ROOT / "metrics/record" / study / "gru.json").read_text())
        goods[study] = [{**row, "curve": row.get("curve", [])[-2:]} for row in rows[:2]]

    def trial(chance: random.Random) -> Seen:
        study = chance.choice(list(goods))
        path = folder / study / "gru.json"
        path.parent.mkdir(exist_ok=True)
        text = json.dumps(goods[study], ensure_ascii=False)
        if chance.random() < 0.5:
            text = json.dumps(mutate_value(chance, goods[study]))
            path.write_text(text, errors="surrogatepass")
        else:
            path.write_bytes(mutate(chance, text.encode()))

        return watched(str(path), lambda: read_record(path), lambda rows: differs(json.loads(path.read_bytes()), rows))

    return trial


def read_record(path: Path) -> list[dict[str, Any]]:
    """The rows of a record, after a table was made of them."""
    rows = check_entries(path, read_rows(path))
    if rows:
        scores_table(path.parent.name, summary_table(path.parent.name, repeats_table(rows)), [])
    return [asdict(row) for row in rows]


def params(folder: Path) -> Trial:
    """params.yaml, whose settings are what it says, or none."""
    path = folder / "params.yaml"
    text = (ROOT / "params.yaml").read_text()
    values = yaml.load(text, yaml.CSafeLoader)

    def trial(chance: random.Random) -> Seen:
        if chance.random() < 0.6:
            changed = yaml.dump(mutate_value(chance, values), sort_keys=False, allow_unicode=True)
            path.write_text(changed, errors="replace")
        else:
            path.write_bytes(mutate(chance, text.encode()))
        return read_params(path)

    return trial


def read_params(path: Path) -> Seen:
    """What is seen of a params.yaml that `check` reads."""

    def use() -> Project:
        project = load_project(path)
        for study in project.params.studies:
            resolved(project, study)
        return project

    return watched("", use, lambda project: differs(yaml.load(path.read_bytes(), yaml.CSafeLoader), as_read(project)))


def as_read(project: Project) -> dict[str, Any]:
    """What was read of params.yaml, under its own names."""
    studies = {}
    for study, profiles in project.studies.items():
        parts = [
            {name: getattr(settings, name).model_dump(mode="json") for name in ("corpus", "tokens", "training")}
            for settings in (profiles["sample"], profiles["full"])
        ]
        studies[study] = {"kind": profiles["sample"].kind, **parts[0], "full": parts[1]}
    return {name: getattr(project.params, name) for name in Params.model_fields} | studies


def differs(written: Any, read: Any, place: str = "") -> str:
    """Where what was read is not what is written, to which a program may have added; empty: nowhere."""
    if isinstance(written, dict) and isinstance(read, dict):
        return next(filter(None, (differs(v, read.get(k, "nothing"), f"{place}.{k}") for k, v in written.items())), "")
    if isinstance(written, list) and isinstance(read, list | tuple):
        pairs = zip(written, read, strict=False)
        found = next(filter(None, (differs(a, b, f"{place}.{n}") for n, (a, b) in enumerate(pairs))), "")
        return found or (f"other length at {place}" if len(written) != len(read) else "")
    is_same = str(written) == str(read) or (written is None and (read is None or isinstance(read, dict)))
    if not is_same and isinstance(read, int | float) and isinstance(written, int | float | str):
        with suppress(ValueError):
            is_same = float(written) == float(read)
    return "" if is_same else f"another value than is written at {place}"


LINES = 40


def tables(folder: Path) -> Trial:
    """A person's table or text: rows that the fault does not touch are read as before, or it is said."""
    texts = [f"{'what a lovely' if n % 2 else 'such an awful'} film, number {n}, déjà vu" for n in range(LINES)]
    labels = ["pos" if n % 2 else "neg" for n in range(LINES)]
    days = [f"2019-{1 + n // 28:02d}-{1 + n % 28:02d}" for n in range(LINES)]
    objects = [json.dumps({"review": text, "mood": label}) for text, label in zip(texts, labels, strict=True)]
    target = folder / "raw"
    of_texts = {"kind": "classification", "text": "review", "label": "mood"}
    files: list[tuple[str, str, dict[str, str]]] = [
        ("a.csv", "".join(["review,mood\n", *(f'"{t}",{v}\n' for t, v in zip(texts, labels, strict=True))]), of_texts),
        ("b.tsv", "".join(["mood\treview\n", *(f"{v}\t{t}\n" for t, v in zip(texts, labels, strict=True))]), of_texts),
        ("c.jsonl", "".join(f"{one}\n" for one in objects), of_texts),
        (
            "d.csv",
            "".join(["day;level;other\n", *(f"{d};{n},5;{n % 7}\n" for n, d in enumerate(days))]),
            {"kind": "series", "value": "level", "inputs": "other"},
        ),
        ("e.txt", "".join(f"{text}\n" for text in texts), {"kind": "language_model"}),
        ("f.json", "[" + ",\n".join(objects) + "]", of_texts),
    ]
    contents = [(name, text.encode(), options) for name, text, options in files]
    table = pd.DataFrame({"review": texts, "mood": labels})
    contents.append(("g.parquet", table.to_parquet(write_page_checksum=True), of_texts))
    wanted = {}
    for name, content, options in contents:
        (folder / name).write_bytes(content)
        wanted[name] = list(map(repr, records_of(folder / name, inspect(folder / name, **options))))
        assert len(wanted[name]) == LINES

    def trial(chance: random.Random) -> Seen:
        name, good, options = chance.choice(contents)
        (folder / name).write_bytes(data := mutate(chance, good))
        said: list[str] = []
        lost: list[int] = []

        def use() -> list[str]:
            findings = inspect(folder / name, **options)
            said.extend([*findings.warnings, *findings.refusals, *(dropped.reason for dropped in findings.dropped)])
            found = list(records_of(folder / name, findings))
            lost.extend([1] * (not findings.refusals and stored(folder / name, target, options) != found))
            return list(map(repr, found))

        def wrong(found: list[str]) -> str:
            if lost:
                return "other raw data than what is read"
            if name == "g.parquet":  # whose pages have checksums
                return "" if said or found == wanted[name] else "other rows without a word"
            # A line's bytes stand in the file still, and so does the header: then its row is read.
            lines, left = good.splitlines(), Counter(data.splitlines())
            head = len(lines) - LINES
            if said or left[lines[0]] == 0 or data.count(b'"') != good.count(b'"'):
                return ""
            whole = [row for line, row in zip(lines[head:], wanted[name], strict=True) if left[line]]
            return "a row lost without a word" if Counter(whole) - Counter(found) else ""

        return watched(name, use, wrong)

    return trial


def stored(path: Path, target: Path, options: Mapping[str, str]) -> list[Any]:
    """What `fetch` makes of a person's file, read back."""
    corpus = OwnFile(source="file", path=str(path))
    match options:
        case {"text": text, "label": label}:
            write_labelled(corpus, text, label, target)
            names = read_json(target / "provenance.json")["labels"]
            return [(text, names[number]) for text, number in read_labelled(target)]
        case {"value": value, "inputs": inputs}:
            write_series(corpus, value, (inputs,), target)
            return np.load(target / "values.npy").tolist()
    write_text(corpus, "", target)
    text = (target / "text.txt").read_bytes().decode("utf-8", "surrogatepass")
    return re.findall("[^\n]*\n", text)


TEXTS = [
    "I loved the movie",
    "This film is horrible",
    "école “ever” 😀",
    "Фильм был хорош",
    "这部电影很好",
    "",
    "映画は",
]
ENCODINGS = [
    "utf-8", "utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1", "cp1252", "cp1251", "gbk",
    "shift_jis",
]  # fmt: skip


def texts(folder: Path) -> Trial:
    """Texts for `predict`, in any encoding and with any line end."""

    def trial(chance: random.Random) -> Seen:
        lines = [chance.choice(TEXTS) for _ in range(chance.randint(1, 4))]
        encoding, end = chance.choice(ENCODINGS), chance.choice(("\n", "\r\n"))
        data = "".join(f"{line}{end}" for line in lines).encode(encoding, "ignore")
        whole = "".join(f"{line}\n" for line in lines)
        if chance.random() < 0.7:
            data = mutate(chance, data)
            return watched("texts.txt", lambda: decode(data, "texts.txt"), lambda text: misread(data, text))
        whole = whole.encode(encoding, "ignore").decode(encoding)
        is_ascii = data.isascii() or encoding.startswith("utf")
        return watched(
            "texts.txt",
            lambda: decode(data, "texts.txt"),
            lambda text: misread(data, text) or ("another text" if is_ascii and text != whole else ""),
        )

    return trial


def misread(data: bytes, text: str) -> str:
    """Whether a text is what no encoding that is understood makes of its bytes."""
    readings = []
    for encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"):
        try:
            read = data.decode(encoding).replace("\r\n", "\n")
        except UnicodeDecodeError:
            continue
        readings += [read, read.replace("\r", "\n")]
    return "" if text in readings else "another text than its bytes say"


BY_MLFLOW = "MLflow's own answer to what is no request: status 500, or all of it repeated"


def requests(folder: Path) -> Trial:
    """Requests to the served model, as MLflow's server takes them."""
    asked, served = ["good film", "the bad film", "", "good"], serve(folder)
    bodies = [
        {"inputs": {"text": asked}},
        {"dataframe_split": {"columns": ["text"], "data": [[text] for text in asked]}},
        {"dataframe_records": [{"text": text} for text in asked]},
        {"instances": [{"text": text} for text in asked]},
    ]

    def trial(chance: random.Random) -> Seen:
        body = chance.choice(bodies)
        if chance.random() < 0.5:
            return served(mutate(chance, json.dumps(body).encode()))
        return served(json.dumps(mutate_value(chance, body)).encode())

    return trial


def serve(folder: Path) -> Callable[[bytes], Seen]:
    """What is seen of a request's body, by a model of random weights."""
    from mlflow.exceptions import MlflowException
    from mlflow.pyfunc import load_model, scoring_server

    from stages.tracking.models import save_pyfunc
    from stages.trained.find import Trained

    words = ["<unk>", "<pad>", "the", "film", "good", "bad"]
    sizes = {"embedding_size": 4, "hidden_size": 3, "layers": 1, "dropout": 0.0, "dropout_between_layers": 0.0}
    trained = Trained(
        study="imdb",
        kind="classification",
        cell="gru",
        settings={
            "key": "k", "repeat": 0, "seed": 1, "corpus": "sample", "data_digest": "d",
            "hyperparameters": {"cell": "gru", **sizes},
        },
        weights=folder / "w.safetensors",
        vocabulary=folder / "vocabulary.txt",
        ready={},
    )  # fmt: skip
    from stages.kinds.classification.model import ReviewClassifier

    net = ReviewClassifier("gru", vocabulary_size=len(words), **sizes)
    net.start(torch.Generator().manual_seed(3))
    write_tensors(trained.weights, {name: value.numpy() for name, value in net.state_dict().items()})
    (folder / "vocabulary.txt").write_text("".join(f"{word}\n" for word in words))
    save_pyfunc(trained, folder / "model")
    forget_served_code()
    model = load_model(str(folder / "model"))
    schema = model.metadata.get_input_schema()

    def use(body: bytes) -> list[Any]:
        try:
            answer = scoring_server.invocations(body, "application/json", model, schema)
        except MlflowException as error:
            if error.get_http_status_code() != 400 or "stack_trace" in json.loads(error.serialize_as_json()):
                raise
            raise InputError(" ".join(error.message.split())) from error
        predictions: list[Any] = json.loads(answer.response)["predictions"]
        return predictions

    def wrong(answers: list[Any]) -> str:
        for answer in answers:
            total = answer["probability_positive"] + answer["probability_negative"]
            if abs(total - 1) > 1e-6 or (answer["probability_positive"] > 0.5) != (answer["label"] == "positive"):
                return "an answer that contradicts itself"
        return ""

    def served(body: bytes) -> Seen:
        seen = watched("", lambda: use(body), wrong)
        seen = replace(seen, said="".join(line for line in seen.said.splitlines(True) if " mlflow." not in line))
        return seen if judge(seen) in SURVIVED or reached_us(seen.error) else Seen("", BY_MLFLOW)

    return served


def reached_us(error: BaseException | None) -> bool:
    """Whether a request came as far as this project's code before it failed."""
    frames = traceback.extract_tb(error.__traceback__) if error else []
    return any("lstm_vs_gru_" in frame.filename for frame in frames) or bool(error and reached_us(error.__cause__))


def curve_files(folder: Path) -> Trial:
    """What a job leaves for the tracker: what is torn costs itself alone."""
    os.environ["DVC_ROOT"] = str(folder)
    from tests.tracking.tracked import key_of, row, write, write_cell

    write_cell(folder, [row(0), row(1)])
    path = folder / "tracking" / f"{key_of(2)}.jsonl"
    lines = [{"time": 1, "rows": [row(2)], "tags": {"a": "b"}}] + [
        {"time": epoch, "epoch": epoch, "values": {"train_loss": 1 / epoch}} for epoch in (1, 2, 3)
    ]
    good = "".join(f"\n{json.dumps(line)}" for line in [*lines, {"time": 9, "end": "FINISHED"}]).encode()
    write(path, good)
    wanted = {run.key: run.values_digest("") for run in Desired().runs if run.key != key_of(2)}

    def trial(chance: random.Random) -> Seen:
        path.write_bytes(mutate(chance, good))

        def use() -> dict[str, str]:
            desired = Desired()
            for problem in desired.problems:
                print(problem, file=sys.stderr)
            return {run.key: run.values_digest("") for run in desired.runs}

        return watched(path.name, use, lambda found: "another run lost" if wanted.items() - found.items() else "")

    return trial


def locks(folder: Path) -> Trial:
    """dvc.lock cut off at any place, or with bytes that are no text."""
    entry = "  {0}:\n    cmd: exec {0}\n    deps:\n    - path: a\n      hash: md5\n      md5: {1}\n    outs:\n" + (
        "    - path: {0}\n      hash: md5\n      md5: {1}\n      size: 3\n"
    )
    text = "schema: '2.0'\nstages:\n" + "".join(entry.format(name, name[-1] * 32) for name in ("sa", "sb", "sc", "sd"))
    Path("dvc.lock").write_text(text)
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    for words in (["init", "--quiet"], ["add", "dvc.lock"], ["commit", "--quiet", "-m", "x"]):
        subprocess.run([*git, *words], check=True, capture_output=True)

    def trial(chance: random.Random) -> Seen:
        data = text.encode()[: chance.randrange(len(text))] + bytes(chance.randrange(3) == 0)
        Path("dvc.lock").write_bytes(data)
        with redirect_stdout(StringIO()) as said:
            seen = watched("dvc.lock", lambda: mend.mend_lock(Path("dvc.lock")), lambda _: other_entry(text))
        return replace(seen, said=said.getvalue())

    return trial


def other_entry(text: str) -> str:
    """Whether a dvc.lock has an entry that is not the text's. One that it lacks, cut off at its end, DVC makes anew."""
    left, whole = (yaml.safe_load(each)["stages"] for each in (Path("dvc.lock").read_text(errors="replace"), text))
    for entry in (*left.values(), *whole.values()):
        entry["outs"][0].pop("size", None)  # DVC does well without it
    return "" if left.items() <= whole.items() else "an entry that is not as it was"


def one_of(allowed: Iterable[str], otherwise: str) -> Callable[[str], str]:
    """What is wrong with a result that is to be one of some."""
    return lambda result: "" if result in allowed else otherwise


def baselines(folder: Path) -> Trial:
    """baseline.json, a JSON file without a digest."""
    good = (ROOT / "metrics/record/imdb/baseline.json").read_bytes()
    path = folder / "baseline.json"

    def trial(chance: random.Random) -> Seen:
        path.write_bytes(mutate(chance, good))
        if chance.random() < 0.5:
            path.write_text(json.dumps(mutate_value(chance, json.loads(good))))

        return watched(
            str(path), lambda: read_baselines(path), lambda rows: differs(json.loads(path.read_bytes())["rows"], rows)
        )

    return trial
