"""How Keras starts its layers."""

from collections.abc import Sequence

import torch
from torch import nn

from stages.nn.replicas import Replicas


@torch.no_grad()
def start_as_keras(model: Replicas, generators: Sequence[torch.Generator]) -> None:
    """The start of Keras's layers; one generator a replica, so that no pack enters its start.

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
        model.bias_ih.view(model.replicas, model.cell.gates, -1)[:, model.cell.forget_gate] = 1
