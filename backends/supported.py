"""Which transformers models the shared tree can run: by what their config says, and by their numbers.

The tree keeps a token's keys and values as they were computed once, whatever stands in the batch or comes after. That is
right only where they depend on the tokens before it alone, and where the attention function is told all that decides
who sees whom. What a config can say against it is refused by name; whatever else a model may do differently shows in
the logits of a short text, computed over the tree in two forwards and compared with the plain forward pass.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch

from backends.kv_tree import Lease
from backends.tree_attention import Plan
from ppl.errors import BackendError

if TYPE_CHECKING:
    from backends.shared import SharedModel

LAYERS = ("full_attention", "sliding_attention")
MOVING_ROPE = ("dynamic", "longrope")  # frequencies depend on the longest text of the batch


class Unsupported(Exception):
    """Why a model cannot run over the tree."""


def windows(config: Any) -> list[int | None]:
    """The sliding window of each attention layer, in tokens; None: it sees everything. Raises Unsupported by name."""
    rope = getattr(config, "rope_parameters", None) or {}
    for parameters in [rope, *rope.values()]:
        kind = parameters.get("rope_type") if isinstance(parameters, dict) else None
        if kind in MOVING_ROPE:
            raise Unsupported(f"its rope_type {kind!r} changes the positions of old tokens when a text grows")
    layers = getattr(config, "layer_types", None) or [None] * config.num_hidden_layers
    for kind in layers:
        if kind is not None and kind not in LAYERS:
            raise Unsupported(f"it has layers of the type {kind!r}, and the tree knows {' and '.join(LAYERS)}")
    window = getattr(config, "sliding_window", None)
    return [None if kind == "full_attention" else window for kind in layers]


@contextmanager
def supported(model: SharedModel) -> Iterator[None]:
    """Around the change of a model's attention. Raises BackendError unless it then says over the tree what it said before."""
    config = model.net.config.get_text_config()
    probe = [i % config.vocab_size for i in (1, 5, 3, 7, 2, 4)]
    try:
        expected_windows = windows(config)
        with torch.inference_mode():
            expected = model.net(torch.tensor([probe], device=model.net.device)).logits[0, -1].float()
        yield
        found, told = over_the_tree(model, probe)
        if told != expected_windows:
            raise Unsupported(f"its layers have the windows {expected_windows}, and its attention is told {told}")
        difference = float((found - expected).abs().max())
        tolerance = 1e-3 if model.net.dtype == torch.float32 else 0.5
        if not difference <= tolerance * max(1.0, float(expected.abs().max())):
            raise Unsupported(f"its logits differ by {difference:.2g} from the plain forward pass")
    except (Unsupported, TypeError, RuntimeError, IndexError, AttributeError, AssertionError) as error:
        reason = str(error) if isinstance(error, Unsupported) else f"{type(error).__name__}: {error}"
        raise BackendError(
            f"{model.name}: the shared backend cannot run the architecture {model.net.config.model_type!r}: {reason}."
            " Load it unshared: load('hf:...', shared=False)."
        ) from error


@torch.inference_mode()
def over_the_tree(model: SharedModel, probe: list[int]) -> tuple[torch.Tensor, list[int | None]]:
    """The last logits of a short text over the tree, and the window that each layer's attention was told."""
    tree = model.tree
    lease = Lease(tree, tree.find(probe))
    path = lease.node.path()
    for new in (path[:2], path[2:]):  # in two forwards, so that the second reads what the first one stored
        tree.begin_step(())
        tree.place(new)
        plan = Plan(tree.pool, new)
        states = model.run(plan)
    return model.logits(states[-1:])[0].float(), [plan.told.get(layer) for layer in range(len(tree.pool.k))]
