"""A model as MLflow serves it: MLflow imports this module from the copy of `stages` kept with the model.

No pickled code: MLflow's `loader_module` names this module, and calls `_load_pyfunc` with the folder of the model's
files. The module knows MLflow's interface but needs no MLflow.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stages.support.files import DamagedFileError, file_digest, read_json
from stages.support.process import InputError
from stages.trained.language import WordModel
from stages.trained.reviews import ReviewModel
from stages.trained.series import SeriesModel

if TYPE_CHECKING:
    import pandas as pd


MOST_TEXTS = 10_000
MOST_CHARACTERS = 2_000_000
MOST_TOKENS = 10_000
"""At once: a few seconds' work, so that one question does not keep a server from all others."""
SAMPLING: dict[str, Any] = {"tokens": 40, "temperature": 1.0, "seed": 0}
"""What may be said of a text that is to be drawn, and what holds where nothing is."""


class ServedTexts:
    """What MLflow calls for a classification study, with inputs that its signature has checked."""

    def __init__(self, model: ReviewModel) -> None:
        self._model = model

    def predict(self, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """A row a text, with the index that it was asked with: probability_LABEL of each, label, unknown_words.

        `params` is MLflow's, and not used.

        Raises:
            ValueError, or MLflow's own exception in MLflow: a text is no text (MLflow's signature lets a null through),
            or it is too much at once.
        """
        import pandas as pd

        texts = _texts(model_input["text"])
        answers = pd.DataFrame(
            [
                {f"probability_{label}": value for label, value in verdict.probabilities.items()}
                | {"label": verdict.label, "unknown_words": verdict.unknown_words}
                for verdict in self._model.predict(texts)
            ],
            columns=[*(f"probability_{label}" for label in self._model.labels), "label", "unknown_words"],
        )
        answers.index = model_input.index
        return answers


class ServedWords:
    """What MLflow calls for a language-model study: prompts, each with what follows it."""

    def __init__(self, model: WordModel) -> None:
        self._model = model

    def predict(self, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """A row a prompt: text. `params`: tokens to draw, temperature, seed.

        Raises:
            ValueError, or MLflow's own exception in MLflow: as for texts, and where a parameter is out of its range.
        """
        import pandas as pd
        import torch

        chosen = SAMPLING | (params or {})
        tokens, temperature, seed = (chosen[name] for name in SAMPLING)
        prompts, answers = _texts(model_input["prompt"]), []
        if not (tokens >= 1 and tokens * len(prompts) <= MOST_TOKENS and 0 <= temperature < math.inf and seed >= 0):
            raise _refusal(
                f"tokens {tokens}, temperature {temperature}, seed {seed}: allowed are 1 to {MOST_TOKENS} tokens of "
                "all prompts together, a temperature and a seed of 0 or more"
            )
        for prompt in prompts:
            numbers, _ = self._model.encode(prompt)
            drawn = self._model.sample(numbers, tokens, temperature, torch.Generator().manual_seed(seed))
            answers.append(self._model.text([*numbers[1:], *drawn]))
        return pd.DataFrame({"text": answers}, index=model_input.index)


class ServedSeries:
    """What MLflow calls for a series study: the latest rows of the series, in time order."""

    def __init__(self, model: SeriesModel) -> None:
        self._model = model

    def predict(self, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """A row a step: step, forecast. `params`: steps, 0 for the horizon.

        Raises:
            ValueError, or MLflow's own exception in MLflow: a value is missing, or rows are too few, or steps too many.
        """
        import numpy as np
        import pandas as pd

        values = model_input[list(self._model.columns)].to_numpy(np.float64)
        if not np.isfinite(values).all():
            raise _refusal(f"row {int(np.argmin(np.isfinite(values).all(1)))} has a value that is no finite number")
        steps = int((params or {}).get("steps", 0)) or self._model.horizon
        try:
            forecast = self._model.forecast(values, steps)
        except InputError as error:
            raise _refusal(str(error)) from None
        return pd.DataFrame({"step": range(1, steps + 1), "forecast": forecast})


Served = ServedTexts | ServedWords | ServedSeries


def load(folder: Path) -> Served:
    """The model whose settings.json, weights and vocabulary are in a folder."""
    settings = read_json(folder / "settings.json")
    for file in settings["files"].values():
        if file_digest(folder / file["name"]) != file["sha256"]:
            raise DamagedFileError(f"{folder / file['name']} is damaged: register the model anew")
    files = {part: folder / file["name"] for part, file in settings["files"].items()}
    hyperparameters, ready = settings["hyperparameters"], settings["ready"]
    match settings["kind"]:
        case "classification":
            return ServedTexts(ReviewModel(hyperparameters, files["weights"], files["vocabulary"], ready))
        case "language_model":
            return ServedWords(WordModel(hyperparameters, files["weights"], files["vocabulary"], ready))
        case _:
            return ServedSeries(SeriesModel(hyperparameters, files["weights"], ready))


def _texts(column: pd.Series[Any]) -> list[str]:
    """The texts of a column, each text and not too much together."""
    import pandas as pd

    texts = column.tolist()
    for row, text in enumerate(texts):
        if not isinstance(text, str):
            what = "null" if pd.api.types.is_scalar(text) and pd.isna(text) else repr(text)[:60]
            raise _refusal(f"{column.name} of row {row} is {what}: allowed is text")
    characters = sum(map(len, texts))
    if len(texts) > MOST_TEXTS or characters > MOST_CHARACTERS:
        raise _refusal(
            f"{len(texts)} texts of {characters} characters: allowed are {MOST_TEXTS} texts of {MOST_CHARACTERS} "
            "characters together; ask in parts"
        )
    return texts


def _refusal(message: str) -> Exception:
    """The exception that MLflow's server answers with status 400 and the message; with any other goes a stack trace."""
    mlflow = sys.modules.get("mlflow.exceptions")
    if mlflow is None:
        return ValueError(message)
    # The server would put all that was asked, which may be megabytes, before the message of an exception of MLflow's.
    fixed = {"message": property(lambda _: message, lambda *_: None)}
    kind: Any = type("Refusal", (mlflow.MlflowException,), fixed)
    refusal: Exception = kind.invalid_parameter_value(message)
    return refusal


def _load_pyfunc(path: str) -> Served:
    return load(Path(path))
