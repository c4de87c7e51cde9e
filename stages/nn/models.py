"""The models of the text studies and of fibonacci."""

import torch
from torch import Tensor, nn

from stages.nn.cells import CELLS, State
from stages.nn.dropout import Dropout
from stages.nn.losses import linear_cross_entropy
from stages.nn.products import linear
from stages.nn.recurrent import Recurrent

UNKNOWN, PADDING = 0, 1
"""Token ids that every vocabulary of reviews begins with."""


class ReviewClassifier(nn.Module):
    """imdb: embedding, dropout, recurrent layers, both directions' final outputs, one logit."""

    def __init__(
        self,
        cell: str,
        vocabulary_size: int,
        embedding_size: int,
        hidden_size: int,
        layers: int,
        dropout: float,
        dropout_between_layers: float,
        engine: str = "padded",
    ) -> None:
        """Make the layers of a cell of CELLS, `hidden_size` units a direction. `stages.nn.initialise` fills them."""
        super().__init__()
        self.embedding = nn.Embedding(vocabulary_size, embedding_size, padding_idx=PADDING)
        self.dropout = Dropout(dropout)
        self.recurrent = Recurrent(
            CELLS[cell], embedding_size, hidden_size, layers, dropout_between_layers, bidirectional=True, engine=engine
        )
        self.output = nn.Linear(2 * hidden_size, 1)

    def forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        """Logits of *positive*, (batch,), from token ids (time, batch) and lengths (batch,)."""
        inputs = self.dropout(self.embedding(tokens))
        logits: Tensor = self.output(self.recurrent.last_state(inputs, lengths))
        return logits.squeeze(1)


class LanguageModel(nn.Module):
    """ptb: embedding, recurrent layers, a logit for each word; dropout around and between the layers.

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
        """Make the layers of a cell of CELLS. `stages.nn.initialise` fills them.

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


class SequencePredictor(nn.Module):
    """fibonacci: recurrent layers with dropout between them, and one number predicted at every step."""

    def __init__(self, cell: str, hidden_size: int, layers: int, dropout: float, engine: str = "padded") -> None:
        """Make the layers of a cell of CELLS, for sequences of one feature. `stages.nn.initialise` fills them."""
        super().__init__()
        self.recurrent = Recurrent(CELLS[cell], 1, hidden_size, layers, dropout, engine=engine)
        self.output = nn.Linear(hidden_size, 1)

    def forward(self, inputs: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Predict at every step.

        Args:
            inputs: values (time, batch, 1).
            state: what the sequence before returned, detached where its gradient should end; None: zeros.

        Returns:
            Predictions (time, batch, 1) and the state after the sequence.
        """
        outputs, state = self.recurrent(inputs, state=state)
        return self.output(outputs), state


def parameter_count(model: nn.Module, frozen: bool = False) -> int:
    """Numbers in `model` that are trained, and with `frozen` those that are not as well; tied weights count once."""
    return sum(parameter.numel() for parameter in model.parameters() if frozen or parameter.requires_grad)
