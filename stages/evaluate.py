"""Score every trained repeat on the test part, once: `python -m stages.evaluate STUDY CELL`."""

from pathlib import Path
from typing import Any

from safetensors.torch import load_file

from stages.nn.models import parameter_count
from stages.support.files import digest, read_json, write_json
from stages.support.outbox import Outbox, final_scores
from stages.support.params import load_params
from stages.support.process import run_stage
from stages.training.device import prepare
from stages.training.parallel import run_parallel
from stages.training.repeats import jobs_at_once, study_module


def main(study: str, cell: str) -> None:
    """Write metrics/STUDY/CELL.json: each arm's scores with every repeat. No seconds and no device in it."""
    params = load_params()
    models = Path("models", study, cell)
    runs = read_json(models / "runs.json")
    calls = [(study, models, run, params.device, params.threads) for run in runs]
    tested = run_parallel(test_repeat, calls, jobs_at_once(params.jobs, params.device))

    arms: dict[str, dict[str, Any]] = {}
    for run, (parameters, scores) in zip(runs, tested, strict=True):
        described = {name: run[name] for name in ("setting", "protocols", "hyperparameters")}
        arm = arms.setdefault(digest(described), described | {"parameters": parameters, "repeats": []})
        repeat = {name: run[name] for name in ("repeat", "seed", "best_epoch")} | {"test": scores}
        arm["repeats"].append(repeat)
        Outbox(run["key"]).scores(final_scores(arm, repeat))
    data = study_module(study).Data(Path("data/ready", study))
    write_json(
        Path("metrics", study, f"{cell}.json"),
        {
            "study": study,
            "cell": cell,
            "corpus": data.corpus,
            "data_digest": data.digest,
            "arms": list(arms.values()),
        },
    )


def test_repeat(study: str, models: Path, run: dict[str, Any], device: str, threads: int) -> tuple[int, dict[str, Any]]:
    """The parameter count and the test scores of one repeat."""
    module = study_module(study)
    task = module.Task(
        module.Data(Path("data/ready", study)),
        module.Hyperparameters(**run["hyperparameters"]),
        run["seed"],
        run["repeat"],
        prepare(device, threads),
    )
    task.model.load_state_dict(load_file(models / run["weights"]))
    return parameter_count(task.model), task.test()


if __name__ == "__main__":
    run_stage(main)
