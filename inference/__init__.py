"""Engines: how to explore a program. Each is options and one `search(run)`; see docs/write-an-engine.md."""

from inference.astar import astar
from inference.best_of import best_of
from inference.exact import exact
from inference.importance import importance
from inference.resampling import multinomial, residual, stratified, systematic
from inference.smc import smc

__all__ = ["astar", "best_of", "exact", "importance", "multinomial", "residual", "smc", "stratified", "systematic"]
