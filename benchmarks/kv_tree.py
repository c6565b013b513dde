"""The shared backend against transformers' own ways, on SmolLM2-135M: tokens per CPU-second, one thread, one run.

    python benchmarks/kv_tree.py [w1 w2 w3 w4 job exact] [--rounds N] [--quick]

Rivals and ours take turns in one process; each row is the best of its rounds in CPU seconds, and ratios are of rows in
the same table. `generate` and the expanded cache start from one prefill of the prompt, repeated per sequence, which is
the strongest form transformers offers; naive re-prefill is extrapolated from two lengths.
"""

from __future__ import annotations

import argparse
import copy
import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from transformers import DynamicCache

from backends import load
from backends.fast_linear import speed_up
from backends.shared import SharedModel
from inference import importance, smc
from ppl import model, sample, score
from ppl.dist import uniform_real
from ppl.events import watching
from ppl.requests import serve

TEXT = (
    "The ferry left at six with eleven passengers and a crate of lemons nobody claimed. Marta kept the tickets in a tin, "
    "sorted by the colour of their edges, and wrote the weather on the back of each one. By the second island the engine "
    "had begun to knock, so the mate lay down between the pistons with a lamp and a spoon. A schoolteacher explained to "
    "two brothers why the tide comes late to the north shore; one of them did not believe her and asked the captain, who "
    "laughed. In the saloon there were nine chairs, four of them broken, and a piano that had been tuned for a wedding. "
    "Somebody played half a waltz. Near the lighthouse the wind turned, the lemons rolled across the deck, and the dog "
    "chased all but three of them into the sea. When the harbour came in sight it was nearly dark; the mayor stood on "
    "the quay with a lantern and a letter, looking for the one person on board who had not yet learned to swim. "
    "Everybody else was counting money, folding coats, or arguing about the price of a bed for the night in that town."
)
TEMPERATURE = 0.8


def cpu(work: Callable[[], Any]) -> tuple[float, Any]:
    start = time.process_time()
    result = work()
    return time.process_time() - start, result


def race(
    title: str, entries: dict[str, Callable[[], int]], rounds: int, base: str, ours: Sequence[SharedModel]
) -> dict[str, float]:
    """Tokens per CPU-second of each entry, taking turns; printed as ratios to `base`."""
    best: dict[str, float] = {}
    for _ in range(rounds):
        for name, work in entries.items():
            for lm in ours:
                lm.forget()  # or a later round would find what an earlier one computed
            seconds, tokens = cpu(work)
            best[name] = max(best.get(name, 0.0), tokens / seconds)
    print(f"\n{title}")
    for name, rate in best.items():
        print(f"  {name:34s} {rate:8.1f} tok/cpu-s   x{rate / best[base]:.2f}", flush=True)
    return best


class Rivals:
    """transformers with an expanded cache, on the same weights."""

    def __init__(self, net: Any) -> None:
        self.net = net
        net.generation_config.eos_token_id = None
        net.generation_config.pad_token_id = 0

    def prefilled(self, ids: list[int], n: int) -> tuple[DynamicCache, torch.Tensor]:
        cache = DynamicCache(config=self.net.config)
        out = self.net(torch.tensor([ids]), past_key_values=cache, use_cache=True, logits_to_keep=1)
        cache.batch_repeat_interleave(n)
        return cache, out.logits[:, -1].expand(n, -1)

    def generate(self, ids: list[int], n: int, length: int) -> int:
        cache, _ = self.prefilled(ids[:-1], n)
        prompt = torch.tensor([ids]).repeat(n, 1)
        self.net.generate(
            prompt, past_key_values=cache, do_sample=True, temperature=TEMPERATURE, top_k=0, max_new_tokens=length
        )
        return n * length

    def smc(self, ids: list[int], n: int, steps: int, length: int) -> int:
        cache, logits = self.prefilled(ids, n)
        stream = torch.Generator().manual_seed(5)
        for _ in range(steps):
            for _ in range(length):
                p = torch.softmax(logits.float() / TEMPERATURE, -1)
                tokens = (p / torch.empty_like(p).exponential_()).argmax(-1)
                logits = self.net(tokens[:, None], past_key_values=cache, use_cache=True, logits_to_keep=1).logits[
                    :, -1
                ]
            weights = torch.softmax(torch.randn(n, generator=stream), 0)
            parents = torch.multinomial(weights, n, True, generator=stream)
            cache.batch_select_indices(parents)
            logits = logits[parents]
        self.bytes = sum(layer.keys.numel() * layer.keys.element_size() * 2 for layer in cache.layers)
        return n * steps * length

    def naive_cost(self, n: int, prompt: int, steps: int, length: int) -> float:
        """CPU seconds of reading every text again at each step, extrapolated from prefills of 2 rows at two lengths."""
        times = []
        for tokens in (prompt, prompt + (steps - 1) * length):
            rows = torch.randint(5, 4000, (2, tokens))
            times.append(cpu(lambda rows=rows: self.net(rows, use_cache=False, logits_to_keep=1))[0] * n / 2)
        return steps * sum(times) / 2

    def score(self, ids: list[int], candidates: list[list[int]]) -> int:
        for start in range(0, len(candidates), 16):
            some = candidates[start : start + 16]
            cache, _ = self.prefilled(ids, len(some))
            longest = max(map(len, some))
            rows = torch.tensor([c + [0] * (longest - len(c)) for c in some])
            self.net(rows, past_key_values=cache, use_cache=True).logits.float().log_softmax(-1)
        return sum(map(len, candidates))

    def one_at_a_time(self, prompts: list[list[int]], n: int, steps: int, length: int) -> int:
        return sum(self.smc(p, n, steps, length) for p in prompts)


@model
def continuation(lm: Any, prompt: str, length: int) -> None:
    sample("text", lm(lm.prompt(prompt), max_tokens=length, temperature=TEMPERATURE))


@model
def steps_of(lm: Any, prompt: str, steps: int, length: int) -> Any:
    context, drawn = lm.prompt(prompt), []
    for _ in range(steps):
        text = sample("text", lm(context, max_tokens=length, temperature=TEMPERATURE))
        context += text
        drawn.append(text)
        score(2.0 * math.log(0.1 + sample("luck", uniform_real(0.0, 1.0))))
    return drawn


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("workloads", nargs="*", default=["w1", "w2", "w3", "w4", "job", "exact"])
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="fewer steps: a smoke test, not a measurement")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    plain = load("smollm2", shared=False)
    shared = load("smollm2")
    rivals, fast = Rivals(plain.net), Rivals(copy.deepcopy(plain.net))
    speed_up(fast.net)
    ids = list(plain.encode(TEXT))
    print(f"prepacked linear layers: {shared.prepacked}; prompt text of {len(ids)} tokens")
    bench = Bench(plain, shared, rivals, fast, ids, options.rounds, options.quick)
    for name in options.workloads:
        getattr(bench, name)()


class Bench:
    def __init__(
        self, plain: Any, shared: SharedModel, rivals: Rivals, fast: Rivals, ids: list[int], rounds: int, quick: bool
    ) -> None:
        self.plain, self.shared, self.rivals, self.fast = plain, shared, rivals, fast
        self.ids, self.rounds, self.quick = ids, rounds, quick
        self.models = [shared]

    def ours(self, program: Any, engine: Any, *args: Any, lm: Any = None) -> int:
        result = program.run(lm or self.shared, *args, engine=engine, seed=1)
        self.cost = result.cost
        return int(result.cost.generated_tokens)

    def linear_layers(self, n: int, tokens: int) -> int:
        """The linear layers of `tokens` drawn tokens alone, n at a time: no way of running this model is faster."""
        layers = [m for m in self.shared.net.modules() if type(m) is torch.nn.Linear]
        inputs = {m.in_features: torch.randn(n, m.in_features) for m in layers}  # one tensor, so that fused layers fuse
        for _ in range(tokens // n):
            for layer in layers:
                layer(inputs[layer.in_features])
        return tokens

    def text(self, n: int, start: int = 0) -> str:
        return str(self.plain.decode(self.ids[start : start + n]))

    def w1(self) -> None:
        ids, prompt, length = self.ids[:200], self.text(200), 16 if self.quick else 64
        for n in (8, 32) if self.quick else (32, 64):
            race(
                f"W1: 200-token prompt, N = {n} continuations of {length}",
                {
                    "generate, one prefill": lambda n=n: self.rivals.generate(ids, n, length),
                    "shared tree fp32": lambda n=n: self.ours(continuation, importance(particles=n), prompt, length),
                    "its linear layers alone": lambda n=n: self.linear_layers(n, n * length),
                },
                self.rounds,
                "generate, one prefill",
                self.models,
            )

    def w2(self) -> None:
        ids, prompt, n, steps, length = self.ids[:200], self.text(200), 32, 4 if self.quick else 16, 8
        engine = smc(particles=n, ess_threshold=1.0, resampling="multinomial")
        bf16 = load("smollm2", dtype="bfloat16")
        self.models.append(bf16)
        peak = [0, 0]

        def watch(runs: Any) -> None:
            stats = self.shared.tree.stats()
            if stats["live_bytes"] > peak[0]:
                peak[:] = stats["live_bytes"], stats["allocated_bytes"]

        with watching(watch):
            rates = race(
                f"W2: SMC, N = {n}, {steps} steps x {length} tokens, resampling each step",
                {
                    "expanded cache": lambda: self.rivals.smc(ids, n, steps, length),
                    "expanded cache, same fast linears": lambda: self.fast.smc(ids, n, steps, length),
                    "shared tree fp32": lambda: self.ours(steps_of, engine, prompt, steps, length),
                    "its linear layers alone": lambda: self.linear_layers(n, n * steps * length),
                    "shared tree bf16": lambda: self.ours(steps_of, engine, prompt, steps, length, lm=bf16),
                },
                self.rounds,
                "expanded cache",
                self.models,
            )
        naive = self.rivals.naive_cost(n, 200, steps, length)
        tokens = n * steps * length
        print(
            f"  naive re-prefill, extrapolated: {tokens / naive:.1f} tok/cpu-s; shared fp32 is x{rates['shared tree fp32'] * naive / tokens:.1f}"
        )
        print(
            f"  KV held: {peak[0] / 1e6:.1f} MB live, {peak[1] / 1e6:.1f} MB allocated (x{peak[1] / max(peak[0], 1):.2f});"
            f" expanded {self.rivals.bytes / 1e6:.1f} MB: x{self.rivals.bytes / max(peak[0], 1):.1f}"
        )

    def w3(self) -> None:
        prefix = (self.ids * 2)[:300]
        context = self.shared.prompt(self.plain.decode(prefix))
        stream = torch.Generator().manual_seed(0)
        candidates = [
            torch.randint(100, 40000, (int(torch.randint(8, 17, (1,), generator=stream)),), generator=stream).tolist()
            for _ in range(64)
        ]

        def ours() -> int:
            from backends.text import Text

            dist = self.shared(context, prefix=True, max_tokens=32)
            plans = [dist.assess(Text("", tuple(c), "length", self.shared)) for c in candidates]
            for plan in plans:
                for row in plan.requests:
                    row.key = None
            serve([row for plan in plans for row in plan.requests])
            return sum(map(len, candidates))

        rates = race(
            "W3: score 64 strings on a 300-token prefix",
            {"expanded cache": lambda: self.rivals.score(prefix, candidates), "shared tree fp32": ours},
            self.rounds,
            "expanded cache",
            self.models,
        )
        rows = torch.tensor([prefix + candidates[0][:8]] * 2)
        naive = cpu(lambda: self.rivals.net(rows, use_cache=False).logits.float().log_softmax(-1))[0] * 32
        tokens = sum(map(len, candidates))
        print(
            f"  naive full copies, from 2 of 64: {tokens / naive:.1f} tok/cpu-s; shared fp32 is x{rates['shared tree fp32'] * naive / tokens:.1f}"
        )

    def w4(self) -> None:
        steps, length = 2 if self.quick else 4, 8
        lengths = [110, 120, 130, 140, 150, 160, 170, 180]
        starts = [i * 8 for i in range(8)]
        prompts = [self.ids[s : s + n] for s, n in zip(starts, lengths, strict=True)]
        texts = [{"lm": self.shared, "prompt": self.plain.decode(p), "steps": steps, "length": length} for p in prompts]
        engine = smc(particles=4, ess_threshold=1.0, resampling="multinomial")

        def ours() -> int:
            results = steps_of.run_many(texts, engine=engine, seed=1)
            return sum(int(r.cost.generated_tokens) for r in results)

        race(
            "W4: 8 prompts x 4 particles",
            {
                "one prompt at a time": lambda: self.rivals.one_at_a_time(prompts, 4, steps, length),
                "shared tree fp32": ours,
            },
            self.rounds,
            "one prompt at a time",
            self.models,
        )

    def job(self) -> None:
        """Job (b): 16 particles, 64-token prompt, 40 tokens drawn one by one; nothing ends early in a draw of 40."""
        ids, prompt = self.ids[:64], self.text(64)
        rates = race(
            "Job (b): 16 particles, 64 + 40 tokens",
            {
                "generate, one prefill": lambda: self.rivals.generate(ids, 16, 40),
                "shared tree fp32": lambda: self.ours(continuation, importance(particles=16), prompt, 40),
            },
            self.rounds,
            "generate, one prefill",
            self.models,
        )
        ratio = rates["generate, one prefill"] / rates["shared tree fp32"]
        print(
            f"  forwarded {self.cost.forwarded_tokens} tokens in {self.cost.forwards} forwards; CPU {ratio:.2f} of generate"
        )

    def exact(self) -> None:
        """Recorded log-probs of an SMC run against one full fp32 pass over each text, in plain transformers."""
        result = steps_of.run(self.shared, self.text(100), 3, 8, engine=smc(particles=8, ess_threshold=1.0), seed=2)
        worst = 0.0
        for trace in result.traces:
            path = list(self.shared.prompt(self.text(100)).tokens)
            for node in trace.nodes:
                if node.kind == "sample" and node.name == "text":
                    tokens = list(node.value.tokens)
                    logits = self.rivals.net(torch.tensor([path + tokens])).logits[0].double() / TEMPERATURE
                    log_p = logits.log_softmax(-1)[len(path) - 1 : -1]
                    expected = float(log_p[range(len(tokens)), tokens].sum())
                    if node.value.finish != "end":
                        worst = max(worst, abs(expected - node.log_prob) / len(tokens))
                    path += tokens
        print(f"\nlog-probs against a full fp32 recompute: {worst:.1e} per token")


if __name__ == "__main__":
    main()
