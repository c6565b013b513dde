"""The ETS objective with clusters as an integer program, for the parts that are too large to try one by one.

Binary x_i: leaf i is kept. y_j: ancestor j is alive. z_k: cluster k is hit. HiGHS (Huangfu & Hall 2018) works in
floating point: what it proposes is compared exactly. Ties are looked for only where the linear relaxation leaves room.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ppl.errors import CapabilityError

if TYPE_CHECKING:
    from inference.candidates import Candidates

SCALE = 1e6  # largest coefficient of the solver's objective, whose absolute gap of 1e-6 cannot be set
TOLERANCE = 1e-4  # on that scale: sets closer than this look equal to the solver
BLOCK = 16  # leaves whose tie-break one program settles: weights up to 2^15 stay clear of its feasibility tolerance


def solve(c: Candidates, members: Sequence[Sequence[int]], least: bool) -> list[int]:
    """The best set of leaves (with `least` not the empty one): for the objective, then the size, then block by block.

    `members` are the leaves of each cluster. Raises CapabilityError without scipy.
    """
    program = _Program(c, members, least)
    best = program.solve()
    open_ = program.unsettled(best)
    if open_:
        best = max(best, program.solve(best), key=c.worth)
    for start in range(0, len(open_), BLOCK):
        block = open_[start : start + BLOCK]
        best = max(best, program.solve(best, block), key=c.worth)
        program.fix(block, best)
    return best


class _Program:
    def __init__(self, c: Candidates, members: Sequence[Sequence[int]], least: bool) -> None:
        try:
            import numpy as np
            from scipy import optimize
        except ImportError:
            raise CapabilityError(
                "ets(coverage=...): this many clusters with several leaves need an integer program. Install scipy: pip install scipy."
            ) from None
        self.c, self.least, self.np, self.optimize = c, least, np, optimize
        n, m = len(c.gains), len(c.costs)
        size = n + m + len(members)
        self.lower, self.upper, self.leaves = np.zeros(size), np.ones(size), np.arange(size) < n
        self.unit = SCALE / max(map(abs, (*c.gains, *c.costs, c.bonus)))
        objective = (*c.gains, *(-p for p in c.costs), *[c.bonus] * len(members))
        self.objective = np.array([w * self.unit for w in objective])
        self.rows = self._constraints(members, size)

    def _constraints(self, members: Sequence[Sequence[int]], size: int) -> Any:
        """Rows of A v >= 0: an ancestor is alive above whatever is kept, a cluster is hit only by a kept leaf."""
        from scipy import sparse

        n, m = len(self.c.gains), len(self.c.costs)
        parents = enumerate((*self.c.leaf_parents, *self.c.parents))
        rows: list[tuple[Sequence[int], int]] = [([n + p], v) for v, p in parents if p < m]
        rows += [(own, n + m + k) for k, own in enumerate(members)]
        entries = [(row, v, 1.0) for row, (larger, _) in enumerate(rows) for v in larger]
        entries += [(row, v, -1.0) for row, (_, v) in enumerate(rows)]
        at, columns, signs = zip(*entries, strict=True)
        return sparse.csr_array((signs, (at, columns)), shape=(len(rows), size))

    def unsettled(self, best: Sequence[int]) -> list[int]:
        """The leaves on which sets as good as `best` may differ; every other variable is fixed for good.

        By the reduced costs d of the linear relaxation: a set with variable j off its bound is worth at most the
        relaxation's optimum less |d_j|.
        """
        relaxed = self.optimize.linprog(
            -self.objective, A_ub=-self.rows, b_ub=self.np.zeros(self.rows.shape[0]),
            bounds=self.np.column_stack([self.lower, self.upper]), method="highs",
        )  # fmt: skip
        if relaxed.status == 0:
            slack = self.c.worth(best)[0] * self.unit - TOLERANCE + relaxed.fun
            self.upper[relaxed.lower.marginals + slack > 0.0] = 0.0
            self.lower[-relaxed.upper.marginals + slack > 0.0] = 1.0
        return [i for i in range(len(self.c.gains)) if self.lower[i] < self.upper[i]]

    def fix(self, leaves: Sequence[int], kept: Sequence[int]) -> None:
        for i in leaves:
            self.lower[i] = self.upper[i] = i in kept

    def solve(self, best: Sequence[int] | None = None, block: Sequence[int] = ()) -> list[int]:
        """The best leaves. Given `best`: the most leaves among sets as good. Given a block too: among those of its size
        the one with the lexicographically first leaves in the block. `best` itself where the solver finds none."""
        constraint = self.optimize.LinearConstraint
        goal, size = self.objective, max(len(best or ()), int(self.least))
        constraints = [constraint(self.rows, 0), constraint(self.leaves, size)]
        if best is not None:
            constraints.append(constraint(goal, self.c.worth(best)[0] * self.unit - TOLERANCE))
            goal = self.leaves.astype(float)
        if block:
            goal = self.np.zeros(len(goal))
            goal[list(block)] = [2.0**b for b in reversed(range(len(block)))]
        found = self.optimize.milp(
            -goal, constraints=constraints, bounds=self.optimize.Bounds(self.lower, self.upper),
            integrality=self.np.ones(len(goal)), options={"mip_rel_gap": 0},
        )  # fmt: skip
        return list(best or ()) if found.x is None else [i for i in range(len(self.c.gains)) if found.x[i] > 0.5]
