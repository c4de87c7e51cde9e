"""LSTM or GRU on your own data: `python -m stages.own FILE [NAME=VALUE ...]`.

Says what the file holds, writes a study's section into params.yaml, runs its chain and prints the answer. FILE is a
path or an http(s) address; what a path names stays where it is. What can't be guessed is settled by KIND=
(classification, language_model, series), TEXT=, LABEL=, VALUE=, INPUTS= (columns, with commas between them), NAME= (the
study's), HORIZON= and WINDOW= (steps), BUDGET= (minutes).
"""

import os
import re
import shutil
import sys
import time
from contextlib import suppress
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import unquote, urlsplit

from stages.studies import documented
from stages.support.files import digest, root, write_text
from stages.support.params import load_project, why_no_study
from stages.support.process import REFUSAL, InputError, StageError, run_stage, run_to_its_end, taking_back
from stages.tables.findings import SERIES, text_report
from stages.tables.inspect import inspect
from stages.tables.sizes import section

OWN = Path("data/own")
"""Links to the files that people bring, one a study: `check` depends on this folder."""
DEFAULT_BUDGET = 60.0
"""Minutes."""
_COLUMNS = ("KIND", "TEXT", "LABEL", "VALUE", "INPUTS")
_STEPS = ("HORIZON", "WINDOW")
_OTHERS = ("NAME", *_STEPS, "BUDGET")
_LONGEST_NAME = 36  # with room for own_


def main(file: str, *words: str) -> None:
    """Inspect, write the section, train as much as the budget has room for, answer."""
    with taking_back():
        _make(file, words)


def _make(file: str, words: tuple[str, ...]) -> None:
    began = time.monotonic()
    options = _options(words)
    budget = _budget(options)
    path, name = _found(file, options.get("NAME", ""))
    given: dict[str, Any] = {name.lower(): options[name] for name in _COLUMNS if options.get(name)}
    findings = inspect(path, **given)
    print("\n".join(text_report(findings)), flush=True)
    if findings.refusals:
        raise InputError(f"{file}: {findings.refusals[0]}")
    params, link = Path("params.yaml"), _link_of(name, path)
    before, is_new = params.read_text(encoding="utf-8"), not link.is_symlink()
    steps = {name.lower(): _steps(options, name) for name in _STEPS if options.get(name)}
    if steps and findings.kind != SERIES:
        raise InputError(f"own: {min(steps).upper()}= is of a series, and {path.name} is read as a {findings.kind}")
    values = section(findings, link, **steps)
    _point(link, path)
    try:
        add_study(name, values)
        print(f"\nparams.yaml: study {name} is written; reading all of {path.name}\n", flush=True)
        # DVC looks into no folder behind a link: `check` does.
        checked = path.is_file() or _dvc_repro("--force", "--single-item", "check")
        if not (checked and _dvc_repro(f"tokenize@{name}")):
            raise StageError(f"own: {path.name} can't be made into a study (see above); params.yaml is as it was")
        _cut(name, values, budget, began)
    except BaseException as error:
        write_text(params, before)
        if is_new and link.is_symlink():
            link.unlink()
            for made in ("raw", "ready"):
                shutil.rmtree(Path("data", made, name), ignore_errors=True)
        elif not is_new and isinstance(error, InputError):  # what was refused is of the study as it was before
            with suppress(StageError):
                _dvc_repro(f"tokenize@{name}")
        raise
    targets = [f"headline@{name}", f"compare@{name}"]
    how = "failed (see above)"
    try:
        done = _dvc_repro(*targets)
    except InputError as error:
        done, how = False, f"failed ({error})"
    except KeyboardInterrupt:
        done, how = False, "was interrupted"
    if not done:
        raise StageError(
            f"own: the chain of {name} {how}; `dvc repro {' '.join(targets)}` goes on with it, and "
            f"`python -m stages.show {name}` says the answer"
        )
    show(name)


def _dvc_repro(*words: str) -> bool:
    """Whether `dvc repro` came to its end; raises InputError, with its line, where a stage refused what it read."""
    with TemporaryDirectory() as folder:
        refusal = Path(folder, "refusal")
        if not run_to_its_end(["dvc", "repro", *words], {REFUSAL: str(refusal)}):
            return True
        if refusal.exists():
            raise InputError(refusal.read_text(encoding="utf-8"))
        return False


def show(study: str) -> None:
    """Write report/STUDY.html, and print the table, the answer and where to look next."""
    from stages.results.own_answer import read_answers, said  # scipy is slow
    from stages.results.report import own_page

    answers = said(*read_answers(study, load_project().params.cells))
    page = Path("report", f"{study}.html")
    write_text(page, own_page(study, answers))
    print(f"\n{Path('plots', study, 'table.md').read_text(encoding='utf-8')}")
    print("\n\n".join(answers))
    print(
        "\nWhere to look next:\n"
        f"  the page             {page}, in any browser\n"
        f"  its settings         {study}: in params.yaml; edit them and `dvc repro`\n"
        f"  GRU on show          . .venv/bin/activate; dvc exp run -S cell=gru headline@{study} && dvc metrics diff\n"
        f"  use the model        {_use(study)}"
    )


def _use(study: str) -> str:
    match load_project().settings(study).kind:
        case "classification":
            return f'python -m stages.predict {study} "a text"'
        case "series":
            return f"python -m stages.forecast {study} --steps 12"
        case _:
            return f"python -m stages.sample {study}"


def _cut(name: str, values: dict[str, Any], budget: float, began: float) -> None:
    """Estimate how long the rest of the chain takes, and cut the section to what the budget has left; both are said."""
    from stages.training import budget as plans

    cost = plans.cost_of(name, load_project())
    gone = (time.monotonic() - began) / 60
    plan = plans.plan_of(values["training"])
    kept = plans.kept_to(budget - gone, plan, cost)
    cut = plans.apply(kept, values["training"])
    takes = gone + cost.minutes(kept)
    print(
        f"\nbudget: {gone:.2g} min are gone; an epoch of the LSTM takes {cost.epoch_seconds:.3g} s here, a stage "
        f"{cost.start_seconds:.2g} s to start; in all {takes:.2g} min at the most"
    )
    if cut:
        add_study(name, values)
        whole = gone + cost.minutes(plan)
        print(f"budget: cut to keep to {budget:g} min, where {whole:.2g} would be needed: {', '.join(cut)}")
    if round(takes, 1) > budget:
        print(f"warning: {takes:.1f} min are more than the budget of {budget:g}, and no more is cut", file=sys.stderr)
    print(flush=True)


def add_study(name: str, values: dict[str, Any], path: Path = Path("params.yaml")) -> None:
    """Write a study's section into params.yaml, whose comments and order stay, and its name into `studies`.

    Raises:
        InputError: the result is not allowed; params.yaml is as it was.
    """
    from ruamel.yaml import YAML

    roundtrip = YAML()
    roundtrip.width = 4096
    roundtrip.preserve_quotes = True
    before = path.read_text(encoding="utf-8")
    params = roundtrip.load(before)
    if name not in params["studies"]:
        params["studies"].append(name)
    params[name] = _quoted(values)
    after = StringIO()
    roundtrip.dump(params, after)
    write_text(path, after.getvalue())
    try:
        load_project(path)
    except InputError:
        write_text(path, before)
        raise


def _quoted(value: Any) -> Any:  # noqa: ANN401 - mappings, lists and what stands in them
    """The same, with texts quoted that are no text in YAML 1.1: a column `No` is false there."""
    import yaml
    from ruamel.yaml.scalarstring import SingleQuotedScalarString

    if isinstance(value, dict):
        return {key: _quoted(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_quoted(inner) for inner in value]
    return SingleQuotedScalarString(value) if isinstance(value, str) and yaml.safe_dump(value)[0] in "'\"" else value


def _options(words: tuple[str, ...]) -> dict[str, str]:
    options = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or key not in (*_COLUMNS, *_OTHERS):
            raise InputError(f"own: {word!r} is not one of {', '.join(f'{k}=' for k in (*_COLUMNS, *_OTHERS))}")
        options[key] = value
    return options


def _steps(options: dict[str, str], name: str) -> int:
    value = options[name]
    if not re.fullmatch(r"[1-9][0-9]{0,4}", value):
        raise InputError(f"own: {name}={value}: a whole number of steps from 1 on is needed")
    return int(value)


def _budget(options: dict[str, str]) -> float:
    value = options.get("BUDGET") or str(DEFAULT_BUDGET)
    if not re.fullmatch(r"[0-9]{1,6}(\.[0-9]+)?", value) or not float(value):
        raise InputError(f"own: BUDGET={value}: minutes are needed, a number above 0")
    return float(value)


def _found(file: str, name: str) -> tuple[Path, str]:
    """The file, downloaded where it is an address, and the name of its study."""
    is_address = bool(re.match(r"https?://[^/]", file, re.IGNORECASE))
    path = Path(unquote(urlsplit(file).path)) if is_address else Path(file).expanduser()
    name = _checked(name) if name else _name_of(path)
    if not is_address:
        return path, name
    from stages.text.corpora.download import Patience, RemoteFile, download

    if urlsplit(file).username is not None:
        raise InputError("own: the address has a user or a password; download the file and name its path")
    # Of the address, so that another one's file is another file.
    remote = RemoteFile(f"{name}-{digest(file)[:8]}{_suffixes(path)}", (file,))
    return download([remote], OWN, Patience(), "download it by other means and name its path"), name


def _name_of(path: Path) -> str:
    """The file's name as a study's: small letters, digits and `_`."""
    name = re.sub(r"[^a-z0-9]+", "_", path.name.partition(".")[0].lower()).strip("_")[:_LONGEST_NAME]
    is_free = not why_no_study(name) and name not in documented()
    return name if is_free else f"own_{name}".rstrip("_")


def _checked(name: str) -> str:
    if why := why_no_study(name):
        raise InputError(f"own: NAME={name}: {why}")
    if name in documented():
        raise InputError(f"own: NAME={name}: a document's study has this name; choose another")
    return name


def _suffixes(path: Path) -> str:
    """Such as `.csv` or `.csv.gz`: what readers go by."""
    return "".join(path.suffixes[-2:] if path.suffix.lower() == ".gz" else path.suffixes[-1:]).lower()


def _link_of(name: str, path: Path) -> Path:
    """Where the link to a file stands in data/own, under the study's name.

    Raises:
        InputError: the study of this name is another file's, or a file stands where the link would.
    """
    link = OWN / f"{name}{_suffixes(path)}"
    if link.exists() and not link.is_symlink() and link.absolute() != path.absolute():
        raise InputError(f"own: {link} is a file of yours; choose another name with NAME=, or name that file")
    known = load_project().studies.get(name)
    if not known:
        return link
    corpus = known["sample"].corpus
    if getattr(corpus, "source", "") != "file" or Path(corpus.path).resolve() != path.resolve():
        raise InputError(
            f"own: study {name} of params.yaml is another file's ({getattr(corpus, 'path', corpus.source)}); "
            "choose another name with NAME="
        )
    return link


def _point(link: Path, path: Path) -> None:
    """Make the link, relative where the file lies in the project, so that both can move."""
    OWN.mkdir(parents=True, exist_ok=True)
    if path.absolute() == link.absolute():
        return
    is_inside = path.resolve().is_relative_to(root())
    link.unlink(missing_ok=True)
    link.symlink_to(os.path.relpath(path.resolve(), OWN.resolve()) if is_inside else path.resolve())


if __name__ == "__main__":
    run_stage(main)
