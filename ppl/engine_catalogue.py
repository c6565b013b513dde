"""What engines there are, as plain data: names, options with their bounds, what each needs and gives.

`ppl.registry` reads it. The options of an engine stand here a second time, so that a file or a command line can be
checked without importing the engine; a test holds the two together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ppl.options import Option


@dataclass(frozen=True, slots=True)
class EngineEntry:
    """An engine: where it lives, its options, and what it gives and needs.

    target    "module:name" of its class, imported on use; or the class itself, of one that a user registered
    result    "posterior" (`ppl.Posterior`) or "search" (`ppl.SearchResult`)
    evidence  its log_evidence estimates log Z, and exp of it is unbiased
    needs     of "finite" (every choice enumerable), "rescore" (choices can be scored again), "heuristic" (it ranks by
              heuristics; without one in the program it is a poorer search, not an error)
    """

    target: Any
    options: Mapping[str, Option]
    result: str = "posterior"
    evidence: bool = False
    needs: frozenset[str] = frozenset()
    summary: str = ""


_PARTICLES = Option("int", low=1, meaning="number of particles")
_BURN_IN = Option("int", 0, low=0, meaning="steps made before the first one that counts")
_ESS_THRESHOLD = Option(
    "float", 0.5, low=0, high=1, meaning="resample when ESS falls to this share of the particles; 1 always, 0 never"
)
_KERNEL = Option(
    "str|function",
    "single_site",
    choices=("single_site", "suffix", "prior"),
    meaning="how a chain moves: by name, or a function kernel(trace, rng) -> trace",
)
_EXPAND = Option("int", low=1, meaning="children of a node")
_EXPAND_4 = Option("int", 4, low=1, meaning="children of a node")
_WIDTH = Option("int", low=1, meaning="nodes kept at each level")
_WIDTH_CHILDREN = Option("int", low=1, meaning="children made at each level")
_TEMPERATURE = Option("float", 0.2, above=0, meaning="of the softmax over rewards")
_CHILDREN = Option(
    "str",
    "auto",
    choices=("auto", "draw"),
    meaning="auto enumerates finite choices, most probable first; draw draws them",
)
_SCALE = Option(
    "str", "reward", choices=("reward", "log"), meaning="a node's value: exp(scores + heuristic), or their sum itself"
)

ENGINES: dict[str, EngineEntry] = {
    "exact": EngineEntry(
        "inference.exact:exact",
        {
            "max_traces": Option("int", 100_000, low=1, meaning="most complete traces to enumerate"),
            "max_effects": Option("int", 10_000, low=1, meaning="longest path, in effects"),
        },
        evidence=True,
        needs=frozenset({"finite"}),
        summary="enumerates every trace of a finite program",
    ),
    "importance": EngineEntry(
        "inference.importance:importance",
        {"particles": _PARTICLES},
        evidence=True,
        summary="independent weighted runs",
    ),
    "smc": EngineEntry(
        "inference.smc:smc",
        {
            "particles": _PARTICLES,
            "resampling": Option(
                "str|function",
                "systematic",
                choices=("systematic", "stratified", "residual", "multinomial"),
                meaning="unbiased scheme, or a function f(log_weights, n, rng) -> (parents, log_weights)",
            ),
            "ess_threshold": _ESS_THRESHOLD,
            "rejuvenate": Option(
                "function", None, meaning="Markov kernel f(trace, rng) -> trace applied at every barrier"
            ),
            "annealing": Option(
                "str",
                None,
                choices=("ess", "entropy", "time"),
                meaning="entropic particle filtering: flatten resampling while the population is poor and young",
            ),
            "horizon": Option("int", None, low=1, meaning="barriers of a whole run, over which annealing fades"),
            "compat": Option("str", None, choices=("puri",), meaning="the published, biased weighting"),
        },
        evidence=True,
        summary="particles that are compared and resampled at every barrier",
    ),
    "best_of": EngineEntry(
        "inference.best_of:best_of",
        {"n": Option("int", low=1, meaning="number of independent runs")},
        result="search",
        summary="independent runs, ranked by weight",
    ),
    "mcmc": EngineEntry(
        "inference.mcmc:mcmc",
        {
            "samples": Option("int", low=1, meaning="traces kept of each chain"),
            "burn_in": _BURN_IN,
            "thin": Option("int", 1, low=1, meaning="keep every so many-th step"),
            "chains": Option("int", 1, low=1, meaning="chains side by side"),
            "kernel": _KERNEL,
        },
        needs=frozenset({"rescore"}),
        summary="Markov chains of Metropolis-Hastings moves on traces",
    ),
    "particle_gibbs": EngineEntry(
        "inference.particle_gibbs:particle_gibbs",
        {
            "particles": _PARTICLES,
            "sweeps": Option("int", low=1, meaning="sweeps after burn-in; one trace is kept of each"),
            "burn_in": _BURN_IN,
            "ancestor_sampling": Option(
                "bool", False, meaning="let the reference change its ancestor; scores its later choices again"
            ),
            "ess_threshold": _ESS_THRESHOLD,
        },
        summary="a Markov chain of conditional SMC sweeps",
    ),
    "parallel_tempering": EngineEntry(
        "inference.parallel_tempering:parallel_tempering",
        {
            "temperatures": Option("list", meaning="of the scores in each chain; the first is 1"),
            "sweeps": Option("int", low=1, meaning="sweeps after burn-in; the first chain's trace is kept of each"),
            "burn_in": _BURN_IN,
            "kernel": _KERNEL,
        },
        needs=frozenset({"rescore"}),
        summary="Markov chains at rising temperatures that exchange states",
    ),
    "beam": EngineEntry(
        "inference.beam:beam",
        {
            "width": _WIDTH,
            "expand": _EXPAND_4,
            "children": _CHILDREN,
            "dedupe": Option("bool", True, meaning="merge equal draws of a node into one child, + log(count)"),
            "lookahead": Option("int", 0, low=0, meaning="rank a node by where a copy stands so many levels on"),
        },
        result="search",
        summary="the best nodes of each level by log weight + heuristic",
    ),
    "stochastic_beam": EngineEntry(
        "inference.stochastic_beam:stochastic_beam",
        {"width": Option("int", low=1, meaning="different traces")},
        evidence=True,
        needs=frozenset({"finite"}),
        summary="traces without replacement by Gumbel-top-k, weighted without bias",
    ),
    "dvts": EngineEntry(
        "inference.beam:dvts",
        {
            "trees": Option("int", low=1, meaning="independent greedy searches"),
            "expand": _EXPAND_4,
            "children": _CHILDREN,
        },
        result="search",
        needs=frozenset({"heuristic"}),
        summary="several greedy tree searches that do not compete",
    ),
    "rebase": EngineEntry(
        "inference.rebase:rebase",
        {"width": _WIDTH_CHILDREN, "temperature": _TEMPERATURE, "scale": _SCALE, "children": _CHILDREN},
        result="search",
        needs=frozenset({"heuristic"}),
        summary="children in proportion to exp(reward / temperature)",
    ),
    "ets": EngineEntry(
        "inference.rebase:ets",
        {
            "width": _WIDTH_CHILDREN,
            "temperature": _TEMPERATURE,
            "kv_penalty": Option("float", 1.0, low=0, high=1e9, meaning="weight of the KV kept; 0 keeps every leaf"),
            "coverage": Option("float", 0.0, low=0, high=1e9, meaning="weight of the clusters of steps kept"),
            "clusters": Option("function", None, meaning="f(texts of the last steps) -> a label each"),
            "embed": Option("function", None, meaning="f(texts of the last steps) -> vectors to cluster"),
            "cost": Option("str", "tokens", choices=("tokens", "nodes"), meaning="what a node costs: its tokens, or 1"),
            "scale": _SCALE,
            "children": _CHILDREN,
        },
        result="search",
        needs=frozenset({"heuristic"}),
        summary="REBASE over the leaves that are worth their KV",
    ),
    "astar": EngineEntry(
        "inference.astar:astar",
        {
            "expand": _EXPAND,
            "max_nodes": Option("int", low=1, meaning="most nodes to make"),
            "goals": Option("int", 1, low=1, meaning="finished traces to find"),
            "children": _CHILDREN,
            "edge": Option(
                "str|float|function",
                None,
                choices=("loss", "drop"),
                meaning="A*-decoding: the cost of a step, f(reward before, reward); None ranks by log weight + heuristic",
            ),
        },
        result="search",
        needs=frozenset({"heuristic"}),
        summary="best-first search; true MAP order where heuristics bound the rest",
    ),
    "mcts": EngineEntry(
        "inference.mcts:mcts",
        {
            "simulations": Option("int", low=1, meaning="leaves to expand"),
            "expand": _EXPAND,
            "c": Option("float", 1.25, low=0, meaning="weight of the prior against the mean value"),
            "children": _CHILDREN,
            "batch": Option("int", 1, low=1, meaning="leaves expanded together"),
            "scale": _SCALE,
        },
        result="search",
        needs=frozenset({"heuristic"}),
        summary="Monte-Carlo tree search by PUCT, values from heuristics",
    ),
    "ab_mcts": EngineEntry(
        "inference.ab_mcts:ab_mcts",
        {
            "nodes": Option("int", low=1, meaning="nodes to generate"),
            "prior": Option("str", "gaussian", choices=("gaussian", "beta"), meaning="model of an arm's rewards"),
            "batch": Option("int", 1, low=1, meaning="nodes generated together"),
            "scale": _SCALE,
        },
        result="search",
        summary="adaptive branching: Thompson sampling between a new child and an old one",
    ),
}
