"""Score every trained repeat on the test part, once: `python -m stages.evaluate STUDY CELL`."""

from pathlib import Path
from typing import Any

import torch

from stages.nn.models import parameter_count
from stages.support.curves import keep
from stages.support.files import digest, read_json, verify, write_json
from stages.support.params import load_params
from stages.support.process import run_stage
from stages.support.tensors import read_tensors
from stages.training.device import prepare
from stages.training.parallel import run_parallel
from stages.training.repeats import jobs_at_once, study_module


def main(study: str, cell: str) -> None:
    """Write metrics/STUDY/CELL.json: each arm's scores with every repeat. No seconds and no device in it."""
    params = load_params()
    models = Path("models", study, cell)
    verify(models)
    jobs: dict[str, list[dict[str, Any]]] = {}
    for entry in read_json(models / "runs.json"):
        jobs.setdefault(entry["job"], []).append(entry)
    calls = [(study, models, job, params.device, params.threads) for job in jobs.values()]
    tested = run_parallel(test_job, calls, jobs_at_once(params.jobs, params.device))

    arms: dict[str, dict[str, Any]] = {}
    for job, (counts, scores) in zip(jobs.values(), tested, strict=True):
        for entry, test in zip(job, scores, strict=True):
            described = {name: entry[name] for name in ("setting", "sweep", "protocols", "hyperparameters")}
            arm = arms.setdefault(digest(described), described | counts | {"repeats": []})
            chosen = entry["curve"][entry["best_epoch"] - 1]
            validation = {k.removeprefix("validation_"): v for k, v in chosen.items() if k.startswith("validation_")}
            scored = {name: entry[name] for name in ("repeat", "seed", "best_epoch")}
            arm["repeats"].append(scored | {"validation": validation, "test": test})
    data = study_module(study).Data(Path("data/ready", study))
    truth = getattr(data, "closed_loop_truth", None)
    write_json(
        Path("metrics", study, f"{cell}.json"),
        {
            "study": study,
            "cell": cell,
            "corpus": data.corpus,
            "data_digest": data.digest,
            **({} if truth is None else {"closed_loop_truth": truth}),
            "arms": list(arms.values()),
        },
    )
    keep(study)


def test_job(
    study: str, models: Path, entries: list[dict[str, Any]], device: str, threads: int
) -> tuple[dict[str, int], list[dict[str, Any]]]:
    """The parameter counts and each repeat's test scores of one job, from its entries in runs.json."""
    module = study_module(study)
    task = module.Task(
        module.Data(Path("data/ready", study)),
        module.Hyperparameters(**entries[0]["hyperparameters"]),
        entries[0]["seed"],
        [entry["repeat"] for entry in entries],
        prepare(device, threads),
    )
    weights, _ = read_tensors(models / entries[0]["weights"])
    task.model.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()})
    counts = {
        "parameters": parameter_count(task.model) // len(entries),
        "parameters_in_torch": parameter_count(task.model, frozen=True) // len(entries),
    }
    return counts, task.test()


if __name__ == "__main__":
    run_stage(main)
