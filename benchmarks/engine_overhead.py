"""Microseconds of CPU per particle-step of the engines themselves, with a program whose model costs nothing.

    python benchmarks/engine_overhead.py [--quick]

A step is one `sample` and one `score`, which weighs half of the particles by 1 and half by exp(-2): where every step
resamples, a third of the particles are replaced by forks of others, and each fork is rebuilt by replay. CPU time of
this process, the smallest of several interleaved rounds, so that other load on the machine disturbs little; compare
rows within one run. The floor line is the same number of draws and scores in a plain Python loop without any engine,
with the same distribution and stream.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable

from inference import (
    ab_mcts,
    astar,
    beam,
    best_of,
    dvts,
    ets,
    exact,
    importance,
    mcmc,
    mcts,
    parallel_tempering,
    particle_gibbs,
    rebase,
    smc,
    stochastic_beam,
)
from ppl import Done, heuristic, model, sample, score, unfold
from ppl.dist import bernoulli
from ppl.streams import Streams

COIN = bernoulli(0.5)


@model
def loop(steps: int) -> int:
    total = 0
    for _ in range(steps):
        x = sample("x", COIN)
        total += x
        score(0.0 if x else -2.0)
    return total


@model
def unfolded(steps: int) -> int:
    def step(state: tuple[int, int]) -> tuple[int, int] | Done:
        t, total = state
        if t == steps:
            return Done(total)
        x = sample("x", COIN)
        score(0.0 if x else -2.0)
        return t + 1, total + x

    return unfold(step, (0, 0))


@model
def guided(steps: int) -> int:
    total = 0
    for _ in range(steps):
        total += sample("x", COIN)
        heuristic(-0.01 * total)
    score(-0.01 * total)
    return total


SEARCHES = {
    "exact": lambda n: exact(),
    "best_of": lambda n: best_of(n),
    "beam": lambda n: beam(width=n, expand=2),
    "dvts": lambda n: dvts(trees=n // 2, expand=2),
    "rebase": lambda n: rebase(width=n),
    "ets": lambda n: ets(width=n),
    "stochastic_beam": lambda n: stochastic_beam(width=n),
    "astar": lambda n: astar(expand=2, max_nodes=20 * n, children="draw"),
    "mcts": lambda n: mcts(simulations=10 * n, expand=2, children="draw"),
    "ab_mcts": lambda n: ab_mcts(nodes=10 * n),
    "mcmc": lambda n: mcmc(samples=n),
    "particle_gibbs": lambda n: particle_gibbs(particles=n, sweeps=2),
    "parallel_tempering": lambda n: parallel_tempering(temperatures=[1.0, 2.0], sweeps=n),
}


def searches(sizes: tuple[int, ...], steps: int) -> None:
    """Milliseconds of CPU per node of every other engine, at two sizes: linear if the two agree."""
    print(f"\n{'engine':>18} " + " ".join(f"{f'n={n}':>9}" for n in sizes) + f"   ms per node, {steps} steps deep")
    for name, engine in SEARCHES.items():
        row = []
        for n in sizes:
            nodes = guided.run(steps, engine=engine(n), seed=1).cost.nodes
            seconds = min(cpu(lambda: guided.run(steps, engine=engine(n), seed=1)) for _ in range(5))
            row.append(1e3 * seconds / nodes)
        print(f"{name:>18} " + " ".join(f"{ms:>9.3f}" for ms in row))


def floor(particles: int, steps: int) -> None:
    streams = Streams((0,))
    for _ in range(particles):
        weight, total = 0.0, 0
        for t in range(steps):
            x = COIN.sample(streams.at(streams.root, "x", t))
            total += x
            weight += 0.0 if x else -2.0


def cpu(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def suspended_memory(particles: int = 2000) -> float:
    """Resident kB per particle while all are suspended in mid-program."""

    class Watch:
        uses_heuristic = False

        def search(self, run):  # type: ignore[no-untyped-def]
            before = resident()
            executions = run.start(particles)
            run.advance_all(executions)
            self.kilobytes = (resident() - before) / particles
            return None

    watch = Watch()
    loop.run(20, engine=watch, seed=0)
    return watch.kilobytes


def resident() -> float:
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * resource.getpagesize() / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="small sizes, two rounds")
    quick = parser.parse_args().quick
    sizes = [(16, 20), (64, 20), (64, 200)] if quick else [(n, t) for t in (20, 200, 1000) for n in (16, 64, 256)]
    rounds = 2 if quick else 3
    print(f"suspended particle: {suspended_memory():.1f} kB")
    print(
        f"{'N':>4} {'T':>5} {'floor':>8} {'importance':>11} {'smc ess=.5':>11} {'smc every':>10} {'unfold every':>13}   us per particle-step"
    )
    for n, t in sizes:
        works: list[Callable[[], object]] = [
            lambda: floor(n, t),
            lambda: loop.run(t, engine=importance(particles=n), seed=1),
            lambda: loop.run(t, engine=smc(particles=n), seed=1),
            lambda: loop.run(t, engine=smc(particles=n, ess_threshold=1.0), seed=1),
            lambda: unfolded.run(t, engine=smc(particles=n, ess_threshold=1.0), seed=1),
        ]
        best = [float("inf")] * len(works)
        for _ in range(rounds if n * t < 100_000 else 1):
            best = [min(b, cpu(w)) for b, w in zip(best, works, strict=True)]
        a, b, c, d, e = (1e6 * x / (n * t) for x in best)
        print(f"{n:>4} {t:>5} {a:>8.1f} {b:>11.1f} {c:>11.1f} {d:>10.1f} {e:>13.1f}")

    searches((16, 64) if quick else (32, 128), 10)


if __name__ == "__main__":
    main()
