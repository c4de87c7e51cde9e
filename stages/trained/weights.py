"""Weights and vocabulary of a trained model, read whole or refused in one line."""

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from stages.support.process import InputError


def load_weights(model: nn.Module, path: Path) -> None:
    """Load a safetensors file into `model`, and set it to inference.

    Raises:
        InputError: the file is damaged, or another model's.
    """
    try:
        model.load_state_dict(load_file(path))
    except (OSError, SafetensorError, RuntimeError) as error:
        raise InputError(f"{path} holds no weights of this model: {' '.join(str(error).split())[:200]}") from None
    model.eval()


def read_vocabulary(path: Path) -> dict[str, int]:
    """Each word's number: its line."""
    return {word: number for number, word in enumerate(path.read_text(encoding="utf-8").split("\n")[:-1])}
