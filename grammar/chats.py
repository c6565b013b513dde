"""Chats and prompts: what a program goes on from when it asks a model, apart from any model.

A chat is a linked list: `chat + text` points to `chat`, so a search tree of chats shares its trunks, and the
context that a model made of a chat (its token path) is kept with it and grown, not made again.
"""

from __future__ import annotations

from typing import Any

from grammar.faults import Exhausted, Fault, Fuel
from grammar.vectors import Value

Turn = tuple[str, tuple[str, ...]]  # a role, and the pieces of its text


class Chat(Value):
    """An opening (turns of a chat, or the text of a prompt) and the answer so far, as a chain of pieces.

    `contexts` keeps, for each model that was asked, its own form of this chat.
    """

    __slots__ = ("contexts", "length", "opening", "parent", "piece")
    opening: tuple[Turn, ...] | str
    parent: Chat | None
    piece: str
    length: int
    contexts: dict[int, tuple[Any, Any]]

    def __init__(self, opening: tuple[Turn, ...] | str, parent: Chat | None = None, piece: str = "") -> None:
        self.opening, self.parent, self.piece, self.contexts = opening, parent, piece, {}
        self.length = _length(opening) if parent is None else parent.length + len(piece)
        self._weight, self._depth, self._hash = 1, 0, None

    def plus_text(self, piece: str, fuel: Fuel) -> Chat:
        """The chat whose open answer goes on with `piece`."""
        if self.length + len(piece) > fuel.max_text:
            raise Exhausted(f"max_text: a chat is longer than {fuel.max_text} characters")
        return Chat(self.opening, self, piece)

    def plus_chat(self, other: Chat) -> Chat:
        """This chat, its answer finished, and then the turns of another."""
        if isinstance(self.opening, str) or isinstance(other.opening, str):
            problem = "a prompt has no turns, so no chat can be joined to it"
            raise Fault("E557", problem=problem, mend="go on with a text")
        return Chat((*self.turns, *other.turns))

    @property
    def pieces(self) -> tuple[str, ...]:
        """The open answer, piece by piece."""
        found = []
        node = self
        while node.parent is not None:
            found.append(node.piece)
            node = node.parent
        return tuple(reversed(found))

    @property
    def turns(self) -> tuple[Turn, ...]:
        """All turns, the open answer last if it has begun; of a prompt its text as one turn."""
        opening = (("user", (self.opening,)),) if isinstance(self.opening, str) else self.opening
        pieces = self.pieces
        return (*opening, ("assistant", pieces)) if pieces else opening

    @property
    def answer(self) -> str:
        """The text that was added to the opening."""
        return "".join(self.pieces)

    def on(self, model: Any) -> Any:
        """The chat as a context of a host's model, grown from the nearest one that the model has seen."""
        pending, node = [], self
        while (known := node.contexts.get(id(model))) is None and node.parent is not None:
            pending.append(node)
            node = node.parent
        if known is None:
            context = (
                model.prompt(node.opening)
                if isinstance(node.opening, str)
                else model.context(list(node.opening))
            )
            node.contexts[id(model)] = (model, context)
        else:
            context = known[1]
        for each in reversed(pending):
            context = context + each.piece
        self.contexts[id(model)] = (model, context)
        return context

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Chat):
            return self is other or (self.length == other.length and self._key() == other._key())
        return NotImplemented

    __hash__ = Value.__hash__

    def _key(self) -> Any:
        turns = tuple((role, "".join(pieces)) for role, pieces in self.turns)
        return isinstance(self.opening, str), turns

    def __reduce__(self) -> tuple[Any, ...]:
        return rebuilt, (self.opening, self.pieces)

    def __repr__(self) -> str:
        shown = ", ".join(f"{role}: {''.join(pieces)[-40:]!r}" for role, pieces in self.turns)
        return f"<chat {shown}>"


def rebuilt(opening: tuple[Turn, ...] | str, pieces: tuple[str, ...]) -> Chat:
    """A chat from what was saved of it: its opening, and what was added to it since."""
    chat = Chat(opening)
    for piece in pieces:
        chat = Chat(opening, chat, piece)
    return chat


def _length(opening: tuple[Turn, ...] | str) -> int:
    if isinstance(opening, str):
        return len(opening)
    return sum(len(piece) for _, pieces in opening for piece in pieces)
