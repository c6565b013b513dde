"""Train the process-reward head: an MLP that reads P(solved in the end) off the language model's own hidden state.

The labels need no annotator (Math-Shepherd, Wang et al. 2024, with one rollout per prefix): sample solutions of
train puzzles and give every newline of a sample the sample's outcome. Minimising cross-entropy against these
outcomes makes the head's probability the model's own chance of success from there. Run after `train.py`.
"""

import argparse
import json
import random
import time

import torch
from checker import puzzle, solved
from derivations import puzzles, solutions
from lm import FOLDER, LanguageModel, reward_head
from safetensors.torch import save_file
from torch import nn

# States, outcomes, and which newline of its text each one is (0 ends the prompt).
Examples = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


def rollouts(lm: LanguageModel, prompts: list[str], samples: int) -> Examples:
    """The states and outcomes at every newline of `samples` solutions of each prompt."""
    states, outcomes, places = [], [], []
    for start in range(0, len(prompts), 100):
        texts = lm.complete([prompt for prompt in prompts[start : start + 100] for _ in range(samples)])
        for text, at_newlines in zip(texts, lm.newline_states(texts), strict=True):
            prompt, solution = text.split("\n", 1)
            states.append(at_newlines)
            outcomes += [float(solved(prompt, solution))] * len(at_newlines)
            places += range(len(at_newlines))
    return torch.cat(states), torch.tensor(outcomes), torch.tensor(places)


def fit(data: Examples, epochs: int, seed: int) -> nn.Sequential:
    torch.manual_seed(seed)
    states, outcomes, _ = data
    head = reward_head()
    optimiser = torch.optim.AdamW(head.parameters(), lr=3e-3, weight_decay=0.01)
    steps = epochs * -(-len(states) // 512)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for _ in range(epochs):
        for rows in torch.randperm(len(states)).split(512):
            loss = nn.functional.binary_cross_entropy_with_logits(head(states[rows]), outcomes[rows])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    return head


def auc(logits: torch.Tensor, outcomes: torch.Tensor) -> float:
    """P(a solved prefix has the higher logit than an unsolved one), ties broken by order."""
    ranks = logits.argsort().argsort().double() + 1
    good, bad = outcomes.sum(), (1 - outcomes).sum()
    return float((ranks[outcomes == 1].sum() - good * (good + 1) / 2) / (good * bad))


def report(head: nn.Sequential, data: Examples) -> None:
    states, outcomes, places = data
    with torch.no_grad():
        logits = head(states)
    loss = nn.functional.binary_cross_entropy_with_logits(logits, outcomes)
    print(f"held-out puzzles: loss {loss:.3f}, AUC {auc(logits, outcomes):.3f}", end="")
    for place in range(4):
        print(f", line {place}: {auc(logits[places == place], outcomes[places == place]):.3f}", end="")
    print()


def save(head: nn.Sequential) -> None:
    (FOLDER / "prm").mkdir(exist_ok=True)
    weights = {name: value.half() for name, value in head.state_dict().items()}
    save_file(weights, FOLDER / "prm" / "head.safetensors")
    description = {
        "base": "../model",
        "hidden": "last_hidden_state",  # the final layer's output after the final norm
        "step_token": "\n",
        "readout": "mlp_sigmoid",
        "layers": ["0", "2"],  # weight and bias names in head.safetensors, input first
        "sizes": [96, 128, 1],
        "activation": "relu",
    }
    (FOLDER / "prm" / "head.json").write_text(json.dumps(description, indent=2) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--puzzles", type=int, default=800)
    parser.add_argument("--samples", type=int, default=16)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(options.seed)
    chosen = [puzzle(numbers) for numbers in puzzles("train") if solutions(numbers)]
    random.Random(options.seed).shuffle(chosen)
    chosen, held_out = chosen[: options.puzzles], chosen[options.puzzles :][:120]
    lm = LanguageModel()
    data = rollouts(lm, chosen, options.samples)
    print(f"{len(data[0]):,} labelled newlines, {data[1].mean():.3f} solved", flush=True)
    head = fit(data, options.epochs, options.seed)
    report(head, rollouts(lm, held_out, options.samples))
    save(head)
    print(f"{time.process_time():.0f} CPU s")
