"""imdb's net trained for some steps beside one of torch's own layers: same weights, order and masks, in float64."""

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from stages.kinds.classification.model import PADDING, ReviewClassifier
from stages.nn.dropout import dropout

WORDS, EMBEDDING, HIDDEN, BATCH, STEPS = 60, 10, 6, 8, 40
RATES = 0.5, 0.8  # on the embeddings, between the layers


class Torchs(nn.Module):
    """The same net from nn.Embedding, two packed layers of torch and nn.Linear; masks are given."""

    def __init__(self, cell, ours):
        super().__init__()
        layer = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}[cell]
        self.embedding = nn.Embedding(WORDS, EMBEDDING, padding_idx=PADDING)
        self.first = layer(EMBEDDING, HIDDEN, bidirectional=True)
        self.second = layer(2 * HIDDEN, HIDDEN, bidirectional=True)
        self.output = nn.Linear(2 * HIDDEN, 1)
        self.double()
        given = {name: values.clone() for name, values in ours.state_dict().items()}
        with torch.no_grad():
            self.embedding.weight.copy_(given["embedding.weight"])
            self.output.weight.copy_(given["output.weight"])
            self.output.bias.copy_(given["output.bias"])
            for number, mine in enumerate((self.first, self.second)):
                for name, parameter in mine.named_parameters():
                    parameter.copy_(given["recurrent." + name.replace("_l0", f"_l{number}")])

    def forward(self, tokens, lengths, masks):
        packed = pack_padded_sequence(self.embedding(tokens) * masks[0], lengths, enforce_sorted=False)
        between, _ = pad_packed_sequence(self.first(packed)[0], total_length=len(tokens))
        packed = pack_padded_sequence(between * masks[1], lengths, enforce_sorted=False)
        _, final = self.second(packed)
        hidden = final[0] if isinstance(final, tuple) else final
        return self.output(torch.cat([hidden[0], hidden[1]], dim=1)).squeeze(1)


def batches(generator):
    """Ids (time, batch), lengths and labels: the label is whether a word of the lower half comes first."""
    for _ in range(STEPS):
        lengths = torch.randint(1, 15, (BATCH,), generator=generator)
        tokens = torch.randint(2, WORDS, (int(lengths.max()), BATCH), generator=generator)
        tokens[torch.arange(len(tokens)).unsqueeze(1) >= lengths] = PADDING
        yield tokens, lengths, (tokens[0] < WORDS // 2).double()


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_training_goes_step_for_step_as_with_torchs_own_layers(cell):
    generator = torch.Generator().manual_seed(3)
    ours = ReviewClassifier(cell, WORDS, EMBEDDING, HIDDEN, 2, *RATES)
    ours.start(generator)
    ours.double().train()
    theirs = Torchs(cell, ours)
    optimizers = [torch.optim.Adam(net.parameters(), lr=0.01) for net in (ours, theirs)]
    first, losses = [], []
    for step, (tokens, lengths, labels) in enumerate(batches(generator)):
        torch.manual_seed(step)
        masks = [
            dropout(torch.ones(*tokens.shape, size, dtype=torch.float64), rate, True)
            for size, rate in zip((EMBEDDING, 2 * HIDDEN), RATES, strict=True)
        ]
        torch.manual_seed(step)
        pair = [
            nn.functional.binary_cross_entropy_with_logits(logits, labels)
            for logits in (ours(tokens, lengths), theirs(tokens, lengths, masks))
        ]
        for optimizer, loss in zip(optimizers, pair, strict=True):
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        assert pair[0].item() == pytest.approx(pair[1].item(), rel=1e-9), step
        first.append(ours.output.weight.detach().clone())
        losses.append(pair[0].item())
    assert not torch.allclose(first[0], first[-1])
    assert len({round(loss, 6) for loss in losses}) == STEPS
    torch.testing.assert_close(ours.embedding.weight, theirs.embedding.weight, rtol=1e-7, atol=1e-9)
    torch.testing.assert_close(
        ours.recurrent.weight_hh_l1_reverse, theirs.second.weight_hh_l0_reverse, rtol=1e-7, atol=1e-9
    )
