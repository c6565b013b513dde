"""How the families of process reward models want an answer written, and where each step is judged.

A format makes of a question and its steps one context of the model and, for every step, the position of the token
whose hidden state is read. The context of a longer answer goes on from that of a shorter one, token by token, so that
in a tree each step is computed once. Marks that are control tokens enter as tokens; whatever a step spells is text.

Sources: the authors' inference code. Qwen2.5-Math-PRM (model card), math-shepherd-mistral-7b-prm, RLHFlow math-rm,
skywork-o1-prm-inference, PRIME EurusPRM (card), VersaPRM prm_llama, OpenR prm/infer_fns (Math-PSA), PURE, TRL.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from backends.text import Chat, Context, Text, Tokens
from ppl.errors import BackendError

if TYPE_CHECKING:
    from backends.hf import HFModel

Written = tuple[Context, list[int]]
BOXED = "Please reason step by step, and put your final answer within \\boxed{}."


def qwen(model: HFModel, mark: Tokens, question: str, steps: Sequence[str]) -> Written:
    """A chat whose answer has `<extra_0>` after every step."""
    return _marked(model.chat(system=BOXED, user=question), mark, steps)


def shepherd(model: HFModel, mark: Tokens, question: str, steps: Sequence[str]) -> Written:
    """`question step ки`, each further step on a line of its own and with its ` ки`."""
    return _at_ends(model, mark, [f"{question} {steps[0]} ки", *(f"\n{step} ки" for step in steps[1:])])


def rlhflow(model: HFModel, mark: Tokens, question: str, steps: Sequence[str]) -> Written:
    """A chat in which the user gives the steps and the assistant answers `+` to each; read where that is predicted."""
    chat = model.chat(user=f"{question} {steps[0]}")
    places = [len(chat.tokens) - 1]
    for step in steps[1:]:
        before = (chat + "+").tokens
        chat = Chat(model, (*chat.opening, ("assistant", ("+",)), ("user", (step,))))
        if chat.tokens[: len(before)] != before:
            raise BackendError(f"the chat template of {model.name} rewrites earlier turns; this family reads them on.")
        places.append(len(chat.tokens) - 1)
    return chat, places


def skywork(model: HFModel, mark: Tokens, question: str, steps: Sequence[str]) -> Written:
    """The question and the steps, a line each, every line's end a token of its own."""
    return _marked(_opened(model, f"{question}\n"), mark, steps)


def eurus(model: HFModel, mark: Tokens, question: str, steps: Sequence[str]) -> Written:
    """A chat whose answer has a blank line after every step, the last one too: it must not matter what follows."""
    return _grown(model.chat(user=question), [f"{step}\n\n" for step in steps])


def versa(model: HFModel, mark: Tokens, question: str, steps: Sequence[str]) -> Written:
    """Steps that end in ` \\n\\n\\n\\n`, one token of Llama 3."""
    pieces = [f"{step} \n\n\n\n" for step in steps]
    return _at_ends(model, mark, [f"{question} \n\n{pieces[0]}", *pieces[1:]])


def math_psa(model: HFModel, mark: Tokens, question: str, steps: Sequence[str]) -> Written:
    """Numbered steps that end in ` \\n\\n\\n\\n\\n`, one token of Qwen 2.5."""
    named = [step if re.match(r"Step \d+:", step) else f"Step {i}: {step}" for i, step in enumerate(steps, 1)]
    return _at_ends(model, mark, [f"{'' if i else question} {step} \n\n\n\n\n" for i, step in enumerate(named)])


def separated(model: HFModel, mark: Tokens, question: str, steps: Sequence[str]) -> Written:
    """TRL's `PRMTrainer`, and PURE: the question, then each step and the separator, tokenised apart."""
    return _marked(_opened(model, question), mark, steps)


# -- what they share ------------------------------------------------------------------------------------------------


def _opened(model: HFModel, text: str) -> Context:
    """A prompt that begins with the begin-of-text token, also where the tokenizer has one and does not add it."""
    context = model.prompt(text)
    if not model.beginning:
        context.tokens = (*model.tokenizer.begin, *context.tokens)
    return context


def _marked(context: Context, mark: Tokens, steps: Sequence[str]) -> Written:
    """Steps and marks added to a context, tokenised apart; read at the marks."""
    places = []
    for step in steps:
        context = context + step + Text("", mark, None, context.model)
        places.append(len(context.tokens) - 1)
    return context, places


def _at_ends(model: HFModel, mark: Tokens, pieces: Sequence[str]) -> Written:
    """Plain text read at the mark that ends each piece."""
    context, places = _grown(model.prompt(""), pieces)
    for place, piece in zip(places, pieces, strict=True):
        if context.tokens[place : place + 1] != mark:
            raise BackendError(f"the end of {piece[-40:]!r} is not the step token {model.decode(mark)!r}.")
    return context, places


def _grown(context: Context, pieces: Sequence[str]) -> Written:
    """A context with pieces added, and where each ends.

    Each has the tokens it has in the whole text, unless the tokenizer reads what stands before it otherwise because
    of it; then it is tokenised apart. So what a piece adds never depends on the pieces after it.
    """
    model, text = context.model, ""
    whole: Tokens = ()
    places = []
    for piece in pieces:
        tokens = model.encode(text + piece)
        own = tokens[len(whole) :] if tokens[: len(whole)] == whole else model.encode(piece)
        whole, text = (*whole, *own), text + piece
        context += Text(piece, own, None, model)
        places.append(len(context.tokens) - 1)
    return context, places
