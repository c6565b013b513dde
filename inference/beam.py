"""Beam search and DVTS: keep the best nodes of each level, over all of it or of each subtree.

Over enumerated choices this is beam search as for sequence models. Over sampled steps it is step-level beam search by
a reward (Chen et al. 2024, AlphaMath; Snell et al. 2025). A finished trace keeps its slot as long as it ranks among
the best, and nothing is normalised by length.
"""

from __future__ import annotations

from collections.abc import Sequence

from inference import allocation
from inference.engine import Engine, engine
from inference.tree import LevelSearch, TreeNode
from ppl.results import SearchResult
from ppl.run import Run


@engine
class beam(Engine):  # noqa: N801
    """The `width` best nodes of each level stay, by log weight + heuristic, and get `expand` children each.

    expand     children of a node: its most probable values at a finite choice, draws at any other. Where the beam is
               not full, as at the root, draws are shared out so that a level has width * expand of them
    children   "auto", or "draw" to draw at finite choices too
    dedupe     equal draws of a node become one child, + log(count)
    lookahead  rank a node by where a copy of it stands this many levels on, its choices the most probable values or
               single draws (Snell et al. 2025); the copy is paid for and dropped

    The result holds the finished traces of the last beam, best first. With expand at least the number of values and
    width at least the number of traces the first is the true best one.
    """

    uses_heuristic = True
    width: int
    expand: int = 4
    children: str = "auto"
    dedupe: bool = True
    lookahead: int = 0

    def search(self, run: Run) -> SearchResult:
        if self.expand == 1:
            run.warn(
                f"beam(expand=1) has nothing to prune: it is best_of(n={self.width}) where choices are drawn, and greedy"
                " decoding where they are enumerated"
            )
        search = LevelSearch(
            run, self._counts, children=self.children, branches=self.expand, most=self.expand, merge=self.dedupe,
            lookahead=self.lookahead,
        )  # fmt: skip
        return search.result()

    def _counts(self, level: Sequence[TreeNode]) -> list[int]:
        return allocation.beam([n.rank for n in level], [n.finished for n in level], self.width, self.expand)


@engine
class dvts(Engine):  # noqa: N801
    """Diverse verifier tree search (Beeching, Tunstall & Rush 2024): `trees` greedy searches that do not compete.

    Each tree keeps its best node, by log weight + heuristic, which gets `expand` children. The root gets trees *
    expand of them, dealt out in turn: draws, or its most probable values, so that no two trees share their first one.
    A tree ends when its best node is finished; the result holds what finished there, best first. `children` as in beam.
    """

    uses_heuristic = True
    trees: int
    expand: int = 4
    children: str = "auto"

    def search(self, run: Run) -> SearchResult:
        if self.expand == 1:
            run.warn(f"dvts(expand=1) has nothing to choose from: it is best_of(n={self.trees})")

        founded = False

        def counts(level: Sequence[TreeNode]) -> list[int]:
            nonlocal founded
            subtrees = [n.subtree % self.trees for n in level if n.subtree is not None]
            if not subtrees:
                return [self.trees * self.expand] * len(level)
            if not founded and len(set(subtrees)) < self.trees:
                run.warn(f"dvts(trees={self.trees}): the first choice left fewer living branches than trees")
            founded = True
            return allocation.dvts([n.rank for n in level], [n.finished for n in level], subtrees, self.expand)

        return LevelSearch(run, counts, children=self.children, branches=self.expand).result()
