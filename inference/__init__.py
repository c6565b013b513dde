"""Engines: how to explore a program. Each is options and one `search(run)`; see docs/write-an-engine.md."""

from inference.ab_mcts import ab_mcts
from inference.astar import astar
from inference.beam import beam, dvts
from inference.best_of import best_of
from inference.exact import exact
from inference.importance import importance
from inference.kernels import Metropolis, block, prior, single_site, suffix
from inference.mcmc import mcmc
from inference.mcts import mcts
from inference.parallel_tempering import parallel_tempering
from inference.particle_gibbs import particle_gibbs
from inference.rebase import ets, rebase
from inference.resampling import multinomial, residual, stratified, systematic
from inference.smc import smc
from inference.stochastic_beam import stochastic_beam

__all__ = [
    "Metropolis", "ab_mcts", "astar", "beam", "best_of", "block", "dvts", "ets", "exact", "importance", "mcmc",
    "mcts", "multinomial", "parallel_tempering", "particle_gibbs", "prior", "rebase", "residual", "single_site",
    "smc", "stochastic_beam", "stratified", "suffix", "systematic",
]  # fmt: skip
