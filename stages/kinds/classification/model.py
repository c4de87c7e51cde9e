"""The net of a classification study."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from stages.nn.cells import CELLS
from stages.nn.dropout import Dropout
from stages.nn.parameters import start_uniform
from stages.nn.recurrent import Recurrent

UNKNOWN, PADDING = 0, 1
"""Token ids that every vocabulary of texts begins with."""


class ReviewClassifier(nn.Module):
    """Embedding, dropout, recurrent layers, both directions' final outputs, a logit a class, or one for two classes."""

    def __init__(
        self,
        cell: str,
        vocabulary_size: int,
        embedding_size: int,
        hidden_size: int,
        layers: int,
        dropout: float,
        dropout_between_layers: float,
        classes: int = 2,
        engine: str = "padded",
    ) -> None:
        """Make the layers of a cell of CELLS, `hidden_size` units a direction. `start` fills them."""
        super().__init__()
        self.embedding = nn.Embedding(vocabulary_size, embedding_size, padding_idx=PADDING)
        self.dropout = Dropout(dropout)
        self.recurrent = Recurrent(
            CELLS[cell], embedding_size, hidden_size, layers, dropout_between_layers, bidirectional=True, engine=engine
        )
        self.output = nn.Linear(2 * hidden_size, classes if classes > 2 else 1)

    @torch.no_grad()
    def start(self, generator: torch.Generator) -> None:
        """Initial weights: what torch's layers start with, but zero embeddings of the unknown word and of padding.

        Embeddings N(0, 1); recurrent weights and biases uniform within 1/sqrt(hidden), the output's within
        1/sqrt(its inputs).
        """
        self.embedding.weight.normal_(generator=generator)
        self.embedding.weight[[UNKNOWN, PADDING]] = 0
        start_uniform(self.recurrent.parameters(), self.recurrent.hidden_size, generator)
        start_uniform(self.output.parameters(), self.output.in_features, generator)

    @torch.no_grad()
    def forget(self, words: NDArray[np.bool_]) -> None:
        """Give words (vocabulary,) that no training text has the unknown word's embedding, which is zero."""
        self.embedding.weight[torch.from_numpy(words)] = 0

    def forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        """Logits of ids (time, batch) of lengths (batch,): (batch, classes), of two the second's, (batch,)."""
        inputs = self.dropout(self.embedding(tokens))
        logits: Tensor = self.output(self.recurrent.last_state(inputs, lengths))
        return logits.squeeze(1)
