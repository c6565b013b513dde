"""The completions call of an OpenAI-compatible server, in token ids: what is asked, what comes back, what is tried again.

What the server must understand, beside the plain call: `prompt` as token ids, `return_tokens_as_token_ids`,
`include_stop_str_in_output`, `prompt_logprobs` and `seed`. vLLM does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import httpx
import tenacity

from backends.text import Tokens
from ppl.errors import BackendError


@dataclass(frozen=True, slots=True)
class Completion:
    """What a server said to one call; `said` is its JSON."""

    said: dict[str, Any]
    model: str

    def drawn(self) -> tuple[Tokens, tuple[float, ...]]:
        """The token path and the log-prob of each token. Tokens come spelled "token_id:123"."""
        logprobs = self._choice.get("logprobs") or {}
        spelled = logprobs.get("tokens") or []
        try:
            tokens = tuple(int(token.removeprefix("token_id:")) for token in spelled)
        except ValueError:
            tokens = ()
        if not tokens:
            raise BackendError(
                f"the server of {self.model} does not give token ids with log-probs (return_tokens_as_token_ids), which texts"
                " with a density need. vLLM does."
            )
        return tokens, tuple(map(float, logprobs["token_logprobs"]))

    def of_prompt(self, start: int, tokens: Sequence[int]) -> tuple[float, ...]:
        """The log-probs of the prompt's tokens from `start` on, which are `tokens`."""
        places = self._choice.get("prompt_logprobs")
        if not places or len(places) != start + len(tokens):
            raise BackendError(f"the server of {self.model} gives no prompt_logprobs, so it cannot score given text.")
        entries = zip(places[start:], tokens, strict=True)
        return tuple(float(place[str(token)]["logprob"]) for place, token in entries)

    @property
    def usage(self) -> tuple[int, int]:
        """Prompt tokens read, and how many of them the server had in its cache."""
        usage = self.said.get("usage") or {}
        return usage.get("prompt_tokens", 0), (usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0

    @property
    def _choice(self) -> dict[str, Any]:
        choice: dict[str, Any] = self.said["choices"][0]
        return choice


class Server:
    """One model of a server. Its methods raise BackendError where the server refuses, or gives no usable answer."""

    def __init__(self, client: httpx.Client, model: str) -> None:
        self.client, self.model = client, model

    def complete(self, **body: Any) -> Completion:
        """One completions call."""
        said = self._request("POST", "completions", {"model": self.model, "add_special_tokens": False, **body})
        return Completion(said, self.model)

    def window(self) -> int | None:
        """The model's longest context, if the server says so; BackendError if it does not serve the model."""
        served = {entry["id"]: entry for entry in self._request("GET", "models")["data"]}
        if self.model not in served:
            raise BackendError(
                f"the server at {self.client.base_url} does not serve {self.model!r}. It has {', '.join(served)}."
            )
        window: int | None = served[self.model].get("max_model_len")
        return window

    def _request(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """One call, tried again where the server is busy or a connection broke."""
        try:
            for attempt in tenacity.Retrying(
                retry=tenacity.retry_if_exception(_passing), stop=tenacity.stop_after_attempt(4),
                wait=tenacity.wait_exponential(0.25, max=8), reraise=True,
            ):  # fmt: skip
                with attempt:
                    response = self.client.request(method, path, json=body)
                    response.raise_for_status()
            answer: dict[str, Any] = response.json()
        except httpx.HTTPStatusError as error:
            raise BackendError(f"the server of {self.model} refuses: {_reason(error.response)}") from None
        except (httpx.TransportError, ValueError) as error:
            raise BackendError(
                f"no usable answer from {self.client.base_url}: {error}. Is it running? As in: vllm serve {self.model}"
            ) from None
        return answer


def _passing(error: BaseException) -> bool:
    """Whether it may be gone in a moment."""
    if isinstance(error, httpx.HTTPStatusError):
        return error.response.status_code == 429 or error.response.status_code >= 500
    return isinstance(error, httpx.TransportError) and not isinstance(error, httpx.ConnectError)


def _reason(response: httpx.Response) -> str:
    try:
        said = response.json()
        return str((said.get("error") or said).get("message") or said)
    except (ValueError, AttributeError):
        return f"HTTP {response.status_code}"
