"""Any interleaving of prompts, draws, forks, scores, hidden states and drops, as a Hypothesis state machine.

    TestMyBackend = interleavings(lambda: (MyBackend(...), plain_backend), check=lambda lm: lm.tree.check()).TestCase

Every answer of the backend under test is compared with a reference that computes each request alone, from nothing: what
a fast one shares, keeps, evicts or forgets must not show. Needs hypothesis.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from ppl.requests import HiddenStates, serve
from ppl.testing.backends import answers, check_same_answers

PROMPTS = ("the", "the answer", "one two", "one two three four", "six")
LONGEST = 60  # tokens of a context that is still extended


def interleavings(
    models: Callable[[], tuple[Any, Any]],
    check: Callable[[Any], None] = lambda model: None,
    prompts: tuple[str, ...] = PROMPTS,
    tolerance: float = 1e-4,
) -> type[RuleBasedStateMachine]:
    """A state machine over `models()`: the backend under test and its reference, both fresh.

    check      called with the backend after every rule, for its own invariants
    tolerance  of log-probs per token, and of hidden states
    """

    class Interleavings(RuleBasedStateMachine):
        @initialize()
        def begin(self) -> None:
            self.model, self.reference = models()
            self.contexts: list[Any] = []
            self.seed = 0

        def some(self, data: Any) -> Any:
            return data.draw(st.sampled_from(self.contexts or [self.model.prompt(prompts[0])]))

        @rule(text=st.sampled_from(prompts))
        def prompt(self, text: str) -> None:
            self.contexts.append(self.model.prompt(text))

        @rule(data=st.data(), length=st.integers(1, 4), children=st.integers(1, 3))
        def extend(self, data: Any, length: int, children: int) -> None:
            """Draw continuations of one context in one batch; each becomes a context of its own."""
            parent = self.some(data)
            self.seed += 1
            dist = self.model(parent, max_tokens=length)
            plans = [dist.draw(np.random.default_rng((self.seed, i))) for i in range(children)]
            for drawn in answers(plans):
                expected = self.reference(parent, max_tokens=length).log_prob(drawn.value)
                assert math.isclose(drawn.log_prob, expected, abs_tol=tolerance * (length + 1))
                if len(parent.tokens) < LONGEST:
                    self.contexts.append(parent + drawn.value)

        @rule(data=st.data())
        def ask(self, data: Any) -> None:
            """Draws, scores and tables of several contexts, in one batch."""
            some = [self.some(data) for _ in range(data.draw(st.integers(1, 4)))]
            check_same_answers(
                self.model, self.reference, some, prompts[:2], seed=self.seed, max_tokens=3, tolerance=tolerance
            )

        @rule(data=st.data())
        def look(self, data: Any) -> None:
            """Hidden states at any positions."""
            context = self.some(data)
            places = st.lists(st.integers(0, len(context.tokens) - 1), min_size=1, max_size=3)
            positions = tuple(data.draw(places))
            rows = [HiddenStates(backend=m, context=context.on(m), positions=positions) for m in (self.model, self.reference)]
            for row in rows:
                serve([row])
            assert np.abs(rows[0].answer() - rows[1].answer()).max() <= tolerance

        @rule(data=st.data())
        def drop(self, data: Any) -> None:
            """Forget a context, and with it what only it kept."""
            if self.contexts:
                self.contexts.remove(self.some(data))

        @rule()
        def forget(self) -> None:
            """Forget everything that nobody can reach."""
            self.contexts.clear()
            getattr(self.model, "forget", lambda: None)()

        @invariant()
        def keeps_its_own_books(self) -> None:
            if hasattr(self, "model"):
                check(self.model)

    return Interleavings
