"""Dropout whose random numbers do not cost a CPU more than the network does."""

import numpy as np
import torch
from torch import Tensor, nn


def dropout(values: Tensor, rate: float, training: bool) -> Tensor:
    """Zero each value with probability `rate` and divide the others by 1 - `rate`; outside training, do nothing.

    torch draws its CPU masks one number at a time, which took a quarter of a training epoch. Here each value's fate
    hangs on 32 bits of NumPy's PCG64, seeded by one draw from torch's generator: so a seed, and a checkpoint of
    torch's generator, still decide everything. The rate is exact to 2**-32.
    """
    if not training or rate == 0:
        return values
    if not 0 < rate < 1:
        raise ValueError(f"dropout {rate}: allowed is 0 <= dropout < 1")
    if values.device.type != "cpu":
        return nn.functional.dropout(values, rate)
    seed = int(torch.randint(2**62, ()))
    words = np.random.Generator(np.random.PCG64(seed)).integers(2**64, size=-(-values.numel() // 2), dtype=np.uint64)
    bits = torch.from_numpy(words.view(np.int32))[: values.numel()].view(values.shape)
    kept = bits >= round(rate * 2**32) - 2**31
    return values * kept.to(values.dtype).mul_(1 / (1 - rate))


class Dropout(nn.Module):
    """`dropout` as a module."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, values: Tensor) -> Tensor:
        """Apply dropout to `values` of any shape."""
        return dropout(values, self.rate, self.training)

    def extra_repr(self) -> str:
        """The rate, for print(model)."""
        return f"rate={self.rate}"
