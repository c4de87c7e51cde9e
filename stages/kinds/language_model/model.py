"""The net of a language-model study."""

import torch
from torch import Tensor, nn

from stages.nn.cells import CELLS, State
from stages.nn.dropout import Dropout
from stages.nn.losses import linear_cross_entropy
from stages.nn.parameters import start_scaled_normal
from stages.nn.products import linear
from stages.nn.recurrent import Recurrent


class LanguageModel(nn.Module):
    """Embedding, recurrent layers, a logit for each word; dropout around and between the layers.

    Tied, the output weight is the embedding's; a bias is added either way, as in the book behind the document.
    """

    def __init__(
        self,
        cell: str,
        vocabulary_size: int,
        embedding_size: int,
        hidden_size: int,
        layers: int,
        dropout: float,
        tied: bool,
        engine: str = "padded",
    ) -> None:
        """Make the layers of a cell of CELLS. `start` fills them.

        Raises:
            ValueError: tied weights of different widths.
        """
        if tied and embedding_size != hidden_size:
            raise ValueError(f"tied weights need embedding_size {embedding_size} = hidden_size {hidden_size}")
        super().__init__()
        self.embedding = nn.Embedding(vocabulary_size, embedding_size)
        self.dropout = Dropout(dropout)
        self.recurrent = Recurrent(CELLS[cell], embedding_size, hidden_size, layers, dropout, engine=engine)
        # No nn.Linear: a tied weight would stand twice in the state dictionary, which safetensors refuses.
        self.output_weight = None if tied else nn.Parameter(torch.empty(vocabulary_size, hidden_size))
        self.output_bias = nn.Parameter(torch.zeros(vocabulary_size))

    @torch.no_grad()
    def start(self, generator: torch.Generator) -> None:
        """Initial weights of the book behind document 003.

        Embeddings N(0, 1)/100, weights N(0, 1)/sqrt(inputs), zero biases; a tied weight starts as the embedding.
        """
        self.embedding.weight.normal_(generator=generator).mul_(0.01)
        start_scaled_normal([*self.recurrent.parameters(), self.output_bias], generator)
        if self.output_weight is not None:
            start_scaled_normal([self.output_weight], generator)

    def forward(self, tokens: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Score every next word.

        Args:
            tokens: ids (time, batch).
            state: what the window before returned, detached for truncated BPTT; None: zeros.

        Returns:
            Logits (time, batch, vocabulary) and the state after the window.
        """
        outputs, state = self._outputs(tokens, state)
        return linear(outputs, self._weight(), self.output_bias), state

    def mean_loss(self, tokens: Tensor, targets: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Mean cross-entropy (nats a token) of the targets, (time, batch) as the tokens, and the state after them."""
        outputs, state = self._outputs(tokens, state)
        return linear_cross_entropy(outputs, self._weight(), self.output_bias, targets), state

    def _outputs(self, tokens: Tensor, state: State | None) -> tuple[Tensor, State]:
        outputs, state = self.recurrent(self.dropout(self.embedding(tokens)), state=state)
        return self.dropout(outputs), state

    def _weight(self) -> Tensor:
        return self.embedding.weight if self.output_weight is None else self.output_weight
