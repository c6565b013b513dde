"""Text to tokens and back for transformers models, so that no text can become a control token.

A chat template is rendered around placeholders; its own pieces are tokenised with control tokens on, every message
with them off. Whatever a message spells, `<|im_end|>` say, it stays text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from backends.language_model import LanguageModel
from backends.masks import Lexicon
from backends.matcher import llguidance, tokenizer_of
from backends.text import Tokens, Turn
from ppl.errors import BackendError, UsageError

_MARK = re.compile(
    "\ue000(\\d+)\ue001"
)  # private-use characters: what stands for message i while a template is rendered


class Tokenizer:
    """A transformers tokenizer with control tokens under lock.

    beginning  the tokens that its prompts start with (a begin-of-text token, or none)
    begin      the begin-of-text token, whether prompts start with it or not; () if there is none
    ends       the ids that end a text; the first one names the end
    """

    def __init__(self, tokenizer: Any, ends: Sequence[int], name: str) -> None:
        self.inner, self.name = tokenizer, name
        self.ends = tuple(dict.fromkeys(ends))
        self.begin = () if tokenizer.bos_token_id is None else (tokenizer.bos_token_id,)
        self.beginning = tuple(i for i in tokenizer("").input_ids if i == tokenizer.bos_token_id)
        added = [str(token) for token in tokenizer.added_tokens_decoder.values() if str(token).strip()]
        self._control = re.compile(f"(?={'|'.join(map(re.escape, added)) or '(?!)'})")  # where one begins
        self._anchor = self._ids("a")[-1:]
        self._anchor_text = self._plain_decode(self._anchor)
        self._spelling: list[str] | None = None
        self.render = lru_cache(maxsize=1024)(self._render)
        self.encode = lru_cache(maxsize=4096)(self._encode)  # every particle writes the same prompt

    @property
    def vocabulary(self) -> tuple[Any, ...]:
        """Equal for tokenizers that give every text the same tokens."""
        backend = getattr(self.inner, "backend_tokenizer", None)
        if backend is not None:
            return (backend.to_str(), self.ends)
        return (tuple(sorted(self.inner.get_vocab().items())), self.ends)

    def _encode(self, text: str) -> Tokens:
        """Tokens of plain text; a control token's name in it is cut in two, so that both halves are text."""
        pieces, start = [], 0
        for found in self._control.finditer(text):
            pieces.append(text[start : found.start() + 1])
            start = found.start() + 1
        ids = tuple(i for piece in (*pieces, text[start:]) for i in self._ids(piece))
        unknown = self.inner.unk_token_id
        if unknown is not None and unknown in ids:
            odd = next(c for c in text if unknown in self._ids(c))
            raise BackendError(f"{self.name} has no token for {odd!r}, so it cannot read {text[:60]!r}.")
        return ids

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of tokens that stand inside a text: the space that some tokenizers drop at the start is kept."""
        return self._plain_decode((*self._anchor, *tokens))[len(self._anchor_text) :]

    def spelling(self) -> list[str]:
        """What every single token looks like, by id."""
        if self._spelling is None:
            ids = [[*self._anchor, i] for i in range(len(self.inner))]
            texts = self.inner.batch_decode(ids, clean_up_tokenization_spaces=False)
            self._spelling = [text[len(self._anchor_text) :] for text in texts]
        return self._spelling

    def lexicon(self) -> Lexicon:
        """The vocabulary as grammars need it: each token's bytes."""
        llguidance()
        from llguidance.hf import from_tokenizer

        try:
            known = from_tokenizer(self.inner, eos_token=list(self.ends))
        except ValueError:  # a decoder that it does not know, or no fast tokenizer
            spelled = [text.encode() for text in self.spelling()]
            known = tokenizer_of(spelled, self.ends, lambda text: self.encode(text.decode()))
        return Lexicon(known, self.encode, int, self.ends)

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self.inner(text, add_special_tokens=False, split_special_tokens=True).input_ids
        return ids

    def _plain_decode(self, tokens: Sequence[int]) -> str:
        text: str = self.inner.decode(list(tokens), clean_up_tokenization_spaces=False)
        return text

    def _render(self, turns: tuple[Turn, ...], bodies: tuple[Tokens, ...]) -> Tokens:
        """A chat as tokens, up to where the answer begins; bodies[i] are the tokens of the i-th message."""
        if not getattr(self.inner, "chat_template", None):
            raise UsageError(f"{self.name} has no chat template. Write lm.prompt(text), or give the text itself.")
        messages = [{"role": role, "content": f"\ue000{i}\ue001"} for i, (role, _) in enumerate(turns)]
        try:
            rendered = self.inner.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        except Exception as error:  # templates raise whatever Jinja raises
            raise BackendError(f"the chat template of {self.name} refuses this chat: {error}") from error
        parts = _MARK.split(rendered)  # template, message number, template, ...
        found = list(map(int, parts[1::2]))
        for i, (role, _) in enumerate(turns):
            if found.count(i) != 1:
                raise BackendError(f"the chat template of {self.name} does not show the {role} message exactly once.")
        tokens: Tokens = ()
        for piece, number in zip(parts[::2], [*found, None], strict=True):
            tokens += tuple(self.inner(piece, add_special_tokens=False, split_special_tokens=False).input_ids)
            tokens += bodies[number] if number is not None else ()
        return tokens


def end_ids(generation_ends: Any, tokenizer: Any, name: str) -> list[int]:
    """The tokens at which the model's own generation ends: as its generation config says, else as the tokenizer does.

    BackendError where neither names one: such a model's texts would have no end.
    """
    given = [generation_ends, tokenizer.eos_token_id]
    found = next((ids for ids in given if ids is not None), None)
    if found is None:
        raise BackendError(
            f"{name} names no end-of-text token, so its texts have no end. Set eos_token in its tokenizer."
        )
    return list(found) if isinstance(found, (list, tuple)) else [found]


class Tokenized(LanguageModel):
    """A language model whose tokens are those of a transformers tokenizer."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        self.vocabulary = tokenizer.vocabulary
        self.beginning = tokenizer.beginning
        self.has_chats = bool(getattr(tokenizer.inner, "chat_template", None))
        self.end_text = tokenizer.decode(tokenizer.ends[:1])
        # what an empty context begins with: something has to be read before the first token
        bos = tokenizer.inner.bos_token_id
        self.nothing: Tokens = (tokenizer.ends[0] if bos is None else bos,)

    def encode(self, text: str) -> Tokens:
        return self.tokenizer.encode(text)

    def decode(self, tokens: Sequence[Any]) -> str:
        return self.tokenizer.decode(tokens)

    def render(self, turns: tuple[Turn, ...]) -> Tokens:
        bodies = tuple(tuple(t for piece in pieces for t in self.tokens_of(piece)) for _, pieces in turns)
        return self.tokenizer.render(turns, bodies)
