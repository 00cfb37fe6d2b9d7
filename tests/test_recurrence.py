import pytest
import torch
from torch import Tensor, nn

from stepdown.students import recurrence
from stepdown.students.cores import BidirectionalGru, ForwardGru


def by_torch(core: BidirectionalGru | ForwardGru, embedded: Tensor, lengths: Tensor) -> Tensor:
    """What torch's own layers say of each text by itself, zero behind it."""
    directions = 2 if isinstance(core, BidirectionalGru) else 1
    states = torch.zeros(*embedded.shape[:2], directions * core.forward_gru.hidden_size, dtype=embedded.dtype)
    for row, length in enumerate(lengths.tolist()):
        text = embedded[row : row + 1, :length]
        found, _ = core.forward_gru(text)
        if isinstance(core, BidirectionalGru):
            back, _ = core.backward_gru(text.flip(1))
            found = torch.cat([found, back.flip(1)], -1)
        states[row, :length] = found[0]
    return states


@pytest.mark.parametrize("lengths", [[6, 6, 6, 6], [6, 1, 4, 2], [1]])
@pytest.mark.parametrize("width", [1, 7])
@pytest.mark.parametrize("kind", [BidirectionalGru, ForwardGru])
def test_states_and_gradients_are_torchs_own(
    lengths: list[int], width: int, kind: type[BidirectionalGru | ForwardGru]
) -> None:
    torch.manual_seed(0)
    core = kind(width, 5).double()
    counts = torch.tensor(lengths)
    embedded = torch.randn(len(counts), int(counts.max()), width, dtype=torch.float64, requires_grad=True)
    own = torch.arange(embedded.shape[1]) < counts[:, None]
    inputs = [embedded, *core.parameters()]

    ours, theirs = core(embedded, counts), by_torch(core, embedded, counts)
    weights = torch.randn_like(theirs) * own[:, :, None]
    torch.testing.assert_close(ours[own], theirs[own], rtol=1e-12, atol=1e-12)
    found = torch.autograd.grad((ours * weights).sum(), inputs)
    expected = torch.autograd.grad((theirs * weights).sum(), inputs)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12)


def test_large_states_saturate_as_torchs_do() -> None:
    torch.manual_seed(0)
    core = BidirectionalGru(3, 4)
    embedded = 1e4 * torch.randn(2, 5, 3)
    counts = torch.tensor([5, 5])
    torch.testing.assert_close(core(embedded, counts), by_torch(core, embedded, counts), rtol=1e-5, atol=1e-6)


def test_the_same_numbers_come_out_again_and_without_gradients() -> None:
    torch.manual_seed(0)
    ahead, back = nn.GRU(4, 6), nn.GRU(4, 6)
    words = torch.randn(9, 2, 4, 3)
    first = recurrence.states(words, [ahead, back])
    with torch.inference_mode():
        assert torch.equal(recurrence.states(words, [ahead, back]), first)
    assert first.shape == (9, 2, 6, 3)
