"""Refuse parameters that cannot work, before DVC removes any output, and resolve the others: `python -m stages.check`.

It imports no torch: a person who misspelt a key should not wait for it.
"""

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from stages.nn.cells import CELLS
from stages.support.files import at_hand, digest, file_digest, read_json, root, whole, write_json
from stages.support.params import load_project, resolved, resolved_report
from stages.support.process import InputError, run_stage
from stages.tables.layout import find_layout, place_of
from stages.text.corpora.download import Mirror

SETTINGS = Path("data/settings")


def main() -> None:
    """Check all of params.yaml and write data/settings: the values and the code on which each later stage depends.

    They are STUDY/STAGE.json, of a cell STUDY/train/CELL.json and STUDY/evaluate/CELL.json, and report.json.
    """
    with suppress(OSError):  # `-S` writes twice in one second and as many bytes: Git would see no change
        os.utime("params.yaml")
    project = load_project()
    params = project.params
    unknown = [cell for cell in params.cells if cell not in CELLS]
    if unknown:
        raise InputError(f"params.yaml: cells: '{unknown[0]}' is not a cell; known are {', '.join(CELLS)}")
    cores = os.cpu_count() or 1
    for name, wanted in (("processes", params.processes), ("threads", params.threads)):
        if wanted > cores and not params.cluster_address:
            raise InputError(f"params.yaml: {name}: {wanted} is not allowed: this machine has {cores} cores")
    Mirror.chosen(params.mirror, root())
    with whole(SETTINGS) as folder:
        for study in params.studies:
            contents = resolved(project, study)
            corpus = contents["fetch"]["corpus"]
            if corpus["source"] == "file":
                corpus["digest"] = _digest(study, corpus["path"])
                _check_columns(study, corpus)
            for name, content in contents.items():
                write_json(folder / study / f"{name}.json", content)
        write_json(folder / "report.json", resolved_report(project))


def _digest(study: str, named: str) -> str:
    """Of a person's file, or of all files in a folder; of what is not there the one that was found before.

    So a clone that has what was made of the file goes on with it.
    """
    path = at_hand(Path(named))
    if not path.exists():
        missing, before = f"{study}.corpus.path: {named} is not there", SETTINGS / study / "fetch.json"
        known = read_json(before)["corpus"] if before.exists() else {}
        if known.get("path") != named:
            raise InputError(f"params.yaml: {missing}; `make own FILE=...` links a file")
        print(f"check: {missing}: what was read of it before stands", file=sys.stderr, flush=True)
        return str(known["digest"])
    files = sorted(inner for inner in path.rglob("*") if inner.is_file()) if path.is_dir() else [path]
    return digest({str(file.relative_to(path.parent)): file_digest(file) for file in files})


def _check_columns(study: str, corpus: dict[str, Any]) -> None:
    """Refuse columns that the head of a person's table does not have."""
    path = at_hand(Path(corpus["path"]))
    named = {key: [corpus[key]] for key in ("text", "label", "value") if corpus.get(key)}
    named["inputs"] = list(corpus.get("inputs", ()))
    if not path.is_file() or not any(named.values()):
        return
    columns = find_layout(path).columns
    for key, names in named.items():
        for name in names:
            if place_of(name, columns) is None:
                there = ", ".join(columns[:20]) or "none"
                raise InputError(
                    f"params.yaml: {study}.corpus.{key}: {corpus['path']} has no column {name!r}; there are: {there}"
                )


if __name__ == "__main__":
    run_stage(main)
