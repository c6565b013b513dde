"""An engine of your own: successive halving (Jamieson & Talwalkar 2016), in ten lines of rule.

Start many runs; at each barrier keep the better half. It never branches, so every run in the result is one that was
started. Registered, it is an engine like the others: a decorator, a value, and a string for `scale run --engine`.
docs/write-an-engine.md tells the rest.
"""

import math

from rich import print

from inference.engine import Engine, engine
from ppl import model, registry, sample, score
from ppl.dist import uniform


@registry.register_engine  # known as "halving(start=64)" too
@engine  # a frozen dataclass; names and plain types of options are checked, bounds by __post_init__
class halving(Engine):  # noqa: N801
    """`start` runs, half of which are left after each barrier, by log weight + heuristic."""

    start: int

    def search(self, run):
        alive, level = run.start(self.start), 0
        with run.limits:  # if a limit is reached this block ends, and what is in hand is returned
            while any(execution.running for execution in alive):
                level += 1
                run.advance_all(alive, until=level)  # all model calls of the level happen here, in batches
                alive.sort(key=lambda execution: -execution.rank)
                run.drop(alive[math.ceil(len(alive) / 2) :])
                alive = alive[: math.ceil(len(alive) / 2)]
        return run.search_result(alive)


@model
def game() -> int:
    """A player of unknown skill throws ten times; each throw is scored by its points, as a reward model would."""
    skill = sample("skill", uniform(range(20)))
    points = 0
    for _ in range(10):
        throw = sample("throw", uniform(range(skill, skill + 10)))
        score(float(throw))
        points += throw
    return points


if __name__ == "__main__":
    for name in ["halving(start=64)", "best_of(n=13)"]:  # about 130 throws each
        results = [game.run(engine=name, seed=seed) for seed in range(20)]
        points = [result.best.value for result in results]
        print(f"{name:18} returns {sum(points) / 20:.0f} points on average over 20 seeds, {min(points)} at the worst")
