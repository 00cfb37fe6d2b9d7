"""A layer of gated recurrent units on a processor, of one direction or two: torch's, with its passes written out.

What torch records for the way back, word by word, are some thirty small operations with a tensor each, and two threads
wait for each other at every one. Here a word is a few operations in place on all directions together, and the way back
adds the gradients up where they are. It says what `torch.nn.GRU` says, in a half to three quarters of the time, as
LOG.md tells.

Values are kept [..., units, batch], so that the gates of a word are blocks of memory, each in one piece.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

_sigmoid_backward = torch.ops.aten.sigmoid_backward.grad_input
_tanh_backward = torch.ops.aten.tanh_backward.grad_input


def states(words: Tensor, directions: Sequence[nn.GRU]) -> Tensor:
    """What layers of one direction say of texts, each of its own order of the words.

    With r, z and n the gates of `torch.nn.GRU`: h' = n + z ∘ (h − n), n = tanh(W_n x + b_n + r ∘ q), q = U_n h + c_n.

    Args:
        words: [length, directions, width, batch], in the order in which each direction reads them.
        directions: the weights of each, single layers of the same sizes.

    Returns:
        states, [length, directions, hidden, batch], in the same order.
    """
    of_input, of_state, input_bias, state_bias = (
        torch.stack([getattr(layer, f"{name}_l0") for layer in directions])
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    )
    hidden = directions[0].hidden_size
    # torch has the gates as r, z, n. What words go into stands first here, what states go into last: n, r, z, q.
    of_input, input_bias = of_input.roll(hidden, 1), input_bias.roll(hidden, 1)
    kept = input_bias[:, hidden:] + state_bias[:, : 2 * hidden]
    bias = torch.cat([input_bias[:, :hidden], kept, state_bias[:, 2 * hidden :]], 1)
    said: Tensor = _Layer.apply(words, of_input, of_state, bias.unsqueeze(-1))  # type: ignore[no-untyped-call]  # torch's
    return said


class _Layer(torch.autograd.Function):
    """Of all directions, with weights [directions, 3 · hidden, columns] and biases [directions, 4 · hidden, 1]."""

    @staticmethod
    def forward(ctx: Any, words: Tensor, of_input: Tensor, of_state: Tensor, bias: Tensor) -> Tensor:
        length, directions, _, batch = words.shape
        hidden = of_state.shape[-1]
        states = words.new_empty(length + 1, directions, hidden, batch)
        states[0] = 0
        gates = words.new_empty(length, directions, 4 * hidden, batch)
        gates[:] = bias
        before = states.unbind()
        for at, (word, values) in enumerate(zip(words.unbind(), gates.unbind(), strict=True)):
            n, r, z, q = values.chunk(4, 1)
            values[:, : 3 * hidden].baddbmm_(of_input, word)
            values[:, hidden:].baddbmm_(of_state, before[at])
            values[:, hidden : 3 * hidden].sigmoid_()
            # tanh(x) = 2 σ(2x) − 1: torch's σ takes a quarter of the time of its tanh.
            n.addcmul_(r, q).mul_(2).sigmoid_().mul_(2).sub_(1)
            torch.lerp(n, before[at], z, out=before[at + 1])
        ctx.save_for_backward(words, of_input, of_state, gates, states)
        return states[1:]

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, ...]:
        words, of_input, of_state, gates, states = ctx.saved_tensors
        hidden = of_state.shape[-1]
        to_word, to_state = (weights.transpose(1, 2).contiguous() for weights in (of_input, of_state))
        for_words = torch.empty_like(words)
        for_input, for_state = torch.zeros_like(of_input), torch.zeros_like(of_state)
        changes = torch.empty_like(gates[0])
        for_bias = torch.zeros_like(changes)
        of_n, of_r, of_z, of_q = changes.chunk(4, 1)
        by_input, by_state = changes[:, : 3 * hidden], changes[:, hidden:]
        change, other = torch.zeros_like(states[0]), torch.empty_like(states[0])
        for at in reversed(range(len(words))):
            n, r, z, q = gates[at].chunk(4, 1)
            change += gradients[0][at]
            torch.sub(states[at], n, out=other)
            other *= change
            _sigmoid_backward(other, z, grad_input=of_z)
            torch.mul(change, z, out=other)
            change -= other
            _tanh_backward(change, n, grad_input=of_n)
            torch.mul(of_n, r, out=of_q)
            torch.mul(of_n, q, out=of_r)
            _sigmoid_backward(of_r, r, grad_input=of_r)
            change, other = other, change
            change.baddbmm_(to_state, by_state)
            for_state.baddbmm_(by_state, states[at].transpose(1, 2))
            for_input.baddbmm_(by_input, words[at].transpose(1, 2))
            torch.bmm(to_word, by_input, out=for_words[at])
            for_bias += changes
        return for_words, for_input, for_state, for_bias.sum(2, keepdim=True)
