"""The operators that a network of a bundle may use, and what shape and type each gives.

They are those of our own graphs and of what torch exports of the transformers that there are, and a few of their kind.
All compute tensors of tensors. Left out: control flow (If, Loop, Scan), which has graphs within and no bound; strings,
sequences, optional values; random numbers; images; Einsum, DFT and others that no classifier was seen to need; and all
of other domains. Shapes follow https://onnx.ai/onnx/operators for the versions 13 to 21.

A shape that is a bound and not known exactly is never too small, whatever the network holds: it is what is allowed to
be allocated. Where nothing can be said, the network is refused.
"""

from __future__ import annotations

from collections.abc import Mapping

from stepdown.runtime.graph import layers, numberwise, shapes
from stepdown.runtime.graph.rules import Rule

RULES: Mapping[str, Rule] = {**numberwise.RULES, **shapes.RULES, **layers.RULES}
"""The rule of each operator."""
