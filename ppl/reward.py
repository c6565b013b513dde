"""`Reward`: what a reward model says of a text, and `StepRewards`: what it says of every step. Deliberately no numbers.

exp(score(r)), exp(score(log r)) and exp(score(logit r)) give three different posteriors, and so do the last, the least,
the product and the mean of the steps. Published systems mix them up; the program has to say which one it means.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NoReturn

from ppl.errors import BackendError, WeightError


@dataclass(frozen=True, slots=True)
class Reward:
    """A probability-like judgement `p` in [0, 1]; `raw` is the model's own number where its scale is another.

    lease  keeps what the model stored of the text, for as long as this judgement lives
    """

    p: float
    raw: float | None = None
    lease: Any = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not 0.0 <= self.p <= 1.0:
            raise BackendError(
                f"a reward must lie in [0, 1], got {self.p!r}. Map the model's own number there; keep it in raw=."
            )

    def log(self, floor: float = 0.0) -> float:
        """log(max(p, floor)): the program's text is weighted by p. With floor 0, p = 0 gives -inf (like `require`)."""
        p = max(self.p, floor)
        return math.log(p) if p > 0.0 else -math.inf

    def logit(self, clip: float = 1e-6) -> float:
        """log(p / (1 - p)) with p clipped to [clip, 1 - clip]: weighted by the odds (Puri et al. 2025)."""
        p = min(max(self.p, clip), 1.0 - clip)
        return math.log(p) - math.log1p(-p)

    def __float__(self) -> float:
        return self.p


@dataclass(frozen=True, slots=True)
class StepRewards:
    """The rewards of the steps of an answer, in order. The program says which one number they come to.

    Step t is judged in the light of the steps before it and of none after, so a longer answer has the same rewards
    and one more.
    """

    rewards: tuple[Reward, ...]
    lease: Any = field(default=None, repr=False, compare=False)

    def last(self) -> Reward:
        """The reward of the last step: of the answer as far as it goes."""
        return self.rewards[-1]

    def min(self) -> Reward:
        """The reward of the worst step."""
        return min(self.rewards, key=float)

    def product(self) -> Reward:
        """The product over steps: P(all steps are right) if each is judged given that those before it are."""
        return Reward(math.prod(r.p for r in self.rewards))

    def mean(self) -> Reward:
        """The mean over steps."""
        return Reward(math.fsum(r.p for r in self.rewards) / len(self.rewards))

    def __len__(self) -> int:
        return len(self.rewards)

    def __iter__(self) -> Iterator[Reward]:
        return iter(self.rewards)

    def __getitem__(self, step: int) -> Reward:
        return self.rewards[step]

    def log(self, floor: float = 0.0) -> NoReturn:
        raise WeightError(self.not_one("log()"))

    def logit(self, clip: float = 1e-6) -> NoReturn:
        raise WeightError(self.not_one("logit()"))

    def __float__(self) -> float:
        raise WeightError(self.not_one("float()"))

    def not_one(self, asked: str) -> str:
        """What to write instead of asking for one number."""
        return (
            f"{asked} of the rewards of {len(self)} steps: which one number do they come to? Write rewards.last(),"
            " rewards.min(), rewards.product() or rewards.mean() first: four different posteriors."
        )
