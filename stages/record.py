"""Run a full protocol on the real corpus into the record, without touching the workspace's results.

`python -m stages.record STUDY CELL REPEATS` (such as `imdb gru 0-2`) runs what is not recorded yet, published and
corrected; `python -m stages.record STUDY CELL tuned` the cell at its own learning rate and at equal size, a few fresh
repeats at a time, at the rates that recorded trials chose. Settings may follow as for `dvc exp run -S`
(`ptb lstm 0-2 ptb.full.training.models=[basic]`), and make a protocol of their own where they change it.
`python -m stages.record merge FOLDER` adds the metrics/record of another clone.
"""

import contextlib
import math
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import TypeVar, cast, get_args

from stages import kinds, readme
from stages.nn.cells import CELLS
from stages.results import record
from stages.results.documents import documents, full_hyperparameters
from stages.results.row import (
    Machine,
    Provenance,
    Row,
    Versions,
    parse_rows,
    protocol_digest,
    read_baselines,
    read_rows,
)
from stages.studies import Arm
from stages.support import git
from stages.support.files import read_json, read_text, root, write_text
from stages.support.params import Project, load_project, study_arms
from stages.support.process import InputError, StageError, run_stage
from stages.support.sections import OWN_RATE, Heading, Tuning, parse_repeats

TUNED = "tuned"
_FINALS_AT_ONCE = 2  # so that hours of training are recorded as they go
_EPOCHS_RECORDED = 100
_Point = TypeVar("_Point")
_Missing = tuple[list[Heading], list[str], list[int]]
"""Headings, settings and repeats to run together."""


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
    project = load_project()
    params = project.params
    if study not in params.studies or cell not in params.cells:
        raise InputError(
            f"record: no such study or cell: {study} {cell}; studies are {', '.join(params.studies)}, "
            f"cells {', '.join(params.cells)}"
        )
    tuned = repeats == TUNED
    under = f"[{','.join(OWN_RATE)}]" if tuned else "[published,corrected]"
    asked = [*_settings(study, cell), f"{study}.full.training.headings={under}", *settings]
    project = _overridden(asked)
    try:
        wanted = parse_repeats(_tuning(project, study).final_repeats if tuned else repeats)
    except ValueError as error:
        raise InputError(f"record: REPEATS {repeats!r} is not allowed: {error}") from None
    section, named, at_once = "training", "repeats", math.inf
    if tuned:
        section, named = "training.tuning", "final_repeats"
        at_once = max(project.settings(study).training.repeats_at_once, _FINALS_AT_ONCE)
    arms = _arms(project, study, cell, tuned)
    renamed = _add_headings(project, study, cell, wanted, arms or [])
    groups = _missing(project, study, cell, wanted, arms)
    conflicts: list[str] = []
    for headings, chosen, missing in groups:
        for first, last in _stretches(missing, at_once):
            changes: dict[str, object] = {f"{section}.settings": chosen, f"{section}.{named}": f"{first}-{last}"}
            if tuned and (rates := _chosen_rates(project, study, cell)):
                changes[f"{section}.chosen_rates"] = [rates[setting] for setting in chosen]
            changes["training.headings"] = f"[{','.join(headings)}]"
            words = [*asked, *(f"{study}.full.{name}={value}" for name, value in changes.items())]
            conflicts += _merge(study, cell, _run(study, cell, f"{TUNED}-" * tuned + f"{first}-{last}", words))
    if tuned and arms is None:  # its trials have chosen meanwhile
        _add_headings(project, study, cell, wanted, _arms(project, study, cell, tuned) or [])
    if not groups and not renamed:
        print(f"nothing to do: {study} {cell} repeats {repeats} are in {record.RECORD / study / cell}.json")
        return
    print(f"recorded {study} {cell}: see {record.draw_record(study) / 'table.md'}")
    _draw_answers()
    readme.main()
    _report(conflicts)


def merge_folder(folder: Path) -> None:
    """Add the rows of another clone's metrics/record, and the baselines that this one lacks."""
    paths = sorted(path for path in folder.glob("*/*.json") if path.stem != "baseline")
    if not paths:
        raise InputError(f"record: {folder} holds no STUDY/CELL.json; name the metrics/record of another clone")
    # All is read and checked before anything is written.
    found: dict[Path, list[Row]] = {}
    for path in paths:
        for name, known in ((path.parent.name, documents()), (path.stem, CELLS)):
            if name not in known:
                raise InputError(f"record: {path}: {name!r} is not one of {', '.join(known)}")
        trials = path.parent / "trials" / path.name
        found[path] = [*record.check_entries(path, read_rows(path))]
        if trials.exists():
            found[path] += record.check_entries(path, read_rows(trials), trials=True)
    here = {path: record.RECORD / path.parent.name / path.name for path in sorted(folder.glob("*/baseline.json"))}
    for path in here:
        read_baselines(path)
    conflicts = [line for path, rows in found.items() for line in _merge(path.parent.name, path.stem, rows)]
    for path in paths:
        _take_out_superseded(path.parent.name, path.stem)
    for path, target in here.items():
        if not target.exists():
            write_text(target, read_text(path))
    for study in sorted({path.parent.name for path in paths}):
        print(f"merged {study}: see {record.draw_record(study) / 'table.md'}")
    _draw_answers()
    readme.main()
    _report(conflicts)


def _take_out_superseded(study: str, cell: str) -> None:
    """Take tuned rows out at rates that the study's trials do not choose: another clone may still have them."""
    project = _overridden([*_settings(study, cell), f"{study}.full.training.headings=[{','.join(OWN_RATE)}]"])
    if project.settings(study).training.tuning:
        _add_headings(project, study, cell, [], _arms(project, study, cell, tuned=True) or [])


def _draw_answers() -> None:
    from stages.results.answers import draw_forest_of_record  # scipy is slow

    draw_forest_of_record()


def _tuning(project: Project, study: str) -> Tuning:
    tuning: Tuning | None = project.settings(study).training.tuning
    if tuning is None:
        raise InputError(f"record: {study}.full.training.tuning: missing; it names the learning rates to try")
    return tuning


def _chosen_rates(project: Project, study: str, cell: str) -> dict[str, float] | None:
    """The rate of each setting that the cell's recorded trials choose; None where some rate was not tried.

    Of a rate that was tried, a repeat that is not recorded diverged.
    """
    from stages.training.tuning import at_rate, best_rates

    tuning = _tuning(project, study)
    arms = study_arms(project, study, cell)["tuned"]
    settings = [arm.setting for arm in arms]
    if tuning.chosen_rates:
        return dict(zip(settings, tuning.chosen_rates, strict=True))
    trials = record.read_entries(study, cell, trials=True)
    known = {(row.protocol_digest, row.repeat): cast(float, row.validated["loss"]) for row in trials}

    def recorded(tried: Sequence[Arm]) -> list[list[float | None]]:
        digests = [_digest(project, study, arm) for arm in tried]
        return [[known.get((digest, repeat)) for repeat in parse_repeats(tuning.repeats)] for digest in digests]

    listed = recorded([at_rate(arm, rate) for arm in arms for rate in tuning.learning_rates])
    if any(set(losses) == {None} for losses in listed):
        return None
    return dict(zip(settings, best_rates(arms, tuning, recorded), strict=True))


def _arms(project: Project, study: str, cell: str, tuned: bool) -> list[Arm] | None:
    """The arms to record, tuned ones at their chosen rates; None where trials have yet to choose."""
    from stages.training.tuning import tuned_arms

    arms = study_arms(project, study, cell)
    if not tuned:
        return arms["arms"]
    if not (rates := _chosen_rates(project, study, cell)):
        return None
    settings = project.settings(study)
    chosen = _tuning(project, study).model_copy(update={"chosen_rates": tuple(rates.values())})
    return tuned_arms(kinds.kind(settings.kind), arms["tuned"], chosen, settings.training.headings, lambda tried: [])


def _add_headings(project: Project, study: str, cell: str, wanted: Sequence[int], arms: Sequence[Arm]) -> bool:
    """Have recorded rows stand under the headings that `arms` say; whether one did not.

    One of an arm's `wanted` repeats that was trained for some of its headings, as with `headings=[tuned]`, is what the
    others ask for as well. Other repeats are not: those of the document's own rate chose it, where it is the tuned one.
    A tuned row at a rate that the trials do not choose any more is taken out.
    """
    of_arm = {_digest(project, study, arm): arm.protocols for arm in arms}
    rows = record.read_entries(study, cell)
    headed = []
    for row in rows:
        names = {*row.protocols, *(of_arm.get(row.protocol_digest, ()) if row.repeat in wanted else ())}
        names -= {name for arm in arms if _at_another_rate(row, arm) for name in arm.protocols if name in OWN_RATE}
        if names:
            headed.append(replace(row, protocols=tuple(name for name in get_args(Heading) if name in names)))
    if headed == rows:
        return False
    if gone := len(rows) - len(headed):
        print(f"record: {study} {cell}: {gone} tuned rows are taken out: the trials choose other learning rates now")
    record.write_entries(study, cell, headed)
    return True


def _at_another_rate(row: Row, arm: Arm) -> bool:
    """Whether a row is an arm's in all but the learning rate."""
    mine, wanted = full_hyperparameters(row.study, row.hyperparameters), vars(arm.hyperparameters)
    rate = wanted["learning_rate"]
    return row.setting == arm.setting and mine != wanted and mine | {"learning_rate": rate} == wanted


def _missing(
    project: Project, study: str, cell: str, wanted: Sequence[int], arms: Sequence[Arm] | None
) -> list[_Missing]:
    """What the record lacks of the arms' `wanted` repeats, settings that lack the same together; None: all."""
    headings = list(project.settings(study).training.headings)
    if arms is None:
        return [(headings, [arm.setting for arm in study_arms(project, study, cell)["tuned"]], list(wanted))]
    alike: dict[tuple[tuple[Heading, tuple[int, ...]], ...], list[str]] = {}
    for setting in dict.fromkeys(arm.setting for arm in arms):
        lacks = []
        for heading in headings:
            under = [arm for arm in arms if arm.setting == setting and heading in arm.protocols]
            if repeats := _lacking(project, study, cell, wanted, under):
                lacks.append((heading, tuple(repeats)))
        if lacks:
            alike.setdefault(tuple(lacks), []).append(setting)
    return [
        ([heading for heading, _ in lacks], settings, sorted({one for _, repeats in lacks for one in repeats}))
        for lacks, settings in alike.items()
    ]


def _lacking(project: Project, study: str, cell: str, wanted: Sequence[int], arms: Sequence[Arm]) -> list[int]:
    """The repeats that some of the arms has no row for."""
    have = {(row.protocol_digest, row.repeat) for row in record.read_entries(study, cell)}
    digests = [_digest(project, study, arm) for arm in arms]
    return [repeat for repeat in wanted if any((digest, repeat) not in have for digest in digests)]


def _digest(project: Project, study: str, arm: Arm) -> str:
    return protocol_digest(study, arm.setting, arm.hyperparameters, project.params.seed)


def _stretches(repeats: Sequence[int], most: float = math.inf) -> list[tuple[int, int]]:
    """Neighbouring repeats as (first, last), at most so many of them."""
    stretches: list[tuple[int, int]] = []
    for repeat in repeats:
        if stretches and repeat == stretches[-1][1] + 1 and repeat < stretches[-1][0] + most:
            stretches[-1] = (stretches[-1][0], repeat)
        else:
            stretches.append((repeat, repeat))
    return stretches


def _settings(study: str, cell: str) -> list[str]:
    """What `-S` changes so that an experiment trains one cell at full size, and nothing else."""
    return ["profile=full", f"cell={cell}", f"cells=[{cell}]", f"studies=[{study}]"]


def _added(setting: str) -> str:
    """As `-S` takes a setting of a `full:` section, which may not have it yet; `check` refuses what is no setting."""
    return f"++{setting}" if ".full." in setting and not setting.startswith("+") else setting


def _overridden(settings: Sequence[str]) -> Project:
    """The parameters as `-S` would write them."""
    from dvc.exceptions import InvalidArgumentError
    from dvc.utils.hydra import apply_overrides

    with tempfile.TemporaryDirectory() as folder:
        path = Path(shutil.copy("params.yaml", folder))
        try:
            apply_overrides(path, [_added(setting) for setting in settings])
        except InvalidArgumentError as error:
            raise InputError(f"record: a setting is not allowed: {str(error.__cause__).splitlines()[0]}") from None
        with contextlib.chdir(folder):
            return load_project()


def _run(study: str, cell: str, repeats: str, settings: Sequence[str]) -> list[Row]:
    """Run one experiment in a temporary folder and read its scores back from the commit that DVC made of it."""
    name = f"record-{study}-{cell}-{repeats}-{os.urandom(3).hex()}"
    overrides = [word for setting in settings for word in ("-S", _added(setting))]
    baseline = record.RECORD / study / "baseline.json"
    with_baseline = not baseline.exists()
    targets = [f"evaluate@{study}-{cell}", *([f"baseline@{study}"] if with_baseline else [])]
    command = ["dvc", "exp", "run", "--temp", "--name", name, *overrides, *targets]
    commit = git.git("rev-parse", "HEAD").strip()
    commit += "-dirty" if git.git("status", "--porcelain", "--", "stages", "params.yaml") else ""
    print("+", " ".join(command), file=sys.stderr, flush=True)
    if subprocess.run(command, check=False).returncode:
        raise StageError(f"record: experiment {name} failed (see above); the same command goes on where it stopped")

    scored, trained = (
        parse_rows(path, _read(path, name))
        for path in (Path("metrics", study, f"{cell}.json"), Path("models", study, cell, "runs.json"))
    )
    if with_baseline:
        write_text(baseline, _read(Path("metrics", study, "baseline.json"), name))
    curves = {row.name: row for row in trained}
    trials = [_recorded(replace(row, validation=row.validated), row, commit) for row in trained if row.is_trial]
    return [*(_recorded(row, curves[row.name], commit) for row in scored), *trials]


def _read(path: Path, revision: str) -> str:
    """The text that a file of this project has in a commit, such as an experiment's."""
    import dvc.api

    return str(dvc.api.read(git.path_from_top(path), rev=revision))


def _recorded(scored: Row, trained: Row, commit: str) -> Row:
    """One repeat's scores with its curve and where it comes from."""
    return replace(
        scored,
        protocol_digest=protocol_digest(scored.study, scored.setting, scored.hyperparameters, scored.seed),
        key="",
        job="",
        weights="",
        curve=() if scored.sweep or scored.is_trial else _thinned(trained.curve),
        provenance=_provenance(commit, root() / "timings" / f"{trained.job}.json"),
    )


def _thinned(curve: Sequence[_Point]) -> tuple[_Point, ...]:
    """At most `_EPOCHS_RECORDED` of the epochs, evenly apart, the last one always: enough to draw."""
    apart = -(-len(curve) // _EPOCHS_RECORDED)
    return tuple(curve[(len(curve) - 1) % apart :: apart])


def _provenance(commit: str, path: Path) -> Provenance:
    """Commit, machine, versions and times of a job (of all its repeats together); only its own machine has the last."""
    if not path.exists():
        return Provenance(commit=commit, machine=Machine("another machine, whose DVC cache had the weights"))
    timings = read_json(path)
    epochs = timings["epochs"]
    return Provenance(
        commit=commit,
        versions=Versions(**timings["versions"]),
        machine=Machine(**{key: timings[key] for key in ("processor", "machine", "device", "engine", "threads")}),
        repeats_at_once=timings["repeats"],
        seconds=round(sum(epoch["seconds"] for epoch in epochs), 4),
        seconds_per_epoch=round(median(epoch["seconds"] for epoch in epochs), 4),
        tokens_per_second=round(median(epoch["tokens_per_second"] for epoch in epochs)),
        peak_memory_bytes=max(epoch["peak_memory_bytes"] for epoch in epochs),
    )


def _merge(study: str, cell: str, new: Sequence[Row]) -> list[str]:
    rows, conflicts = record.merge(record.read_entries(study, cell), [row for row in new if not row.is_trial])
    record.write_entries(study, cell, rows)
    trials, _ = record.merge(record.read_entries(study, cell, trials=True), [row for row in new if row.is_trial])
    record.write_entries(study, cell, trials, trials=True)
    return conflicts


def _report(conflicts: Sequence[str]) -> None:
    if conflicts:
        raise StageError("record: " + "; ".join(conflicts))


if __name__ == "__main__":
    run_stage(main)
