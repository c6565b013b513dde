"""Programs over language-model calls, and what their runs mean. Knows no engine and no model.

from ppl import model, sample, score
from inference import smc
from backends import load
"""

from ppl import dist, errors, registry
from ppl.cost import Cost, limit
from ppl.dist import iid
from ppl.effects import Done, call, checkpoint, heuristic, observe, record, require, sample, score, unfold
from ppl.errors import AllDead, PPLError
from ppl.program import Program, model
from ppl.results import Posterior, Result, SearchResult
from ppl.reward import Reward, StepRewards
from ppl.trace import Site, Trace

__all__ = [
    "AllDead", "Cost", "Done", "PPLError", "Posterior", "Program", "Result", "Reward", "SearchResult", "Site",
    "StepRewards", "Trace", "call", "checkpoint", "dist", "errors", "heuristic", "iid", "limit", "model", "observe", "record", "registry",
    "require", "sample", "score", "unfold",
]  # fmt: skip
