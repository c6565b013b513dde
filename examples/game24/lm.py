"""The trained model in plain transformers: completing texts, and the hidden states that the reward head reads."""

from pathlib import Path

import torch
from torch import nn
from transformers import AutoModelForCausalLM, AutoTokenizer

FOLDER = Path(__file__).parent


class LanguageModel:
    """`model/` with its tokenizer; texts in and texts out, many rows at a time."""

    def __init__(self) -> None:
        self.model = AutoModelForCausalLM.from_pretrained(FOLDER / "model", dtype=torch.float32).eval()
        self.tokenizer = AutoTokenizer.from_pretrained(FOLDER / "model")
        self.newline = self.tokenizer.convert_tokens_to_ids("\n")

    @torch.inference_mode()
    def complete(self, texts: list[str], *, line: bool = False) -> list[str]:
        """Each text with a continuation sampled at temperature 1: up to <eos>, or with `line` through a newline."""
        if not texts:
            return []
        rows = self.tokenizer(texts, padding=True, return_tensors="pt")
        ends = [self.tokenizer.eos_token_id] + [self.newline] * line
        ids = self.model.generate(
            **rows, do_sample=True, top_k=0, max_new_tokens=16 if line else 36,
            eos_token_id=ends, pad_token_id=self.tokenizer.pad_token_id,
        )  # fmt: skip
        return self.tokenizer.batch_decode(ids, skip_special_tokens=True)

    @torch.inference_mode()
    def newline_states(self, texts: list[str]) -> list[torch.Tensor]:
        """For each text the final hidden states (after the final norm) at its newlines: newlines x 96."""
        rows = self.tokenizer(texts, padding=True, padding_side="right", return_tensors="pt")
        states = self.model.model(rows.input_ids).last_hidden_state  # causal: right padding is never seen
        return [h[ids == self.newline] for h, ids in zip(states, rows.input_ids, strict=True)]


def reward_head(hidden: int = 128) -> nn.Sequential:
    """State at a newline -> logit of P(the text so far can still be solved)."""
    return nn.Sequential(nn.Linear(96, hidden), nn.ReLU(), nn.Linear(hidden, 1), nn.Flatten(0))
