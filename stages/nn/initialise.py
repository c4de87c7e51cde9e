"""Initial weights, as each study's document had them: in place, every random number from an explicit generator.

A CPU generator fills CPU parameters: initialise before moving a model, and every device starts from the same weights.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from stages.nn.models import PADDING, UNKNOWN, LanguageModel, ReviewClassifier, SequencePredictor
from stages.nn.replicas import Replicas


@torch.no_grad()
def initialise_review_classifier(model: ReviewClassifier, generator: torch.Generator) -> None:
    """imdb: what torch's layers start with, but zero embeddings of the unknown word and of padding.

    Embeddings N(0, 1); recurrent weights and biases uniform within 1/sqrt(hidden), the output's within
    1/sqrt(its inputs).
    """
    model.embedding.weight.normal_(generator=generator)
    model.embedding.weight[[UNKNOWN, PADDING]] = 0
    _uniform(model.recurrent, model.recurrent.hidden_size, generator)
    _uniform(model.output, model.output.in_features, generator)


@torch.no_grad()
def initialise_language_model(model: LanguageModel, generator: torch.Generator) -> None:
    """ptb: embeddings N(0, 1)/100, weights N(0, 1)/sqrt(inputs), zero biases; a tied weight starts as the embedding."""
    model.embedding.weight.normal_(generator=generator).mul_(0.01)
    _scaled_normal([*model.recurrent.parameters(), model.output_bias], generator)
    if model.output_weight is not None:
        _scaled_normal([model.output_weight], generator)


@torch.no_grad()
def initialise_as_keras(model: Replicas, generators: Sequence[torch.Generator]) -> None:
    """damped, latch, relay: the start of Keras's layers; one generator a replica, so that no pack enters its start.

    Keras draws the gates together, as one matrix of (inputs or units, gates * units): its width is the fan-out of
    Glorot's uniform, and its `units` rows are what is orthonormal in the recurrent weights. Biases start at zero, a
    forget gate's at 1.
    """
    for weight_ih, weight_hh, output_weight, generator in zip(
        model.weight_ih, model.weight_hh, model.output_weight, generators, strict=True
    ):
        nn.init.xavier_uniform_(weight_ih, generator=generator)
        nn.init.orthogonal_(weight_hh, generator=generator)
        nn.init.xavier_uniform_(output_weight, generator=generator)
    for bias in (model.bias_ih, model.bias_hh, model.output_bias):
        bias.zero_()
    if model.cell.forget_gate is not None:
        model.bias_ih.unflatten(1, (model.cell.gates, -1))[:, model.cell.forget_gate] = 1


@torch.no_grad()
def initialise_sequence_predictor(model: SequencePredictor, generator: torch.Generator) -> None:
    """fibonacci: recurrent weights N(0, 1/inputs), output weights N(0, 0.01^2), zero biases (Chainer's, as used)."""
    _scaled_normal(list(model.recurrent.parameters()), generator)
    model.output.weight.normal_(std=0.01, generator=generator)
    model.output.bias.zero_()


def _uniform(module: nn.Module, fan: int, generator: torch.Generator) -> None:
    for parameter in module.parameters():
        parameter.uniform_(-(fan**-0.5), fan**-0.5, generator=generator)


def _scaled_normal(parameters: list[Tensor], generator: torch.Generator) -> None:
    """Weights, (outputs, inputs), normal with variance 1/inputs; biases zero."""
    for parameter in parameters:
        if parameter.dim() == 1:
            parameter.zero_()
        else:
            parameter.normal_(generator=generator).mul_(parameter.shape[1] ** -0.5)
