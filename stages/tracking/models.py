"""MLflow's registered models: a version a set of weights, and an alias for the one that the pipeline shows."""

import shutil
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from warnings import catch_warnings

from stages.support.files import file_digest, write_json
from stages.trained.package import copy_code

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from stages.trained.find import Trained

# The registered model's alias, and the end of its name.
ON_SHOW = "on-show"
MODEL_DESCRIPTION = (
    "The trained model of study {study} that the pipeline shows: of the cell on show, of its arm in use the repeat "
    "with the lowest validation loss. A version a set of weights; the alias on-show is the one shown now."
)
MODEL_NEEDS = ("mlflow", "numba", "numpy", "pandas", "safetensors", "torch")


def put_on_show(client: "MlflowClient", trained: "Trained", run_id: str) -> list[str]:
    """Give the study's registered model a version of these weights, once, and the alias; what was done."""
    from mlflow.exceptions import MlflowException

    name, weights = f"{trained.study}-{ON_SHOW}", file_digest(trained.weights)
    with suppress(MlflowException):
        client.create_registered_model(name, description=MODEL_DESCRIPTION.format(study=trained.study))
    versions = _versions(client, name, weights)
    if not versions:
        _register(client, name, weights, trained, run_id)
        versions = _versions(client, name, weights)
    for version in versions[1:]:  # two senders at once
        client.delete_model_version(name, str(version))
    aliases = client.get_registered_model(name).aliases
    if str(aliases.get(ON_SHOW)) == str(versions[0]):
        return []
    client.set_registered_model_alias(name, ON_SHOW, str(versions[0]))
    return [f"{name} {versions[0]}"]


def _versions(client: "MlflowClient", name: str, weights: str) -> list[int]:
    found = client.search_model_versions(f"name = '{name}' and tags.weights_digest = '{weights}'")
    return sorted(int(version.version) for version in found)


def _register(client: "MlflowClient", name: str, weights: str, trained: "Trained", run_id: str) -> None:
    """Log the model to the run that trained it, and make it a version of the registered model."""
    with TemporaryDirectory() as temporary:
        save_pyfunc(trained, Path(temporary) / "model")
        client.log_artifacts(run_id, temporary)
    run, settings = client.get_run(run_id), trained.settings
    about = f"{run.info.run_name}, the repeat with the lowest validation loss; corpus: {settings['corpus']}"
    client.create_model_version(
        name,
        source=f"{run.info.artifact_uri}/model",
        run_id=run_id,
        tags={
            "weights_digest": weights,
            "commit": run.data.tags.get("mlflow.source.git.commit", "unknown"),
            "cell": trained.cell,
            **{tag: str(settings[tag]) for tag in ("repeat", "corpus", "data_digest")},
        },
        description=about,
    )


def save_pyfunc(trained: "Trained", folder: Path) -> None:
    """Write the model as MLflow's pyfunc, which needs no more than its folder: no pickled code, `stages` beside it."""
    from mlflow.pyfunc import save_model

    found = {"weights": trained.weights, "vocabulary": trained.vocabulary}
    files = {part: path for part, path in found.items() if path}
    kept = ("key", "repeat", "seed", "corpus", "data_digest", "hyperparameters")
    settings = {
        "study": trained.study,
        "kind": trained.kind,
        "cell": trained.cell,
        **{name: trained.settings[name] for name in kept},
        "ready": {name: value for name, value in trained.ready.items() if name not in ("files", "sha256")},
        "files": {part: {"name": path.name, "sha256": file_digest(path)} for part, path in files.items()},
    }
    signature, example = _signature(trained)
    with TemporaryDirectory() as temporary:
        data = Path(temporary, "files")
        data.mkdir()
        for path in files.values():
            shutil.copyfile(path, data / path.name)
        write_json(data / "settings.json", settings)
        package = copy_code(Path(temporary, "code"))
        save_model(
            folder,
            loader_module=f"{package}.trained.served",
            data_path=data,
            code_paths=[str(Path(temporary, "code", package))],
            signature=signature,
            input_example=example,
            # Named, since MLflow would load the model to find them out.
            pip_requirements=[f"{name}=={metadata.version(name).partition('+')[0]}" for name in MODEL_NEEDS],
        )


def _signature(trained: "Trained") -> tuple[Any, Any]:
    """What a model takes and gives, and an example of what it is asked."""
    import pandas as pd
    from mlflow.models import infer_signature

    params: dict[str, Any] | None = None
    match trained.kind:
        case "classification":
            labels = trained.ready.get("labels", ("negative", "positive"))
            example = pd.DataFrame({"text": ["I loved the movie, every part of it", "This film is horrible"]})
            answer = {f"probability_{label}": [0.5] for label in labels} | {"label": [""], "unknown_words": [[""]]}
        case "language_model":
            from stages.trained.served import SAMPLING  # torch is slow

            example, answer, params = pd.DataFrame({"prompt": ["the"]}), {"text": [""]}, SAMPLING
        case _:
            columns, mean = trained.ready["columns"], trained.ready["mean"]
            example = pd.DataFrame([mean] * trained.ready["window"], columns=columns)
            answer, params = {"step": [1], "forecast": [0.5]}, {"steps": 0}
    with catch_warnings(action="ignore"):  # whole numbers may be missing, it says: none is
        return infer_signature(example, pd.DataFrame(answer), params), example
