"""The derivative of each operation, as operations: what the gradient of an output adds to those of the inputs.

Where a function has a corner, the rule takes PyTorch's side of it, so that both give the same map.
"""

from __future__ import annotations

from collections.abc import Mapping

from service.core.derivatives import arithmetic, layers, layout, values
from service.core.derivatives.rule import Rule

#: By the operation's name in ONNX. All that the rules write is in opset 16.
RULES: Mapping[str, Rule] = {**values.RULES, **arithmetic.RULES, **layers.RULES, **layout.RULES}
