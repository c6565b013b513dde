"""What a process reward costs while a search goes on: tokens forwarded, forwards and CPU seconds, in one run.

    python benchmarks/rewards.py [--particles 16] [--steps 8] [--rounds 3]

A particle filter writes steps of about 200 characters and asks for the reward of all steps after each (no language model: steps
are drawn from a list). The reward model is a random transformer with a two-label head (the family `trl`), the same
weights in every row. "shared" is this project; "read again" is the same program with rewards that read every text whole
each time; "its-hub" is the particle filter of its-hub (Red Hat AI) itself, if it is installed, with the same reward
model behind its interface, in batches of all particles. Rows take turns; CPU seconds are the least of all rounds.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoModelForTokenClassification, LlamaConfig, PreTrainedTokenizerFast

from backends import load
from inference import smc
from ppl import model, sample, score
from ppl.dist import uniform
from ppl.requests import serve

LETTERS = random.Random(0)
WORDS = sorted({"".join(LETTERS.choices("abcdefghijklmnopqrstuvwxyz", k=LETTERS.randint(2, 7))) for _ in range(400)})


def text(rng: random.Random, length: int = 200) -> str:
    """Words up to about `length` characters."""
    words: list[str] = []
    while sum(map(len, words)) + len(words) < length:
        words.append(rng.choice(WORDS))
    return " ".join(words)


QUESTION = text(random.Random(1))
STEPS = [text(random.Random(i)) for i in range(2, 4002)]


def reward_folder(folder: Path) -> str:
    """A random token classifier of 3.3 million weights, a word a token."""
    inner = Tokenizer(models.WordLevel({w: i for i, w in enumerate(["?", "</s>", "\n", " ", *WORDS])}, unk_token="?"))
    inner.pre_tokenizer = pre_tokenizers.Split(Regex(r"\s|\w+"), "isolated")
    inner.decoder = decoders.Fuse()
    PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="</s>", unk_token="?").save_pretrained(folder)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(WORDS) + 4, hidden_size=256, intermediate_size=768, num_hidden_layers=4, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=4096, num_labels=2,
    )  # fmt: skip
    AutoModelForTokenClassification.from_config(config, dtype=torch.float32).save_pretrained(folder)
    return str(folder)


def ours(prm: Any, particles: int, steps: int) -> Callable[[], dict[str, float]]:
    @smc(particles=particles, resampling="multinomial", ess_threshold=1.0)
    @model
    def program() -> None:
        written: list[str] = []
        for _ in range(steps):
            written.append(sample("step", uniform(STEPS)))
            score(prm.steps(QUESTION, written).last().logit())

    def run() -> dict[str, float]:
        if hasattr(prm.model, "forget"):
            prm.model.forget()
        cost = program(seed=0).cost
        return {"read": cost.reward_tokens, "forwarded": cost.forwarded_tokens, "forwards": cost.forwards}

    return run


def its_hub(prm: Any, particles: int, steps: int) -> Callable[[], dict[str, float]]:
    """its-hub's own particle filter; its language model draws from the same list, its reward is ours, unshared."""
    from its_hub.core.algorithms.particle_gibbs import ParticleFiltering

    counts: dict[str, float] = {}
    rng = random.Random(0)

    class Writer:
        max_steps = steps

        async def aforward(self, lm: Any, prompts: list[str], so_far: list[list[str]], **_: Any) -> list[Any]:
            return [(rng.choice(STEPS), len(before) + 1 >= steps) for before in so_far]

        def _post_process(self, written: list[str], stopped: bool = False) -> str:
            return "\n".join(written)

    class Reward:
        async def ascore(self, prompt: Any, texts: list[str]) -> list[float]:
            judged = [prm.judge(QUESTION, text) for text in texts]
            rows = [row for requests, _ in judged for row in requests]
            serve(rows)
            for row in rows:
                counts["read"] += len(row.context.tokens)
                counts["forwarded"] += row.cost.forwarded_tokens
            counts["forwards"] += sum(row.cost.forwards for row in rows[:1])
            return [meaning([row.answer() for row in requests]).last().p for requests, meaning in judged]

    def run() -> dict[str, float]:
        counts.update(read=0, forwarded=0, forwards=0)
        filtering = ParticleFiltering(Writer(), Reward())
        asyncio.run(filtering.ainfer(None, QUESTION, particles, return_response_only=False))
        return dict(counts)

    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--particles", type=int, default=16)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        path = reward_folder(Path(folder))
        shared, plain = load(f"reward:trl:{path}"), load(f"reward:trl:{path}", shared=False)
        entries = {
            "shared": ours(shared, options.particles, options.steps),
            "read again": ours(plain, options.particles, options.steps),
        }
        if find_spec("its_hub") is not None:
            entries["its-hub"] = its_hub(plain, options.particles, options.steps)
        seconds: dict[str, float] = {}
        found: dict[str, dict[str, float]] = {}
        for _ in range(options.rounds):
            for name, work in entries.items():
                start = time.process_time()
                found[name] = work()
                seconds[name] = min(seconds.get(name, float("inf")), time.process_time() - start)
    print(f"{options.particles} particles, {options.steps} steps of {len(plain.model.encode(STEPS[0]))} tokens or so")
    print(
        f"{'':12s} {'tokens read':>12s} {'forwarded':>10s} {'x shared':>9s} {'forwards':>9s} {'CPU s':>7s} {'x shared':>9s}"
    )
    for name, row in found.items():
        times = row["forwarded"] / found["shared"]["forwarded"], seconds[name] / seconds["shared"]
        print(
            f"{name:12s} {row['read']:12.0f} {row['forwarded']:10.0f} {times[0]:9.2f} {row['forwards']:9.0f}"
            f" {seconds[name]:7.2f} {times[1]:9.2f}"
        )
    if "its-hub" not in found:
        print(
            "its-hub is not installed here (pip install its-hub): its rewards read every text whole, as 'read again'."
        )


if __name__ == "__main__":
    main()
