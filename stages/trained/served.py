"""The imdb model as MLflow serves it: MLflow imports this module from the copy of `stages` kept with the model.

No pickled code: MLflow's `loader_module` names this module, and calls `_load_pyfunc` with the folder of the model's
files. The module knows MLflow's interface but needs no MLflow.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from stages.support.files import read_json
from stages.trained.reviews import ReviewModel

if TYPE_CHECKING:
    import pandas as pd


class ServedModel:
    """What MLflow calls, with inputs that its signature has checked."""

    def __init__(self, folder: Path) -> None:
        """Load settings.json, and the weights and vocabulary that it names."""
        settings = read_json(folder / "settings.json")
        files = {part: folder / file["name"] for part, file in settings["files"].items()}
        self._model = ReviewModel(settings["hyperparameters"], files["weights"], files["vocabulary"])

    def predict(self, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """A row a text: probability_positive, label, unknown_words. `params` is MLflow's, and not used.

        Raises:
            ValueError: a text is no text; MLflow's signature lets a null through.
        """
        import pandas as pd

        texts = model_input["text"].tolist()
        for row, text in enumerate(texts):
            if not isinstance(text, str):
                raise ValueError(f"text of row {row} is {text!r}: allowed is text")
        verdicts = [vars(verdict) for verdict in self._model.predict(texts)]
        return pd.DataFrame(verdicts, columns=["probability_positive", "label", "unknown_words"])


def _load_pyfunc(path: str) -> ServedModel:
    return ServedModel(Path(path))
