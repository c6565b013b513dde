"""Measure the model on the 100 test puzzles in plain transformers: pass@k, and best-of-n against SMC at equal samples.

Both methods draw N solutions line by line and return the one of highest weight. Best-of-n draws them independently;
SMC resamples after each line but the last. r_t is the head's P(solved) after line t. Two targets:
"last reward": weight r_3; r_1 and r_2 only guide SMC (increments r_1, r_2/r_1, r_3/r_2, as a heuristic's telescope);
"product of rewards": weight r_1 r_2 r_3 (increments r_1, r_2, r_3).
"""

import argparse
import math
import time

import numpy as np
import torch
from checker import puzzle, solved
from derivations import puzzles
from lm import FOLDER, LanguageModel, reward_head
from safetensors.torch import load_file


def pass_at(k: int, right: int, samples: int) -> float:
    """Unbiased estimate of P(at least one of k samples is right) (Chen et al. 2021, equation 1)."""
    return 1 - math.comb(samples - right, k) / math.comb(samples, k)


def coverage(lm: LanguageModel, prompts: list[str], samples: int) -> None:
    right = []
    for start in range(0, len(prompts), 25):
        block = prompts[start : start + 25]
        texts = lm.complete([prompt for prompt in block for _ in range(samples)])
        verdicts = [solved(*text.split("\n", 1)) for text in texts]
        right += [sum(verdicts[i : i + samples]) for i in range(0, len(verdicts), samples)]
    for k in (2**i for i in range(samples.bit_length())):
        print(f"pass@{k:<3} {np.mean([pass_at(k, r, samples) for r in right]):.3f}")


class Reward:
    """The head in `prm/`, read at the last newline of each text."""

    def __init__(self, lm: LanguageModel) -> None:
        self.lm, self.head = lm, reward_head()
        self.head.load_state_dict(load_file(FOLDER / "prm" / "head.safetensors"))

    @torch.inference_mode()
    def log(self, texts: list[str]) -> np.ndarray:
        states = torch.stack([at_newlines[-1] for at_newlines in self.lm.newline_states(texts)])
        return torch.nn.functional.logsigmoid(self.head(states)).double().numpy()


def systematic(log_weights: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Parents drawn by systematic resampling."""
    weights = np.exp(log_weights - log_weights.max())
    places = (rng.random() + np.arange(len(weights))) / len(weights)
    return np.searchsorted(np.cumsum(weights / weights.sum()), places).clip(max=len(weights) - 1)


def search(
    lm: LanguageModel, reward: Reward, prompts: list[str], n: int, seed: int, resample: bool, product: bool
) -> np.ndarray:
    """Per run: how often the returned solution is right, any particle is right, and the share of right particles."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    texts = np.repeat(np.array(prompts, dtype=object), n)
    totals = np.zeros((len(prompts), n))  # the log weight of each particle if nothing were resampled
    for line in range(3):
        texts = np.array(lm.complete(list(texts), line=True), dtype=object)
        before, rewards = totals, reward.log(list(texts)).reshape(totals.shape)
        totals = before + rewards if product else rewards
        if resample and line < 2:
            parents = np.stack([systematic(row, rng) for row in totals - before])
            texts = np.take_along_axis(texts.reshape(totals.shape), parents, 1).ravel()
            totals = np.take_along_axis(totals, parents, 1)
    right = np.array([solved(*text.split("\n", 1)) for text in texts]).reshape(totals.shape)
    returned = right[np.arange(len(prompts)), totals.argmax(1)]
    return np.array([returned.mean(), right.any(1).mean(), right.mean()])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=64)
    parser.add_argument("--particles", type=int, default=16)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    lm = LanguageModel()
    prompts = [puzzle(numbers) for numbers in puzzles("test")]
    coverage(lm, prompts, options.samples)
    reward = Reward(lm)
    for target, product in (("last reward", False), ("product of rewards", True)):
        for name, resample in (("best-of-n", False), ("smc", True)):
            n, seeds = options.particles, range(options.seeds)
            runs = np.array([search(lm, reward, prompts, n, seed, resample, product) for seed in seeds])
            returned, covered, share = runs.mean(0)
            print(f"{target:18}  {name:9}  returned right {returned:.3f} {runs[:, 0]}", end="")
            print(f"  any right {covered:.3f}  share right {share:.3f}", flush=True)
    print(f"{time.process_time():.0f} CPU s")
