"""Language models and reward models: how to answer many requests at once. Knows ppl's request types only.

    from backends import load
    lm = load("smollm2")

Nothing heavy is imported until a model is loaded.
"""

from backends.constraints import Grammar, choices, json_schema, lark, regex
from backends.language_model import LanguageModel
from backends.loading import load
from backends.rewards import RewardModel
from backends.scripted import Scripted
from backends.table import TableLM
from backends.text import Chat, Context, Text

__all__ = [
    "Chat", "Context", "Grammar", "LanguageModel", "RewardModel", "Scripted", "TableLM", "Text", "choices",
    "json_schema", "lark", "load", "regex",
]  # fmt: skip
