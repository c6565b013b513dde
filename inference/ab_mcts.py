"""Adaptive branching tree search, variant A (Inoue et al. 2025, AB-MCTS-A): go wider or deeper, by Thompson sampling.

Every node has a GEN arm (draw one more child here) and a CONT arm (go on from a child), and CONT an arm for each child.
An arm is worth a draw from the posterior of its mean reward. Walking down from the root, the larger draw wins, until
GEN does. The new child's reward goes to its parent's GEN arm, and to CONT and the child's arm at every ancestor.

Nodes of one batch stand in for one another until their rewards are known: a walk leaves the expected reward of the
GEN arm it chose behind, and takes it back when the true one comes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from inference.engine import Engine, engine
from inference.frontier import Estimate, Tree, estimate, worth
from ppl.errors import WeightError
from ppl.execution import Execution
from ppl.results import SearchResult
from ppl.run import Run
from ppl.trace import Node

SAME = "the program called no heuristic and scored nothing: to ab_mcts every node is worth the same"


class Arm:
    """The rewards seen at one arm, as n, their sum and the sum of their squares."""

    __slots__ = ("n", "squares", "total")

    def __init__(self) -> None:
        self.n, self.total, self.squares = 0, 0.0, 0.0

    def tell(self, reward: float, count: int = 1) -> None:
        """Add a reward, or take one back (count -1)."""
        self.n += count
        self.total += count * reward
        self.squares += count * reward * reward


class Gaussian:
    """Normal rewards, normal-inverse-chi-squared prior with m = 0, kappa = nu = 1, tau^2 = 0.1 (Murphy 2023, 3.4.3.3).

    The mean of an arm is t-distributed with 1 + n degrees of freedom around `mean`.
    """

    @staticmethod
    def mean(arm: Arm) -> float:
        return arm.total / (1 + arm.n)

    @staticmethod
    def scale(arm: Arm) -> float:
        return math.sqrt(0.1 + max(0.0, arm.squares - arm.total * arm.total / (1 + arm.n))) / (1 + arm.n)

    @classmethod
    def draw(cls, arms: Sequence[Arm], rng: Any) -> list[float]:
        noise = rng.standard_t([1 + arm.n for arm in arms]).tolist()
        return [cls.mean(arm) + cls.scale(arm) * t for arm, t in zip(arms, noise, strict=True)]


class Beta:
    """Rewards in [0, 1] counted as fractions of a success, Jeffreys' prior Beta(1/2, 1/2)."""

    @staticmethod
    def mean(arm: Arm) -> float:
        return (0.5 + arm.total) / (1 + arm.n)

    @staticmethod
    def draw(arms: Sequence[Arm], rng: Any) -> list[float]:
        successes = [0.5 + arm.total for arm in arms]
        draws: list[float] = rng.beta(successes, [1 + arm.n - s for arm, s in zip(arms, successes, strict=True)]).tolist()
        return draws


PRIORS: dict[str, type[Gaussian] | type[Beta]] = {"gaussian": Gaussian, "beta": Beta}


@dataclass(eq=False, slots=True)
class Branch:
    """A node of the search tree with its arms. `children` are those one can go on from, `arms` theirs, `ends` the others."""

    execution: Execution
    leaf: Node
    parent: Branch | None
    arm: Arm
    estimate: Estimate
    gen: Arm = field(default_factory=Arm)
    cont: Arm = field(default_factory=Arm)
    children: list[Branch] = field(default_factory=list)
    ends: list[Branch] = field(default_factory=list)

    def tell(self, reward: float, count: int = 1) -> None:
        """The reward of a child generated here."""
        self.gen.tell(reward, count)
        branch = self
        while branch.parent is not None:
            branch.arm.tell(reward, count)
            branch = branch.parent
            branch.cont.tell(reward, count)

    def below(self) -> Iterator[Branch]:
        stack = [self]
        while stack:
            branch = stack.pop()
            yield branch
            stack += branch.ends + branch.children


def walk(root: Branch, prior: type[Gaussian] | type[Beta], rng: Any) -> Branch:
    """The node to generate a child of."""
    branch = root
    while branch.children:
        wider, deeper = prior.draw((branch.gen, branch.cont), rng)
        if wider >= deeper:
            break
        draws = prior.draw([child.arm for child in branch.children], rng)
        branch = branch.children[draws.index(max(draws))]
    return branch


@engine
class ab_mcts(Engine):  # noqa: N801
    """The traces that finish among `nodes` generated nodes, best first. Every choice is drawn.

    A node is an execution at a barrier, so a program that drafts, scores and revises in a loop branches there.

    prior   what an arm's rewards are taken for: "gaussian", or "beta" for rewards in [0, 1]
    batch   nodes generated together
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
            roots += [Branch(e, e.leaf, None, Arm(), estimate(e, None, Estimate())) for e in tree.root()]
            for root in roots:
                if root.execution.running:
                    self.grow(run, tree, root)
        branches = [b for root in roots for b in root.below()]
        finished = sorted((b for b in branches if b.execution.finished), key=lambda b: -b.estimate.log_value)
        if branches and not any(b.estimate.guided or b.estimate.scored for b in branches):
            run.warn(SAME)
        if roots and not finished and not run.stopped:
            run.warn(f"no trace finished among {self.nodes} nodes: the unfinished ones are in .traces")
        tips = [b for b in branches if b.execution.running and not (b.children or b.ends)]
        open_ = tips if run.stopped or not finished else []
        return tree.result([b.execution for b in finished], [b.execution for b in open_])

    def grow(self, run: Run, tree: Tree, root: Branch) -> None:
        """Generate the nodes below a root; rewards stay in its branches."""
        prior, least = PRIORS[self.prior], 0.0
        made = 0
        while made < self.nodes:
            parents, guesses = list[Branch](), list[float]()
            for i in range(made, min(self.nodes, made + self.batch)):
                parents.append(walk(root, prior, run.rng("thompson", i)))
                guesses.append(prior.mean(parents[-1].gen))
                parents[-1].tell(guesses[-1])
            made += len(parents)
            children = tree.draw([parent.execution for parent in parents])
            for parent, guess in zip(parents, guesses, strict=True):
                parent.tell(guess, -1)
            for parent, child in zip(parents, children, strict=True):
                reward = least
                if not child.dead:
                    reward = self._add(child, parent)
                    least = min(least, reward)
                parent.tell(reward)

    def _add(self, child: Execution, parent: Branch) -> float:
        found = estimate(child, parent.leaf, parent.estimate)
        branch = Branch(child, child.leaf, parent, Arm(), found)
        (parent.children if child.running else parent.ends).append(branch)
        reward = worth(found, self.scale)
        if self.prior == "beta" and not 0.0 <= reward <= 1.0 + 1e-9:
            raise WeightError(
                f"ab_mcts(prior='beta') needs rewards in [0, 1], as from heuristic(r.log()); found {reward:g}."
                " Write prior='gaussian' for others."
            )
        return min(reward, 1.0) if self.prior == "beta" else reward
