"""The imdb model as MLflow serves it: MLflow imports this module from the copy of `stages` kept with the model.

No pickled code: MLflow's `loader_module` names this module, and calls `_load_pyfunc` with the folder of the model's
files. The module knows MLflow's interface but needs no MLflow.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stages.support.files import DamagedFileError, file_digest, read_json
from stages.trained.reviews import ReviewModel

if TYPE_CHECKING:
    import pandas as pd


MOST_TEXTS = 10_000
MOST_CHARACTERS = 2_000_000
"""At once: a few seconds' work, so that one question does not keep a server from all others."""


class ServedModel:
    """What MLflow calls, with inputs that its signature has checked."""

    def __init__(self, folder: Path) -> None:
        """Load settings.json, and the weights and vocabulary that it names."""
        settings = read_json(folder / "settings.json")
        for file in settings["files"].values():
            if file_digest(folder / file["name"]) != file["sha256"]:
                raise DamagedFileError(f"{folder / file['name']} is damaged: register the model anew")
        files = {part: folder / file["name"] for part, file in settings["files"].items()}
        self._model = ReviewModel(settings["hyperparameters"], files["weights"], files["vocabulary"])

    def predict(self, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """A row a text, with the index that it was asked with: probability_positive, label, unknown_words.

        `params` is MLflow's, and not used.

        Raises:
            ValueError, or MLflow's own exception in MLflow: a text is no text (MLflow's signature lets a null through),
            or it is too much at once.
        """
        import pandas as pd

        texts = model_input["text"].tolist()
        for row, text in enumerate(texts):
            if not isinstance(text, str):
                what = "null" if pd.api.types.is_scalar(text) and pd.isna(text) else repr(text)[:60]
                raise _refusal(f"text of row {row} is {what}: allowed is text")
        characters = sum(map(len, texts))
        if len(texts) > MOST_TEXTS or characters > MOST_CHARACTERS:
            raise _refusal(
                f"{len(texts)} texts of {characters} characters: allowed are {MOST_TEXTS} texts of {MOST_CHARACTERS} "
                "characters together; ask in parts"
            )
        verdicts = [vars(verdict) for verdict in self._model.predict(texts)]
        answers = pd.DataFrame(verdicts, columns=["probability_positive", "label", "unknown_words"])
        answers.index = model_input.index
        return answers


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


def _load_pyfunc(path: str) -> ServedModel:
    return ServedModel(Path(path))
