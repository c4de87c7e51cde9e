"""Parameters of nets: how many there are, and how documents started them.

A CPU generator fills CPU parameters: start a model before moving it, and every device has the same weights.
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn


def parameter_count(model: nn.Module, frozen: bool = False) -> int:
    """Numbers in `model` that are trained, and with `frozen` those that are not as well; tied weights count once."""
    return sum(parameter.numel() for parameter in model.parameters() if frozen or parameter.requires_grad)


@torch.no_grad()
def start_uniform(parameters: Iterable[Tensor], fan: int, generator: torch.Generator) -> None:
    """All of them uniform within 1/sqrt(fan), as torch's own layers start."""
    for parameter in parameters:
        parameter.uniform_(-(fan**-0.5), fan**-0.5, generator=generator)


@torch.no_grad()
def start_scaled_normal(parameters: Iterable[Tensor], generator: torch.Generator) -> None:
    """Weights, (outputs, inputs), normal with variance 1/inputs; biases zero."""
    for parameter in parameters:
        if parameter.dim() == 1:
            parameter.zero_()
        else:
            parameter.normal_(generator=generator).mul_(parameter.shape[1] ** -0.5)
