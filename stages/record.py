"""Run a full protocol on the real corpus into the record, without touching the workspace's results.

`python -m stages.record STUDY CELL REPEATS` (such as `imdb gru 0-2`) runs what is not recorded yet; settings may
follow as for `dvc exp run -S` (`ptb lstm 0-2 ptb.full.training.models=[basic]`), and make a protocol of their own where
they change it. `python -m stages.record merge FOLDER` adds the metrics/record of another clone.
"""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from stages import readme
from stages.results import record
from stages.results.record import Entry
from stages.results.record_schema import check_entries
from stages.support.files import read_json, root, write_text
from stages.support.params import Params, load_params, parse_repeats
from stages.support.process import InputError, StageError, run_stage

_EPOCHS_RECORDED = 100


def main(*words: str) -> None:
    """Record a study's cell, or merge another record."""
    if len(words) == 2 and words[0] == "merge":
        merge_folder(Path(words[1]))
    elif len(words) >= 3 and all("=" in word for word in words[3:]):
        record_runs(*words)
    else:
        raise InputError(
            f"record: {' '.join(words)!r} is neither 'STUDY CELL REPEATS [NAME=VALUE ...]' nor 'merge FOLDER'"
        )


def record_runs(study: str, cell: str, repeats: str, *settings: str) -> None:
    """Run the repeats that the record lacks, each stretch of them as one experiment, and merge their scores."""
    params = load_params()
    if study not in params.studies or cell not in params.cells:
        raise InputError(
            f"record: no such study or cell: {study} {cell}; studies are {', '.join(params.studies)}, "
            f"cells {', '.join(params.cells)}"
        )
    try:
        wanted = parse_repeats(repeats)
    except ValueError as error:
        raise InputError(f"record: REPEATS {repeats!r} is not allowed: {error}") from None
    overrides = [*_settings(params, study, cell), *settings]
    missing = _missing(_overridden(overrides), study, cell, wanted)
    if not missing:
        print(f"nothing to do: {study} {cell} repeats {repeats} are in {record.RECORD / study / cell}.json")
        return
    conflicts: list[str] = []
    for first, last in _stretches(missing):
        conflicts += _merge(study, cell, _run(params, study, cell, f"{first}-{last}", overrides))
    print(f"recorded {study} {cell}: see {record.draw_record(study) / 'table.md'}")
    readme.main()
    _report(conflicts)


def merge_folder(folder: Path) -> None:
    """Add the entries of another clone's metrics/record, and the baselines that this one lacks."""
    paths = sorted(path for path in folder.glob("*/*.json") if path.stem != "baseline")
    if not paths:
        raise InputError(f"record: {folder} holds no STUDY/CELL.json; name the metrics/record of another clone")
    conflicts: list[str] = []
    for path in paths:
        conflicts += _merge(path.parent.name, path.stem, check_entries(path, read_json(path)))
    for path in sorted(folder.glob("*/baseline.json")):
        here = record.RECORD / path.parent.name / path.name
        if not here.exists():
            write_text(here, path.read_text(encoding="utf-8"))
    for study in sorted({path.parent.name for path in paths}):
        print(f"merged {study}: see {record.draw_record(study) / 'table.md'}")
    readme.main()
    _report(conflicts)


def _missing(params: Params, study: str, cell: str, wanted: Sequence[int]) -> list[int]:
    """The repeats that some arm of this protocol has no entry for."""
    from stages.training.repeats import study_module  # torch takes a second to import

    arms = study_module(study).arms(cell, params.section(study).training, params.layers, params.dropout)
    have = {(entry["protocol_digest"], entry["repeat"]) for entry in record.read_entries(study, cell)}
    digests = [record.protocol_digest(study, arm.setting, vars(arm.hyperparameters), params.seed) for arm in arms]
    return [repeat for repeat in wanted if any((digest, repeat) not in have for digest in digests)]


def _stretches(repeats: Sequence[int]) -> list[tuple[int, int]]:
    """Neighbouring repeats as (first, last)."""
    stretches: list[tuple[int, int]] = []
    for repeat in repeats:
        if stretches and repeat == stretches[-1][1] + 1:
            stretches[-1] = (stretches[-1][0], repeat)
        else:
            stretches.append((repeat, repeat))
    return stretches


def _settings(params: Params, study: str, cell: str) -> list[str]:
    """What `-S` changes so that an experiment trains one cell at full size, and nothing else."""
    return [
        "profile=full",
        f"cell={cell}",
        f"cells=[{cell}]",
        f"studies=[{study}]",
        *(
            f"{group}=[{study}]" if study in getattr(params, group) else f"{group}=[]"
            for group in ("texts", "synthetic")
        ),
    ]


def _overridden(settings: Sequence[str]) -> Params:
    """The parameters as `-S` would write them."""
    from dvc.exceptions import InvalidArgumentError
    from dvc.utils.hydra import apply_overrides

    with tempfile.TemporaryDirectory() as folder:
        path = Path(shutil.copy("params.yaml", folder))
        try:
            apply_overrides(path, list(settings))
        except InvalidArgumentError as error:
            raise InputError(f"record: a setting is not allowed: {str(error.__cause__).splitlines()[0]}") from None
        with contextlib.chdir(folder):
            return load_params()


def _run(params: Params, study: str, cell: str, repeats: str, settings: Sequence[str]) -> list[Entry]:
    """Run one experiment in a temporary folder and read its scores back from the commit that DVC made of it."""
    import dvc.api

    name = f"record-{study}-{cell}-{repeats}-{os.urandom(3).hex()}"
    overrides = [
        word for setting in (*settings, f"{study}.full.training.repeats={repeats}") for word in ("-S", setting)
    ]
    baseline = record.RECORD / study / "baseline.json"
    with_baseline = study in params.texts and not baseline.exists()
    targets = [f"evaluate@{study}-{cell}", *([f"baseline@{study}"] if with_baseline else [])]
    command = ["dvc", "exp", "run", "--temp", "--name", name, *overrides, *targets]
    print("+", " ".join(command), file=sys.stderr, flush=True)
    if subprocess.run(command, check=False).returncode:
        raise StageError(f"record: experiment {name} failed (see above); the same command goes on where it stopped")

    def read(path: str) -> str:
        return str(dvc.api.read(path, rev=name))

    scored = json.loads(read(f"metrics/{study}/{cell}.json"))
    runs = json.loads(read(f"models/{study}/{cell}/runs.json"))
    if with_baseline:
        write_text(baseline, read(f"metrics/{study}/baseline.json"))
    commit = _git("rev-parse", "HEAD") + (
        "-dirty" if _git("status", "--porcelain", "--", "stages", "params.yaml") else ""
    )
    return [_entry(scored, arm, repeat, runs, commit) for arm in scored["arms"] for repeat in arm["repeats"]]


def _entry(
    scored: dict[str, Any], arm: dict[str, Any], repeat: dict[str, Any], runs: list[Entry], commit: str
) -> Entry:
    """One repeat with its curve and where it comes from."""
    study, number = scored["study"], repeat["repeat"]
    mine = {"setting": arm["setting"], "protocols": arm["protocols"], "repeat": number}
    run = next(run for run in runs if all(run[key] == value for key, value in mine.items()))
    return {
        **{key: scored[key] for key in ("study", "cell", "corpus", "data_digest")},
        "protocol_digest": record.protocol_digest(study, arm["setting"], arm["hyperparameters"], repeat["seed"]),
        **{key: arm[key] for key in record.ARM},
        **({"closed_loop_truth": scored["closed_loop_truth"]} if "closed_loop_truth" in scored else {}),
        **repeat,
        **({} if arm["sweep"] else {"curve": _thinned(run["curve"])}),
        "provenance": {"commit": commit} | _measured(root() / "timings" / f"{run['job']}.json"),
    }


def _thinned(curve: Sequence[Any]) -> Sequence[Any]:
    """At most `_EPOCHS_RECORDED` of the epochs, evenly apart, the last one always: enough to draw."""
    apart = -(-len(curve) // _EPOCHS_RECORDED)
    return curve[(len(curve) - 1) % apart :: apart]


def _measured(path: Path) -> dict[str, Any]:
    """Machine, versions and times of a job (of all its repeats together); only its own machine has them."""
    if not path.exists():
        return {"machine": {"processor": "another machine, whose DVC cache had the weights"}}
    timings = read_json(path)
    epochs = timings["epochs"]
    return {
        "versions": timings["versions"],
        "machine": {key: timings[key] for key in ("processor", "machine", "device", "engine", "threads")},
        "repeats_at_once": timings["repeats"],
        "seconds": round(sum(epoch["seconds"] for epoch in epochs), 1),
        "seconds_per_epoch": round(median(epoch["seconds"] for epoch in epochs), 4),
        "tokens_per_second": round(median(epoch["tokens_per_second"] for epoch in epochs)),
        "peak_memory_bytes": max(epoch["peak_memory_bytes"] for epoch in epochs),
    }


def _merge(study: str, cell: str, new: Sequence[Entry]) -> list[str]:
    entries, conflicts = record.merge(record.read_entries(study, cell), new)
    record.write_entries(study, cell, entries)
    return conflicts


def _report(conflicts: Sequence[str]) -> None:
    if conflicts:
        raise StageError("record: " + "; ".join(conflicts))


def _git(*words: str) -> str:
    return subprocess.run(["git", *words], check=True, capture_output=True, text=True).stdout.strip()


if __name__ == "__main__":
    run_stage(main)
