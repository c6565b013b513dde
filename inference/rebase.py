"""REBASE and ETS: share a level's children out by reward, and prune what does not pay for its KV.

A node's reward is exp(log weight + heuristic): with `heuristic(prm(...).log())` and no other weight that of its last
step, as published. A finished trace stays and takes one from the width; the search ends when none is left. The answer
is usually `result.vote("weighted")`.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Hashable, Sequence
from typing import Any

from inference import allocation
from inference.engine import Engine, engine
from inference.tree import LevelSearch, TreeNode
from ppl.errors import CapabilityError, OptionError
from ppl.results import SearchResult
from ppl.run import Run

DISTANCE = 0.05  # cosine distance at which two clusters of texts are still one, as published


@engine
class rebase(Engine):  # noqa: N801
    """Reward-balanced search (Wu et al. 2025): `width` children a level, in proportion to exp(reward / temperature).

    temperature  small: the best nodes get nearly all; large: equal shares
    scale        "reward" reads exp(rank), "log" the rank itself, for rewards outside [0, 1]
    children     "auto": a node with n children gets its n most probable values where it stands at a finite choice, n
                 draws at any other; what else a step chooses is drawn. "draw" draws at all. Equal draws stay apart, as
                 published
    """

    uses_heuristic = True
    width: int
    temperature: float = 0.2
    scale: str = "reward"
    children: str = "auto"

    def search(self, run: Run) -> SearchResult:
        _warn_narrow(run, self.width)

        def share(live: Sequence[TreeNode], width: int) -> list[int]:
            return allocation.rebase(_scores(live, self.scale), width, self.temperature)

        return LevelSearch(run, lambda level: _shared(level, self.width, share), children=self.children).result()


@engine
class ets(Engine):  # noqa: N801
    """Efficient tree search (Hooper et al. 2025): REBASE over the leaves that are worth their KV.

    kv_penalty   weight of the kept KV, as a share of that of all leaves; 0 keeps every leaf
    coverage     weight of the share of clusters of steps that keeps a leaf; 0 asks for no clusters
    clusters     f(texts of the last steps) -> a label each. Default: equal texts are one cluster
    embed        f(texts) -> vectors, clustered by average linkage at cosine distance 0.05 instead (needs scipy)
    cost         "tokens" drawn at a node (1 where its values carry none), or "nodes": 1 each, as published

    `width`, `temperature`, `scale` and `children` are those of rebase. Published: kv_penalty=1, coverage=1.5 or less.
    """

    uses_heuristic = True
    width: int
    temperature: float = 0.2
    kv_penalty: float = 1.0
    coverage: float = 0.0
    clusters: Callable[[list[str]], Sequence[Hashable]] | None = None
    embed: Callable[[list[str]], Any] | None = None
    cost: str = "tokens"
    scale: str = "reward"
    children: str = "auto"

    def search(self, run: Run) -> SearchResult:
        _warn_narrow(run, self.width)
        if self.coverage and self.clusters is None and self.embed is None:
            run.warn("ets(coverage=...) without clusters= or embed=: only steps of equal text share a cluster")
        cost = functools.cache(self._cost)

        def share(live: Sequence[TreeNode], width: int) -> list[int]:
            paths = [node.ancestors for node in live]
            labels = self._labels(live) if self.coverage and len(live) > 1 else [0] * len(live)
            return allocation.ets(
                paths, _scores(live, self.scale), width, self.temperature, self.kv_penalty, self.coverage, labels,
                {node: cost(node) for path in paths for node in path}, [cost(node) for node in live],
            )  # fmt: skip

        return LevelSearch(run, lambda level: _shared(level, self.width, share), children=self.children).result()

    def _cost(self, node: TreeNode) -> int:
        if self.cost == "nodes":
            return 1
        return sum(len(getattr(value, "tokens", ())) for value in node.choices) or 1

    def _labels(self, live: Sequence[TreeNode]) -> Sequence[Hashable]:
        texts = ["".join(map(str, node.choices)) for node in live]
        if self.embed is None or len(set(texts)) == 1:
            return texts if self.clusters is None else self.clusters(texts)
        vectors = self.embed(texts)
        if len(vectors) != len(texts):
            raise OptionError(f"ets(embed=f): f returned {len(vectors)} vectors for {len(texts)} texts.")
        return cosine_clusters(vectors)


def _warn_narrow(run: Run, width: int) -> None:
    if width == 1:
        run.warn(f"{run.engine!r} has one child a level: it is a single run")


def _scores(nodes: Sequence[TreeNode], scale: str) -> list[float]:
    """Ranks as rewards. exp is cut where it would overflow."""
    return [node.rank if scale == "log" else math.exp(min(node.rank, 700.0)) for node in nodes]


def _shared(level: Sequence[TreeNode], width: int, share: Callable[[Sequence[TreeNode], int], list[int]]) -> list[int]:
    """Counts by `share` for the live nodes, of what finished ones have left of the width."""
    live = [node for node in level if not node.finished]
    left = width - (len(level) - len(live))
    counts = iter(share(live, left) if live and left > 0 else [0] * len(live))
    return [1 if node.finished else next(counts) for node in level]


def cosine_clusters(vectors: Any, distance: float = DISTANCE) -> list[int]:
    """Cluster labels by average linkage: two clusters are one while their mean cosine distance is at most `distance`."""
    try:
        import numpy as np
        from scipy.cluster.hierarchy import fcluster, linkage
        from scipy.spatial.distance import squareform
    except ImportError:
        raise CapabilityError("ets(embed=...) needs scipy to cluster the steps: pip install scipy.") from None
    points = np.asarray(vectors, dtype=float)
    if points.ndim != 2 or not np.isfinite(points).all():
        raise OptionError(f"ets(embed=f): f must return a vector of finite numbers for each text; found {vectors!r}.")
    points = points / np.maximum(np.linalg.norm(points, axis=1, keepdims=True), 1e-12)
    apart = np.clip(1.0 - points @ points.T, 0.0, 2.0)
    np.fill_diagonal(apart, 0.0)
    labels = fcluster(linkage(squareform(apart, checks=False), "average"), distance, "distance")
    return [int(label) for label in labels]
