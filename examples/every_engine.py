"""Ten engines over one unchanged program, and what each is for.

The program is `favours_b` of table_posterior.py: strings of a toy language model, weighted by how many b's they have.
Engines with an evidence estimate the posterior; the others look for its best string.
"""

import math

from rich import print
from rich.table import Table

from backends import TableLM
from ppl import Posterior, model, sample, score

lm = TableLM({
    "":  {"a": 0.5, "b": 0.3, "$": 0.2},
    "a": {"a": 0.4, "b": 0.4, "$": 0.2},
    "b": {"a": 0.3, "b": 0.3, "$": 0.4},
})  # fmt: skip


@model
def favours_b() -> str:
    text = ""
    for _ in range(4):
        symbol = sample("symbol", lm.token(text))
        if symbol == "$":
            break
        text += symbol
        score(math.log(2.0) if symbol == "b" else 0.0)
    return text


ENGINES = [
    "exact()", "importance(particles=1000)", "smc(particles=1000, ess_threshold=1.0)", "mcmc(samples=1000, burn_in=100)",
    "particle_gibbs(particles=5, sweeps=300)", "stochastic_beam(width=20)", "beam(width=4, expand=3)",
    "astar(expand=3, max_nodes=500)", "mcts(simulations=50, expand=3)", "best_of(n=50)",
]  # fmt: skip

if __name__ == "__main__":
    table = Table("engine", "P(b)", "log evidence", "best", "nodes")
    for engine in ENGINES:  # a string here, or smc(particles=1000) from inference: the same
        result = favours_b.run(engine=engine, seed=0)
        evidence = f"{result.log_evidence:.3f}" if hasattr(result, "log_evidence") else "-"  # reading it says why not
        share = f"{result.p('b'):.3f}" if isinstance(result, Posterior) else "-"  # ranks are no probabilities
        # the best by weight, which holds the log-probs of choices where an engine enumerates them
        table.add_row(engine, share, evidence, result.best.value, str(result.cost.nodes))
    print(table)
