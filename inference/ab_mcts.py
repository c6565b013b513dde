"""Adaptive branching tree search, variant A (Inoue et al. 2025, AB-MCTS-A): go wider or deeper, by Thompson sampling.

Every node has a GEN arm (draw one more child here) and a CONT arm (go on from a child), and CONT an arm for each child.
An arm is worth a draw from the posterior of its mean reward. Walking down from the root, the larger draw wins, until
GEN does. The new child's reward goes to its parent's GEN arm, and to CONT and the child's arm at every ancestor.

Nodes can be generated in batches, never more at once than there are nodes: with that alone the tree keeps the width
and depth it has one by one, where a fixed batch makes it wide and flat (its first nodes can only be the root's).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from inference.engine import Engine, engine
from inference.frontier import Estimate, Tree, estimate, worth
from ppl.errors import WeightError
from ppl.execution import Execution
from ppl.results import SearchResult
from ppl.run import Run
from ppl.trace import Node

SAME = "the program called no heuristic and scored nothing: to ab_mcts every node is worth the same"


class Arm(Protocol):
    """What is known of the mean reward of one arm."""

    def tell(self, reward: float) -> None:
        """One more reward that the arm gave."""

    @classmethod
    def draw(cls, arms: Sequence[Any], rng: Any) -> list[float]:
        """A mean reward for each arm, from its posterior."""


class Gaussian:
    """Normal rewards, normal-inverse-chi-squared prior with m = 0, kappa = nu = 1, tau^2 = 0.1 (Murphy 2023, 3.4.3.3).

    The mean has a t distribution with 1 + n degrees of freedom, around `mean` with scale `scale`.
    """

    __slots__ = ("freedom", "mean", "scale", "squares", "total")

    def __init__(self) -> None:
        self.total = self.squares = self.mean = 0.0
        self.freedom, self.scale = 1, math.sqrt(0.1)

    def tell(self, reward: float) -> None:
        self.freedom += 1
        self.total += reward
        self.squares += reward * reward
        self.mean = self.total / self.freedom
        self.scale = math.sqrt(0.1 + max(0.0, self.squares - self.total * self.mean)) / self.freedom

    @classmethod
    def draw(cls, arms: Sequence[Gaussian], rng: Any) -> list[float]:
        noise = rng.standard_t([arm.freedom for arm in arms]).tolist()
        return [arm.mean + arm.scale * t for arm, t in zip(arms, noise, strict=True)]


class Beta:
    """Rewards in [0, 1] counted as fractions of a success, Jeffreys' prior Beta(1/2, 1/2)."""

    __slots__ = ("failures", "successes")

    def __init__(self) -> None:
        self.successes = self.failures = 0.5

    def tell(self, reward: float) -> None:
        self.successes += reward
        self.failures += 1.0 - reward

    @classmethod
    def draw(cls, arms: Sequence[Beta], rng: Any) -> list[float]:
        draws: list[float] = rng.beta([arm.successes for arm in arms], [arm.failures for arm in arms]).tolist()
        return draws


PRIORS: dict[str, type[Arm]] = {"gaussian": Gaussian, "beta": Beta}


@dataclass(eq=False, slots=True)
class Branch:
    """A node of the search tree with its arms. `children` are those one can go on from, `arms` theirs, `ends` the others."""

    execution: Execution
    leaf: Node
    parent: Branch | None
    estimate: Estimate
    arm: Arm
    gen: Arm
    cont: Arm
    children: list[Branch] = field(default_factory=list)
    ends: list[Branch] = field(default_factory=list)

    def tell(self, reward: float) -> None:
        """The reward of a child generated here."""
        self.gen.tell(reward)
        branch = self
        while branch.parent is not None:
            branch.arm.tell(reward)
            branch = branch.parent
            branch.cont.tell(reward)

    def below(self) -> Iterator[Branch]:
        """Every branch of its subtree, itself first."""
        stack = [self]
        while stack:
            branch = stack.pop()
            yield branch
            stack += branch.ends + branch.children


def walk(root: Branch, rng: Any) -> Branch:
    """The node to generate a child of."""
    branch = root
    while branch.children:
        wider, deeper = branch.gen.draw((branch.gen, branch.cont), rng)
        if wider >= deeper:
            break
        draws = branch.gen.draw([child.arm for child in branch.children], rng)
        branch = branch.children[draws.index(max(draws))]
    return branch


@engine
class ab_mcts(Engine):  # noqa: N801
    """The traces that finish among `nodes` generated nodes, best first. Every choice is drawn.

    A node is an execution at a barrier, so a program that drafts, scores and revises in a loop branches there.

    prior   what an arm's rewards are taken for: "gaussian", or "beta" for rewards in [0, 1]
    batch   most nodes generated together
    scale   a node's reward is exp(scores so far + heuristic), "log" the number itself; see `mcts`, also for finished
            and dead nodes
    """

    uses_heuristic = True
    nodes: int
    prior: str = "gaussian"
    batch: int = 1
    scale: str = "reward"

    def search(self, run: Run) -> SearchResult:
        tree, roots = Tree(run, "draw"), list[Branch]()
        with run.limits:
            roots += [self._branch(execution, None) for execution in tree.root()]
            for root in roots:
                if root.execution.running:
                    self.grow(run, tree, root)
        branches = [b for root in roots for b in root.below()]
        finished = sorted((b for b in branches if b.execution.finished), key=lambda b: -b.estimate.log_value)
        if branches and not any(b.estimate.guided or b.estimate.scored for b in branches):
            run.warn(SAME)
        if roots and not finished and not run.stopped:
            run.warn(f"no trace finished among {self.nodes} nodes: the unfinished ones are in .traces")
        tips = [b for b in branches if b.execution.running and not b.execution.forks]
        open_ = tips if run.stopped or not finished else []
        return tree.result([b.execution for b in finished], [b.execution for b in open_])

    def grow(self, run: Run, tree: Tree, root: Branch) -> None:
        """Generate the nodes below a root. Rewards stay in its branches."""
        made, least = 0, 0.0
        while made < self.nodes:
            several = min(self.batch, self.nodes - made, max(1, made))
            parents = [walk(root, run.rng("thompson", made + i)) for i in range(several)]
            children = tree.draw([parent.execution for parent in parents])
            for parent, child in zip(parents, children, strict=True):
                reward = least if child.dead else self._add(child, parent)
                least = min(least, reward)
                parent.tell(reward)
            made += several

    def _add(self, child: Execution, parent: Branch) -> float:
        branch = self._branch(child, parent)
        (parent.children if child.running else parent.ends).append(branch)
        reward = worth(branch.estimate, self.scale)
        if self.prior == "beta" and not 0.0 <= reward <= 1.0 + 1e-9:
            raise WeightError(
                f"ab_mcts(prior='beta') needs rewards in [0, 1], as from heuristic(r.log()); found {reward:g}."
                " Write prior='gaussian' for others."
            )
        return min(reward, 1.0) if self.prior == "beta" else reward

    def _branch(self, execution: Execution, parent: Branch | None) -> Branch:
        start, before = (None, Estimate()) if parent is None else (parent.leaf, parent.estimate)
        found, arm = estimate(execution, start, before), PRIORS[self.prior]
        return Branch(execution, execution.leaf, parent, found, arm(), arm(), arm())
