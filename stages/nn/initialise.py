"""Initial weights, as each study's document had them: in place, every random number from an explicit generator.

A CPU generator fills CPU parameters: initialise before moving a model, and every device starts from the same weights.
"""

import torch
from torch import Tensor, nn

from stages.nn.models import PADDING, UNKNOWN, LanguageModel, ReviewClassifier


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
