"""What the hidden state at the end of a step means: the log-odds that the step is right.

    token pair   log p(good) - log p(bad) of two tokens of the language model's own vocabulary
    label head   the difference of the second and the first of two labels
    value head   one number

A readout is a function of states (n, hidden) to log-odds (n, 1): the shared backend gives it the states of all pending
rewards at once. Layers are read from the folder of the weights, by name.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from backends.hf import HFModel
from backends.text import Tokens
from ppl.errors import BackendError
from ppl.requests import HiddenStates, serve

Readout = Callable[[torch.Tensor], torch.Tensor]
Activation = Callable[[torch.Tensor], torch.Tensor]
Layers = list[tuple[torch.Tensor, torch.Tensor]]  # weight (out x in) and bias (out) of each, input first


@dataclass(frozen=True, slots=True)
class Spelled:
    """A token by its text. One that begins with a space is looked up after a letter, as it stands in the text.

    published  its id in the published tokenizer
    control    a control token, which no text spells
    """

    text: str
    published: int | None = None
    control: bool = False


@dataclass(frozen=True, slots=True)
class Pair:
    """Two tokens whose logits are compared."""

    good: Spelled
    bad: Spelled


@dataclass(frozen=True, slots=True)
class Head:
    """Linear layers by name, input first, with ReLU between them; `outputs` numbers come out."""

    layers: tuple[str, ...]
    outputs: int


# -- tokens ---------------------------------------------------------------------------------------------------------


def step_token(model: HFModel, spelled: Spelled, entries: int) -> Tokens:
    """The token that ends a step. BackendError if the tokenizer has no such token, or not the published one."""
    return (_token(model, spelled, entries, "a step ends with"),)


def _token(model: HFModel, spelled: Spelled, entries: int, role: str) -> int:
    inner = model.tokenizer.inner
    if spelled.control:
        found: Tokens = tuple(i for t, i in inner.get_added_vocab().items() if t == spelled.text)
    else:
        found = _spelling(model, spelled.text)
    if len(found) != 1:
        what = f"is {len(found)} tokens of" if found else "is no token of"
        raise BackendError(
            f"{spelled.text!r}, which {role}, {what} {model.name}'s tokenizer; expected one. Take the tokenizer"
            " that was published with the weights, or another family."
        )
    if spelled.published is not None and len(inner) >= entries and found[0] != spelled.published:
        raise BackendError(
            f"{spelled.text!r}, which {role}, is token {found[0]} of {model.name}'s tokenizer, and {spelled.published} of"
            " the one that the weights were trained with. Take the tokenizer that was published with them."
        )
    return int(found[0])


def _spelling(model: HFModel, text: str) -> Tokens:
    """The tokens of a text, of one that begins with a space as they stand after a letter."""
    try:
        if not text.startswith(" "):
            return model.encode(text)
        before, whole = model.encode("x"), model.encode(f"x{text}")
        return whole[len(before) :] if whole[: len(before)] == before else whole
    except BackendError:  # a character that the tokenizer does not know
        return ()


# -- readouts -------------------------------------------------------------------------------------------------------


def token_pair(model: HFModel, pair: Pair, entries: int) -> Readout:
    """The difference of two rows of the language model's head, checked against its own next-token logits."""
    good = _token(model, pair.good, entries, "says that a step is right")
    bad = _token(model, pair.bad, entries, "says that a step is wrong")
    head = model.net.get_output_embeddings()
    difference = (head.weight[good].float() - head.weight[bad].float()).detach()[:, None]
    bias = getattr(head, "bias", None)
    shift = 0.0 if bias is None else float(bias[good] - bias[bad])

    def readout(states: torch.Tensor) -> torch.Tensor:
        log_odds: torch.Tensor = states @ difference + shift
        return log_odds

    _check_pair(model, readout, good, bad)
    return readout


def _check_pair(model: HFModel, readout: Readout, good: int, bad: int) -> None:
    """A head that does more than a linear product (a soft cap, a scale) shows here."""
    context = model.prompt("")
    row = HiddenStates(backend=model, context=context, positions=(len(context.tokens or "x") - 1,), readout=readout)
    table = model.token(context).table()
    serve([row, *table.requests])
    log_probs = table.requests[0].answer()
    found, expected = float(row.answer()[0, 0]), float(log_probs[good] - log_probs[bad])
    exact = model.net.dtype == torch.float32
    if not abs(found - expected) <= (1e-3 if exact else 0.25) * max(1.0, abs(expected)):
        raise BackendError(
            f"the logits of {model.name} are no linear product of its hidden states ({expected:.4g} against {found:.4g}),"
            " so two of them cannot be read alone."
        )


def label_head(model: HFModel, head: Head, folder: Path) -> Readout:
    """log p(right) - log p(wrong) of a head with two labels, the second of which is right."""
    layers = _layers(model, head, folder)
    return lambda states: through(layers, states) @ states.new_tensor([[-1.0], [1.0]])


def value_head(model: HFModel, head: Head, folder: Path) -> Readout:
    """The number that a head with one output gives."""
    layers = _layers(model, head, folder)
    return lambda states: through(layers, states)


def through(layers: Layers, states: torch.Tensor, activation: Activation = torch.relu) -> torch.Tensor:
    """What linear layers with an activation between them make of states (n, in): (n, out)."""
    for i, (weight, bias) in enumerate(layers):
        states = torch.nn.functional.linear(activation(states) if i else states, weight, bias)
    return states


def _layers(model: HFModel, head: Head, folder: Path) -> Layers:
    """The head's layers in float32 on the model's device. BackendError if they do not fit the model, or each other."""
    names = [f"{layer}.{part}" for layer in head.layers for part in ("weight", "bias")]
    weights = tensors(folder, names)
    missing = [name for name in names[::2] if name not in weights]
    if missing:
        raise BackendError(
            f"{str(folder)!r} has no {' and no '.join(missing)}, which this family's head consists of."
            " Is it a folder of this family?"
        )
    layers = []
    for layer in head.layers:
        weight = weights[f"{layer}.weight"].float().to(model.net.device)
        bias = weights.get(f"{layer}.bias", weight.new_zeros(weight.shape[0])).float().to(model.net.device)
        layers.append((weight, bias))
    shapes = [tuple(weight.shape) for weight, _ in layers]
    hidden = model.net.config.get_text_config().hidden_size
    sizes = [hidden, *(shape[0] for shape in shapes)]
    if [shape[1] for shape in shapes] != sizes[:-1] or sizes[-1] != head.outputs:
        raise BackendError(
            f"the head in {str(folder)!r} has the shapes {', '.join(map(str, shapes))} (out x in); expected {hidden} in,"
            f" {head.outputs} out, and each layer to read what the one before gives."
        )
    return layers


def tensors(folder: Path, names: Sequence[str]) -> dict[str, torch.Tensor]:
    """Those of the named tensors that the weight files of a folder hold; nothing else is read."""
    found: dict[str, Any] = {}
    try:
        for file in sorted(folder.glob("*.safetensors")):
            with safe_open(file, "pt") as stored:
                found |= {name: stored.get_tensor(name) for name in set(names) & set(stored.keys())}
        if not found:
            for file in sorted(folder.glob("pytorch_model*.bin")):
                stored = torch.load(file, map_location="cpu", weights_only=True, mmap=True)
                found |= {name: stored[name] for name in names if name in stored}
    except (OSError, SafetensorError, RuntimeError) as error:
        raise BackendError(f"cannot read the weights in {str(folder)!r}: {error}") from None
    return found


def sigmoid(x: float) -> float:
    """1 / (1 + exp(-x)), without overflow."""
    small = math.exp(-abs(x))
    return (small if x < 0.0 else 1.0) / (1.0 + small)
