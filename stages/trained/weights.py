"""Weights and vocabulary of a trained model, read whole or refused in one line."""

from pathlib import Path

import torch
from torch import nn

from stages.support.files import RESTORE, DamagedFileError, read_text
from stages.support.process import InputError
from stages.support.tensors import read_tensors
from stages.text.tokens.vocabulary import LINE_ENDS


def load_weights(model: nn.Module, path: Path) -> None:
    """Load what `stages.support.tensors` wrote into `model`, and set it to inference.

    Raises:
        InputError: the file is not there, is damaged, or is another model's; what to run ends the line.
    """
    try:
        arrays, _ = read_tensors(path, RESTORE)
        model.load_state_dict({name: torch.from_numpy(array) for name, array in arrays.items()})
    except FileNotFoundError:
        raise DamagedFileError(f"{path} is not there: {RESTORE}") from None
    except RuntimeError as error:
        raise InputError(
            f"{path} holds another model's weights ({' '.join(str(error).split())[:200]}): {RESTORE}"
        ) from None
    model.eval()


def read_vocabulary(path: Path, unit: str = "words") -> dict[str, int]:
    """The number of each word, or of each character: its line."""
    words = read_text(path).split("\n")[:-1]
    if unit == "characters":
        written = {word: end for end, word in LINE_ENDS.items()}
        words = [written.get(word, word) for word in words]
    return {word: number for number, word in enumerate(words)}
