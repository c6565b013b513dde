"""What goes into a language model and what comes out: contexts, chats, and the texts drawn after them.

All are immutable values that forks share. They keep token paths: a text that a model drew goes back into its context
as exactly the tokens that were drawn, and text that a user wrote never becomes a control token.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ppl.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from backends.language_model import LanguageModel

ROLES = ("system", "user", "assistant", "tool")
Tokens = tuple[Any, ...]
Turn = tuple[str, tuple[str, ...]]  # a role, and the pieces of its text


class Text(str):
    """A drawn text. It is a str; what one makes of it (`text.strip()`, `text + "x"`) is an ordinary str again.

    tokens  the path that was drawn, without an end token; `context + text` goes on with exactly these
    finish  "stop" (a stop string was completed), "end" (the model ended it), "length" (cut at max_tokens);
            of a single token "end" or None
    log_p   of a drawn text: the log-prob of every token and of its end under the distribution it was drawn for
    log_q   the same under what drew it, where a mask or a guide did
    model   whose tokens they are
    lease   keeps what the model stored of them, for as long as this text lives
    """

    __slots__ = ("finish", "lease", "log_p", "log_q", "model", "tokens")
    tokens: Tokens
    finish: str | None
    log_p: tuple[float, ...]
    log_q: tuple[float, ...]
    model: LanguageModel
    lease: Any

    def __new__(cls, shown: str, tokens: Tokens, finish: str | None, model: LanguageModel) -> Text:
        text = super().__new__(cls, shown)
        text.tokens, text.finish, text.model, text.lease = tokens, finish, model, None
        text.log_p = text.log_q = ()
        return text

    def __deepcopy__(self, memo: Any) -> Text:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return str, (str(self),)  # outside this process there is no model to go on with


class Context:
    """What a model goes on from: `lm.prompt(text)`, or a `Chat`. `context + text` is a longer one.

    text    all that the model reads, control tokens spelled out
    tokens  the same as a token path
    """

    def __init__(self, model: LanguageModel, opening: str | tuple[Turn, ...], pieces: tuple[str, ...] = ()) -> None:
        self.model, self.opening, self.pieces = model, opening, pieces

    @cached_property
    def tokens(self) -> Tokens:
        """The whole path: opening, then each piece as it was drawn, or in its canonical tokens."""
        path = self._opening_tokens()
        for piece in self.pieces:
            path += self.model.tokens_of(piece)
        return path

    def _opening_tokens(self) -> Tokens:
        assert isinstance(self.opening, str)
        return self.model.beginning + self.model.tokens_of(self.opening)

    @property
    def text(self) -> str:
        """All that the model reads, control tokens spelled out."""
        return self.model.read(self)

    @property
    def key(self) -> Hashable:
        """Equal for contexts after which the model says the same."""
        return self.model.context_key(self)

    def __add__(self, piece: str) -> Context:
        if not isinstance(piece, str):
            raise UsageError(f"a context grows by text: expected a str, found {type(piece).__name__}: {piece!r}.")
        grown = type(self)(self.model, self.opening, (*self.pieces, piece))
        if "tokens" in self.__dict__:
            grown.tokens = self.tokens + self.model.tokens_of(piece)
        return grown

    def parts(self) -> list[tuple[str, int]]:
        """What it is made of and how many tokens each has, for messages."""
        opening = len(self._opening_tokens())
        return [("prompt", opening), ("added", len(self.tokens) - opening)]

    def on(self, model: LanguageModel) -> Context:
        """The same text before another model."""
        return self if model is self.model else type(self)(model, self.opening, self.pieces)

    def __deepcopy__(self, memo: Any) -> Context:
        return self

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Context) and self.model is other.model and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    def __repr__(self) -> str:
        shown = "".join(self.pieces) or str(self.opening)
        return f"<context ...{shown[-40:]!r}>"


class Chat(Context):
    """Turns, and the assistant's answer as far as it goes: `chat + text` continues that answer.

    `chat.turn("user", text)` ends the answer and begins the next turn.
    """

    opening: tuple[Turn, ...]

    @property
    def turns(self) -> tuple[Turn, ...]:
        """All of them, the open answer last if it has begun."""
        return (*self.opening, ("assistant", self.pieces)) if self.pieces else self.opening

    def _opening_tokens(self) -> Tokens:
        return self.model.render(self.opening)

    def turn(self, role: str, text: str) -> Chat:
        """The chat with one more turn; the open answer, if it has begun, ends here."""
        return Chat(self.model, (*self.turns, _turn(role, text)))

    def parts(self) -> list[tuple[str, int]]:
        named = [(role, sum(len(self.model.tokens_of(p)) for p in pieces)) for role, pieces in self.turns]
        return [*named, ("template", len(self.tokens) - sum(n for _, n in named))]

    def __repr__(self) -> str:
        return f"<chat {', '.join(role + ': ' + repr(''.join(pieces)[-40:]) for role, pieces in self.turns)}>"


def chat_of(model: LanguageModel, turns: Iterable[Any]) -> Chat:
    """A chat from (role, text) pairs or {"role": ..., "content": ...}; a last assistant turn is the open answer."""
    checked = [_turn(*_pair(turn)) for turn in turns]
    if not checked:
        raise UsageError("a chat needs at least one turn, as in lm.chat(user='...').")
    if checked[-1][0] == "assistant":
        return Chat(model, tuple(checked[:-1]), checked[-1][1])
    return Chat(model, tuple(checked))


def _pair(turn: Any) -> Sequence[Any]:
    if isinstance(turn, Mapping) and {"role", "content"} <= turn.keys():
        return turn["role"], turn["content"]
    if isinstance(turn, (tuple, list)) and len(turn) == 2:
        return turn
    raise UsageError(f"a turn is a pair such as ('user', 'Hello') or a dict with role and content; found {turn!r}.")


def _turn(role: Any, text: Any) -> Turn:
    if role not in ROLES:
        raise UsageError(f"no role {role!r} in a chat.{did_you_mean(str(role), ROLES)} Roles: {', '.join(ROLES)}.")
    pieces = tuple(text) if isinstance(text, (tuple, list)) else (text,)
    for piece in pieces:
        if not isinstance(piece, str):
            raise UsageError(f"chat({role}=...): expected a text, found {type(piece).__name__}: {piece!r}.")
    return role, pieces
