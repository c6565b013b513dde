"""Forward passes of a transformers model over many token paths at once, padded on the left and of bounded size."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import torch

from backends.running import padded
from backends.text import Tokens

PADDED_TOKENS = 8192  # most tokens of one forward pass, padding included
LOGITS = 1 << 26  # most logits of one forward pass: 256 MB in fp32


class Batch(NamedTuple):
    """Paths that are read together; `ids` and `mask` are rows x longest, `mask` 0 where a row is padded."""

    paths: list[Tokens]
    ids: torch.Tensor
    mask: torch.Tensor


class Passes:
    """What a network says of padded rows: logits, and hidden states."""

    def __init__(self, net: Any) -> None:
        self.net = net
        self._accepts = inspect.signature(net.forward).parameters

    def batches(self, wanted: Mapping[Tokens, int]) -> Iterator[Batch]:
        """Paths, short ones first, of each of which so many last logits are wanted."""
        batch: list[Tokens] = []
        for path in [*sorted(wanted, key=len), None]:
            if batch and (path is None or self._too_large([*batch, path], wanted)):
                yield Batch(batch, *padded(batch, self.net.device))
                batch = []
            if path is not None:
                batch.append(path)

    def _too_large(self, batch: Sequence[Tokens], wanted: Mapping[Tokens, int]) -> bool:
        logits = len(batch) * max(wanted[path] for path in batch) * self.net.config.get_text_config().vocab_size
        return len(batch) * len(batch[-1]) > PADDED_TOKENS or logits > LOGITS

    def logits(self, ids: torch.Tensor, mask: torch.Tensor, last: int, cache: Any = None) -> torch.Tensor:
        """Logits of the last positions, rows x last x vocabulary, in float32.

        With a cache, `ids` are the tokens after those that it holds, and `mask` covers both.
        """
        keep = {"logits_to_keep": last} if "logits_to_keep" in self._accepts else {}
        out = self.net(**self._inputs(ids, mask), **keep, past_key_values=cache, use_cache=cache is not None)
        logits: torch.Tensor = out.logits[:, -last:].float()
        return logits

    def states(self, batch: Batch) -> torch.Tensor:
        """The last layer's states after the final norm, rows x longest x hidden."""
        states: torch.Tensor = self.net.base_model(**self._inputs(*batch[1:]), use_cache=False).last_hidden_state
        return states

    def layers(self, batch: Batch) -> Sequence[torch.Tensor]:
        """What each layer makes of the paths, the embeddings first: each rows x longest x hidden."""
        out = self.net.base_model(**self._inputs(*batch[1:]), use_cache=False, output_hidden_states=True)
        layers: Sequence[torch.Tensor] = out.hidden_states
        return layers

    def _inputs(self, ids: torch.Tensor, mask: torch.Tensor) -> dict[str, torch.Tensor]:
        inputs = {"input_ids": ids, "attention_mask": mask}
        if "position_ids" in self._accepts:
            inputs["position_ids"] = (mask.cumsum(-1) - 1).clamp(min=0)[:, -ids.shape[1] :]
        return inputs
