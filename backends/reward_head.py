"""A reward head: a small network on a language model's hidden state at the last step token.

The folder has `head.safetensors` and `head.json`:

    base        the language model: a folder (relative to this one) or what `load` takes
    step_token  the text of the token that ends a step, e.g. "\\n"
    readout     "mlp_sigmoid": sigmoid of a network of linear layers with `activation` between them
    layers      their names in the safetensors file, input first: "0" for 0.weight (out x in) and 0.bias
    activation  "relu", "tanh" or "gelu"

The state is the last layer's output after the final norm. A head on the weights that also write the text costs one
matrix product for all pending rewards where the backend shares what it has computed.
"""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from backends.hf import HFModel
from backends.loading import load
from backends.readouts import Activation, Layers, sigmoid, through
from backends.rewards import Asked, RewardModel, check_window, in_context
from backends.text import Context
from ppl.errors import BackendError
from ppl.requests import HiddenStates
from ppl.reward import Reward, StepRewards

ACTIVATIONS: dict[str, Activation] = {
    "relu": torch.relu,
    "tanh": torch.tanh,
    "gelu": torch.nn.functional.gelu,
}
READOUTS = ("mlp_sigmoid",)


class StepState(HiddenStates):
    """The hidden state at a step's end, read by a reward."""

    column = "reward_calls"


class HeadReward(RewardModel):
    """P(the text up to its last step token will end well), as the head was trained to say; `raw` is its logit."""

    def __init__(self, folder: Path) -> None:
        self.name = f"head:{folder.name}"
        description = _read_json(folder / "head.json")
        try:
            weights = load_file(folder / "head.safetensors")
        except (OSError, SafetensorError) as error:
            raise BackendError(f"cannot read {folder / 'head.safetensors'}: {error}") from None
        self.layers = _layers(folder, description, weights)
        self.activation = ACTIVATIONS[_one_of(folder, description, "activation", ACTIVATIONS)]
        _one_of(folder, description, "readout", READOUTS)
        base = str(description.get("base"))
        self.model: HFModel = load(f"hf:{folder / base}" if (folder / base).is_dir() else base)
        self.model.need("hidden_states")
        hidden = self.model.net.config.get_text_config().hidden_size
        if self.layers[0][0].shape[1] != hidden:
            raise BackendError(
                f"{folder}: the first layer reads {self.layers[0][0].shape[1]} numbers, and the hidden states of"
                f" {self.model.name} have {hidden}. Is {base!r} the model that the head was trained on?"
            )
        device = self.model.net.device
        self.layers = [(weight.to(device), bias.to(device)) for weight, bias in self.layers]
        step = self.model.encode(str(description.get("step_token")))
        if len(step) != 1:
            raise BackendError(
                f"{folder / 'head.json'}: step_token {description.get('step_token')!r} is {len(step)} tokens of"
                f" {self.model.name}; a step ends with one."
            )
        self.step_token, self.step_end = step[0], str(description.get("step_token"))

    def judge(self, question: str | None, answer: str | Context) -> Asked[Reward]:
        context = in_context(self.model, question, answer)
        check_window(self.model, context)
        tokens = context.tokens
        asked = None if question is None or isinstance(answer, Context) else in_context(self.model, question, "")
        begins = 0 if asked is None else len(asked.tokens)
        place = next((i for i in reversed(range(begins, len(tokens))) if tokens[i] == self.step_token), None)
        if place is None:
            raise BackendError(
                f"reward {self.name}: the {'text' if asked is None else 'answer'} has no step token"
                f" {self.step_end!r}, so there is nowhere to read: {context.text[-60:]!r}."
            )
        key = ("step state", context.key, place, self)
        row = StepState(backend=self.model, key=key, context=context, positions=(place,), readout=self.readout)

        def finish(results: list[Any]) -> Reward:
            logit = float(results[0][0, 0])
            return Reward(sigmoid(logit), logit, self.model.hold(context))

        return [row], finish

    def judge_steps(self, question: str | None, steps: list[str]) -> Asked[StepRewards]:
        """Each step is read at its own step token, which it is given where it lacks one."""
        return super().judge_steps(question, [s if s.endswith(self.step_end) else s + self.step_end for s in steps])

    def readout(self, states: torch.Tensor) -> torch.Tensor:
        """The logits (n, 1) of hidden states (n, hidden)."""
        return through(self.layers, states, self.activation)


def head(argument: str) -> HeadReward:
    """`reward:head:DIR`: a head on the hidden states of a model, described by DIR/head.json."""
    return HeadReward(Path(argument).expanduser())


def _layers(folder: Path, description: Any, weights: dict[str, torch.Tensor]) -> Layers:
    """The linear layers, checked to fit onto each other and to end in one number."""
    layers = []
    for name in description.get("layers", ()):
        try:
            layers.append((weights[f"{name}.weight"].float(), weights[f"{name}.bias"].float()))
        except KeyError as missing:
            raise BackendError(
                f"{folder / 'head.safetensors'} has no {missing}, which head.json names. It has {', '.join(weights)}."
            ) from None
    shapes = [tuple(weight.shape) for weight, _ in layers]
    chained = all(after[1] == before[0] for before, after in pairwise(shapes))
    if not layers or not chained or shapes[-1][0] != 1:
        raise BackendError(
            f"{folder}: the layers have the shapes {shapes} (out x in); each must read what the one before gives, and the"
            " last give one number."
        )
    return layers


def _one_of(folder: Path, description: Any, field: str, known: Any) -> str:
    value = description.get(field)
    if value not in known:
        raise BackendError(f"{folder / 'head.json'}: {field} is {value!r}; expected one of {', '.join(known)}.")
    return str(value)


def _read_json(file: Path) -> Any:
    try:
        return json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise BackendError(f"cannot read {file}: {error}") from None
