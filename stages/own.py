"""LSTM or GRU on your own data: `python -m stages.own FILE [NAME=VALUE ...]`.

Says what the file holds, writes a study's section into params.yaml, runs its chain and prints the answer. What can't be
guessed is settled by KIND= (classification, language_model, series), TEXT=, LABEL=, VALUE=, INPUTS= (columns, with
commas between them), NAME= (the study's), HORIZON= and WINDOW= (steps), BUDGET= (minutes). The file stays where it is.
"""

import os
import re
import subprocess
from pathlib import Path
from typing import Any

from stages.support.files import root, write_text
from stages.support.params import load_project
from stages.support.process import InputError, StageError, run_stage
from stages.tables.findings import text_report
from stages.tables.inspect import inspect
from stages.tables.sizes import section

OWN = Path("data/own")
"""Links to the files that people bring, one a study: `check` depends on this folder."""
_COLUMNS = ("KIND", "TEXT", "LABEL", "VALUE", "INPUTS")
_OTHERS = ("NAME", "HORIZON", "WINDOW", "BUDGET")
_KINDS = {"series": "sequence"}  # what `inspect` calls it


def main(file: str, *words: str) -> None:
    """Inspect, write the section, run, answer."""
    options = _options(words)
    path = Path(file).expanduser()
    given: dict[str, Any] = {name.lower(): options[name] for name in _COLUMNS if options.get(name)}
    if "kind" in given:
        given["kind"] = _KINDS.get(given["kind"], given["kind"])
    findings = inspect(path, **given)
    print("\n".join(text_report(findings)), flush=True)
    if findings.refusals:
        raise InputError(f"{file}: {findings.refusals[0]}")
    name = options.get("NAME") or _name_of(path)
    horizon, window = _steps(options, "HORIZON") or 1, _steps(options, "WINDOW")
    link = _link(name, path)
    add_study(name, section(findings, link, horizon, window))
    print(f"\nparams.yaml: study {name} is written; running its chain\n", flush=True)
    targets = [f"headline@{name}", f"compare@{name}"]
    if subprocess.run(["dvc", "repro", *targets], check=False).returncode:
        raise StageError(
            f"own: the chain of {name} failed (see above); `dvc repro {' '.join(targets)}` goes on with it"
        )
    from stages.show import show_study  # pandas is slow

    show_study(name)


def add_study(name: str, values: dict[str, Any], path: Path = Path("params.yaml")) -> None:
    """Write a study's section into params.yaml, whose comments and order stay, and its name into `studies`.

    Raises:
        InputError: the result is not allowed; params.yaml is as it was.
    """
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.width = 4096
    yaml.preserve_quotes = True
    before = path.read_text(encoding="utf-8")
    params = yaml.load(before)
    if name not in params["studies"]:
        params["studies"].append(name)
    params[name] = values
    with path.with_suffix(".new").open("w", encoding="utf-8") as file:
        yaml.dump(params, file)
    after = path.with_suffix(".new").read_text(encoding="utf-8")
    path.with_suffix(".new").unlink()
    write_text(path, after)
    try:
        load_project(path)
    except InputError:
        write_text(path, before)
        raise


def _options(words: tuple[str, ...]) -> dict[str, str]:
    options = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or key not in (*_COLUMNS, *_OTHERS):
            raise InputError(f"own: {word!r} is not one of {', '.join(f'{k}=' for k in (*_COLUMNS, *_OTHERS))}")
        options[key] = value
    return options


def _steps(options: dict[str, str], name: str) -> int | None:
    value = options.get(name)
    if not value:
        return None
    if not re.fullmatch(r"[1-9][0-9]{0,4}", value):
        raise InputError(f"own: {name}={value}: a whole number of steps from 1 on is needed")
    return int(value)


def _name_of(path: Path) -> str:
    """The file's name as a study's: small letters, digits and `_`."""
    name = re.sub(r"[^a-z0-9]+", "_", path.stem.lower()).strip("_")
    return name if name[:1].isalpha() else f"own_{name}".rstrip("_")


def _link(name: str, path: Path) -> Path:
    """A link to the file in data/own, under the study's name."""
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise InputError(f"own: NAME={name}: small letters, digits and _ are allowed, a letter first")
    project = load_project()
    known = project.studies.get(name)
    if known and getattr(known["sample"].corpus, "source", "") != "file":
        raise InputError(f"own: NAME={name}: params.yaml has a study of this name; choose another with NAME=")
    OWN.mkdir(parents=True, exist_ok=True)
    link = OWN / f"{name}{''.join(path.suffixes[-2:]).lower()}"
    target = os.path.relpath(path.resolve(), OWN.resolve()) if _inside(path) else str(path.resolve())
    if link.is_symlink() or link.exists():
        link.unlink()
    link.symlink_to(target)
    return link


def _inside(path: Path) -> bool:
    """Whether a file lies in the project, so that a link to it can move with the project."""
    return path.resolve().is_relative_to(root())


if __name__ == "__main__":
    run_stage(main)
