"""A language model behind an OpenAI-compatible server that speaks in token ids, as vLLM does: `openai:URL#MODEL`.

The tokenizer is loaded here, so prompts go out and texts come back as token paths: contexts, stops, control tokens and
densities mean what they mean for a model in process, and drawn texts pass between the two. A step is one round of
requests, all rows side by side; the server batches them and shares their prefixes. `backends.completions` makes the calls.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from backends.completions import Server
from backends.language_model import Draft, Settings
from backends.text import Tokens
from backends.tokenizer import Tokenized, Tokenizer
from ppl.errors import BackendError, UsageError
from ppl.population import log_sum_exp
from ppl.requests import Draw, Request, ScoreText

PARALLEL = 64  # requests under way at once
PLAIN = Settings().warp


@dataclass(frozen=True, slots=True)
class Reply:
    """What a server said about one row.

    tokens, log_probs   the path drawn and the log-prob of each token, the end included; of a scored text only log_probs
    read, found         prompt tokens that it read, and those of them that it found in its cache
    """

    tokens: Tokens
    log_probs: tuple[float, ...]
    read: int
    found: int


class ServedModel(Tokenized):
    """Draws and scores over HTTP. `log_probs` says what the server reports: of the "raw" model, or "processed" ones."""

    capabilities = frozenset({"draw", "score"})
    served = True

    def __init__(self, client: httpx.Client, model: str, tokenizer: Tokenizer, log_probs: str = "raw") -> None:
        if log_probs not in ("raw", "processed"):
            raise UsageError(f"log_probs={log_probs!r}: expected 'raw' or 'processed', as the server was started.")
        super().__init__(tokenizer)
        self.server, self.name, self.log_probs = Server(client, model), model, log_probs
        self.window = self.server.window()

    def step(self, rows: Sequence[Request]) -> None:
        with ThreadPoolExecutor(min(PARALLEL, len(rows))) as pool:
            replies = list(pool.map(self._ask, rows))
        for row, reply in zip(rows, replies, strict=True):
            if isinstance(reply, Exception):
                row.fail(reply)
            else:
                self._finish(row, reply)

    # -- asking, in a thread of its own -----------------------------------------------------------------------------

    def _ask(self, row: Request) -> Reply | Exception:
        try:
            if isinstance(row, Draw):
                return self._draw(row)
            assert isinstance(row, ScoreText)
            return self._score(row)
        except BackendError as error:
            return error

    def _draw(self, row: Draw) -> Reply:
        settings = row.settings
        if settings.warp != PLAIN:
            self._check_warp()
        context = self.path_of(row)
        said = self.server.complete(
            prompt=context, max_tokens=row.max_tokens, temperature=settings.temperature, top_p=settings.top_p,
            top_k=settings.top_k or -1, stop=list(settings.stop), include_stop_str_in_output=True,
            seed=int(row.uniforms[0] * 2**31), logprobs=1, return_tokens_as_token_ids=True,
        )  # fmt: skip
        reply = Reply(*said.drawn(), *said.usage)
        ended = reply.tokens[-1] in self.tokenizer.ends
        return self._with_all_ends(reply, (*context, *reply.tokens)) if ended else reply

    def _check_warp(self) -> None:
        if self.log_probs == "raw":
            raise BackendError(
                f"{self.name} reports log-probs of the unwarped model, so a draw with temperature, top_p or top_k would have"
                " no known density. Start the server with --logprobs-mode processed_logprobs and load with"
                " log_probs='processed', or leave them out."
            )
        if len(self.tokenizer.ends) > 1:
            raise BackendError(
                f"{self.name} ends its texts with any of {len(self.tokenizer.ends)} tokens, and under temperature, top_p or"
                " top_k its server reports the log-prob of one: the density is not known. Leave them out."
            )

    def _score(self, row: ScoreText) -> Reply:
        tokens, closed = row.value
        if row.settings.warp != PLAIN:
            raise BackendError(
                f"{self.name} scores given text under the plain model only: leave out temperature and top_p."
            )
        if any(token in self.tokenizer.ends for token in tokens):
            return Reply((), (-math.inf,), 0, 0)  # a text does not go on after its end
        context = self.path_of(row)
        asked = (*tokens, self.tokenizer.ends[0]) if closed else tokens
        if not asked:
            return Reply((), (), 0, 0)
        reply = self._of_prompt(context, asked)
        return self._with_all_ends(reply, (*context, *asked)) if closed else reply

    def _with_all_ends(self, reply: Reply, path: Tokens) -> Reply:
        """A text that ends may do so with any of the model's end tokens: its last log-prob is that of them all."""
        *said, last = reply.log_probs
        others = [self._of_prompt(path[:-1], (end,)) for end in self.tokenizer.ends if end != path[-1]]
        last = log_sum_exp([last, *(other.log_probs[0] for other in others)])
        read, found = (sum(getattr(each, column) for each in (reply, *others)) for column in ("read", "found"))
        return Reply(reply.tokens, (*said, last), read, found)

    def _of_prompt(self, context: Tokens, tokens: Tokens) -> Reply:
        """The log-prob of each token of a text that follows a context."""
        said = self.server.complete(prompt=(*context, *tokens), max_tokens=1, prompt_logprobs=0)
        return Reply((), said.of_prompt(len(context), tokens), *said.usage)

    def path_of(self, row: Any) -> Tokens:
        path: Tokens = row.context.tokens
        return path or self.nothing

    # -- concluding, in the scheduler's thread ----------------------------------------------------------------------

    def _finish(self, row: Any, reply: Reply) -> None:
        self.charge_context(row)
        row.cost.charge(shared_tokens=reply.found, forwarded_tokens=reply.read - reply.found + len(reply.tokens))
        if isinstance(row, ScoreText):
            row.cost.charge(scored_tokens=len(reply.log_probs))
            row.complete(math.fsum(reply.log_probs))
            return
        draft = Draft(row)
        for token, log_prob in zip(reply.tokens, reply.log_probs, strict=True):
            if token in self.tokenizer.ends:
                draft.end(log_prob)
            else:
                draft.push(token, log_prob)
            if row.done:
                return
        row.fail(
            BackendError(
                f"the server of {self.name} ended a text without its end token {self.end_text!r}, a stop or"
                f" max_tokens={row.max_tokens}, so its density is not known."
            )
        )


def load_served(
    where: str, *, tokenizer: str | None = None, log_probs: str = "raw", timeout: float = 600.0
) -> ServedModel:
    """`openai:URL#MODEL`, as in openai:http://localhost:8000/v1#Qwen/Qwen3-8B. The key is read from OPENAI_API_KEY.

    tokenizer  a folder or cached hub id with the model's tokenizer; MODEL itself by default
    log_probs  what the server reports: "raw" (vLLM's default), or "processed" (--logprobs-mode processed_logprobs),
               with which temperature, top_p and top_k may be used
    timeout    seconds for one request
    """
    from backends.hf_load import load_tokenizer

    url, mark, model = where.partition("#")
    if not mark or not url.startswith(("http://", "https://")):
        raise UsageError(f"cannot read 'openai:{where}': it is written openai:http://HOST:PORT/v1#MODEL.")
    key = os.environ.get("OPENAI_API_KEY")
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    client = httpx.Client(base_url=url.rstrip("/") + "/", headers=headers, timeout=timeout)
    return ServedModel(client, model, load_tokenizer(tokenizer or model, Path(model).name), log_probs)
