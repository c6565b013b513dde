"""The built-in functions of the language and the methods of its values, as data.

One table feeds the checker (types), the machine (names, parameter order, defaults) and the documentation (signatures
and summaries). A method call `x.f(a)` of a built-in is `f(x, a)`. For the notation see `signatures.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

from grammar.signatures import Signature, signature
from grammar.types import MODEL, REWARD, Type


@dataclass(frozen=True, slots=True)
class Builtin:
    """A function by name, with one or more signatures; the first that fits the arguments holds.

    `literals`: texts written out in its lists and dicts keep their literal types, as in `categorical({"a": 0.5})`.
    """

    name: str
    summary: str
    signatures: tuple[Signature, ...]
    literals: bool = False


def _table(*entries: tuple[str, ...], literals: frozenset[str] = frozenset()) -> dict[str, Builtin]:
    """Entries are (summary, signature, signature, ...)."""
    built = {}
    for summary, *notations in entries:
        name = notations[0].partition("(")[0]
        built[name] = Builtin(name, summary, tuple(map(signature, notations)), name in literals)
    return built


GROUPS = {
    "Numbers": _table(
        ("the value without its sign", "abs(x: int) -> int", "abs(x: number) -> float"),
        ("to the nearest integer (halves to the even one), or to so many digits",
         "round(x: number) -> int", "round(x: number, digits: int) -> float"),
        ("the natural logarithm: of a probability, taken to be at least `floor`, it is a log weight",
         "log(p: prob, floor: prob = 0.0) -> float", "log(x: number) -> float"),
        ("e to the power x", "exp(x: number) -> float"),
        ("the integer that a text spells, none if it spells none; a number without its fraction",
         "int(s: str) -> int?", "int(x: number | bool) -> int"),
        ("the number that a text spells, none if it spells none; any number, a probability too, as a plain float",
         "float(s: str) -> float?", "float(x: number) -> float"),
        ("the smallest", "min(items: list[O]) -> O", "min(items: list[T], key: fn(T) -> O) -> T",
         "min(first: O, second: O, ...) -> O"),
        ("the largest", "max(items: list[O]) -> O", "max(items: list[T], key: fn(T) -> O) -> T",
         "max(first: O, second: O, ...) -> O"),
        ("the total; 0 for an empty list", "sum(items: list[int]) -> int", "sum(items: list[number]) -> float"),
    ),
    "Lists and dicts": _table(
        ("the number of characters, items or keys",
         "len(s: str) -> int", "len(items: list[T]) -> int", "len(d: dict[K, V]) -> int"),
        ("the integers from start (0) up to stop, without stop", "range(stop: int) -> list[int]",
         "range(start: int, stop: int) -> list[int]", "range(start: int, stop: int, step: int) -> list[int]"),
        ("whether one of them is true", "any(items: list[bool]) -> bool"),
        ("whether all of them are true", "all(items: list[bool]) -> bool"),
        ("the items in rising order; equal ones keep their order",
         "sorted(items: list[O], reverse: bool = false) -> list[O]",
         "sorted(items: list[T], key: fn(T) -> O, reverse: bool = false) -> list[T]"),
        ("the items from last to first", "reversed(items: list[T]) -> list[T]"),
        ("the items at the same place together, as long as all lists last",
         "zip(a: list[A], b: list[B]) -> list[(A, B)]", "zip(a: list[A], b: list[B], c: list[C]) -> list[(A, B, C)]"),
        ("each item behind its index", "enumerate(items: list[T], start: int = 0) -> list[(int, T)]"),
        ("the value of a key, none if the dict has no such key", "get(d: dict[K, V], key: K) -> V?"),
        ("whether a text has this part, or a list this item",
         "contains(s: str, part: str) -> bool", "contains(items: list[T], item: T) -> bool"),
        ("how often a part occurs in a text, without overlaps, or an item in a list",
         "count(s: str, part: str) -> int", "count(items: list[T], item: T) -> int"),
    ),
    "Texts": _table(
        ("the value as `${...}` writes it", "str(x: S) -> str"),
        ("the texts one after the other, with a separator between them",
         'join(items: list[str], separator: str = "") -> str'),
        ("the parts between separators; without one, the words between blanks",
         "split(s: str, separator: str? = none) -> list[str]"),
        ("the text with every `old` replaced", "replace(s: str, old: str, new: str) -> str"),
        ("in small letters", "lower(s: str) -> str"),
        ("in capital letters", "upper(s: str) -> str"),
        ("without blanks and line ends at both ends, or without the given characters there",
         "strip(s: str, characters: str? = none) -> str"),
        ("whether the text begins so", "starts_with(s: str, prefix: str) -> bool"),
        ("whether the text ends so", "ends_with(s: str, suffix: str) -> bool"),
        ("where a part first occurs, none if it does not", "find(s: str, part: str) -> int?"),
        ("its letters, one by one", "letters(s: str) -> list[str]"),
        ("its lines, without their ends", "lines(s: str) -> list[str]"),
        ("what follows the last `mark`, none if there is no mark", "after(s: str, mark: str) -> str?"),
        ("what precedes the first `mark`, none if there is no mark", "before(s: str, mark: str) -> str?"),
        ("the first part that the pattern matches (its first group, if it has one), none if nothing matches",
         "first_match(pattern: regex, s: str) -> str?"),
        ("whether the pattern matches the whole text", "matches(pattern: regex, s: str) -> bool"),
        ("every number that the text spells, in order", "numbers(s: str) -> list[float]"),
        ("the value as JSON. Of a type, as in `json(Case)`: the grammar of its JSON texts", "json(x: S) -> str"),
    ),
    "Distributions": _table(
        ("true with probability p", "bernoulli(p: prob) -> dist[bool]"),
        ("one of the keys, with probability proportional to its weight (weights are >= 0, not all 0)",
         "categorical(weights: dict[K, number]) -> dist[K]"),
        ("one of the items, each with equal probability", "uniform(items: list[T]) -> dist[T]"),
        ("this value, for certain", "delta(value: T) -> dist[T]"),
        ("a real number, evenly from low to high", "uniform_real(low: float, high: float) -> dist[float]"),
        ("a normal number with mean mu and standard deviation sd", "normal(mu: float, sd: float > 0) -> dist[float]"),
        ("a number between 0 and 1, Beta(a, b)", "beta(a: float > 0, b: float > 0) -> dist[prob]"),
        ("a positive number with mean shape / rate", "gamma(shape: float > 0, rate: float > 0 = 1.0) -> dist[float]"),
        ("a count with mean rate", "poisson(rate: float > 0) -> dist[int]"),
        ("the number of trials up to and with the first success", "geometric(p: prob > 0) -> dist[int]"),
        ("n independent draws as one choice", "iid(dist: dist[T], n: int >= 0) -> dist[list[T]]"),
        literals=frozenset({"categorical", "uniform"}),
    ),
    "Grammars": _table(
        ("the grammar of these texts", "choice(texts: list[str]) -> grammar"),
        ("the grammar that a text in Lark's notation describes", "lark(rules: str) -> grammar"),
    ),
}  # fmt: skip
"""The built-in functions as the documentation lists them."""

FUNCTIONS = {name: builtin for group in GROUPS.values() for name, builtin in group.items()}

INFINITE = frozenset({"uniform_real", "normal", "beta", "gamma", "poisson", "geometric"})
"""Distributions that no engine can enumerate."""

MODEL_METHODS = _table(
    ("the texts that the model goes on with behind a context. `call` is the call of the model itself: `lm(context)`",
     "call(context: context, *, stop: texts? = none, max_tokens: int? >= 1 = none, temperature: float >= 0 = 1.0,"
     " top_p: float > 0 <= 1 = 1.0, top_k: int? >= 1 = none, grammar: grammar? = none,"
     ' mode: "condition" | "mask" = "condition", truncated: "drop" | "keep" = "drop", prefix: bool = false,'
     " include_stop: bool = true) -> dist[str]"),
    ("one of the given texts, each weighed by the probability that the model goes on with it",
     "choice(context: context, choices: list[W]) -> dist[W]"),
    ("the next token",
     "token(context: context, *, among: list[str]? = none, temperature: float >= 0 = 1.0,"
     " top_p: float > 0 <= 1 = 1.0, top_k: int? >= 1 = none) -> dist[str]"),
    ("a context without a chat template; it grows by `+`", "prompt(text: str) -> chat"),
    literals=frozenset({"choice"}),
)  # fmt: skip

REWARD_METHODS = _table(
    ("how good the answer is so far: the reward of its last step. `call` is the call of the reward itself",
     "call(question: context, answer: str | list[str] | chat) -> prob", "call(context: context) -> prob"),
    ("the reward of each step", "steps(question: context, answer: str | list[str] | chat) -> list[prob]"),
)  # fmt: skip

DIST_METHODS = _table(
    ("the log-probability of a value", "log_prob(d: dist[T], value: T) -> float"),
    ("the probability of a value", "prob(d: dist[T], value: T) -> prob"),
)

POSTERIOR_METHODS = _table(
    ("the posterior probability of a value, or of what a function says of it",
     "p(value: T) -> prob", "p(predicate: fn(T) -> bool) -> prob"),
    ("the posterior mean of a function of the value", "mean(f: fn(T) -> number) -> float"),
    ("the value that wins the vote",
     'vote(rule: "majority" | "weighted" | "best_of_majority" = "majority") -> T'),
)  # fmt: skip
"""Of `posterior` in a test, over values of type T."""


def _fields(**notations: str) -> dict[str, Type]:
    return {name: signature(f"{name}() -> {notation}").result for name, notation in notations.items()}


POSTERIOR_FIELDS = _fields(
    mode="T", values="list[T]", weights="list[float]", log_weights="list[float]", log_evidence="float", ess="float",
    stopped="str?", warnings="list[str]",
)  # fmt: skip
"""And `best`, a trace with `TRACE_FIELDS`."""

TRACE_FIELDS = _fields(value="T", log_weight="float", log_total="float")

WEIGHTED_ONLY = frozenset({"log_evidence", "ess", "mean"})
"""What the result of a search engine does not have."""


@dataclass(frozen=True, slots=True)
class ModelForm:
    """A way to declare a model or a reward; a scheme that only `ppl.registry` knows takes one text: `scheme("...")`."""

    kind: Type
    signature: Signature
    example: str


MODEL_FORMS = {
    form.signature.text.partition("(")[0]: form
    for form in (
        ModelForm(MODEL, signature("smollm2() -> model"), "smollm2()"),
        ModelForm(
            MODEL,
            signature(
                "hf(name: str, *, tokenizer: str = none, dtype: str = none, revision: str = none) -> model"
            ),
            'hf("HuggingFaceTB/SmolLM2-135M-Instruct")',
        ),
        ModelForm(
            MODEL,
            signature("gguf(path: str, *, tokenizer: str = none, dtype: str = none) -> model"),
            'gguf("models/small.gguf")',
        ),
        ModelForm(
            MODEL, signature("openai(url: str) -> model"), 'openai("http://localhost:8000/v1#my-model")'
        ),
        ModelForm(MODEL, signature("vllm(name: str) -> model"), 'vllm("Qwen/Qwen2.5-7B-Instruct")'),
        ModelForm(
            MODEL, signature("scripted(rules: str | dict[str, str]) -> model"), 'scripted({"2 + 2": "4"})'
        ),
        ModelForm(
            MODEL,
            signature('table(rows: dict[str, dict[str, number]], end: str = "$") -> model'),
            'table({"": {"a": 0.5, "$": 0.5}, "a": {"$": 1.0}}, end="$")',
        ),
        ModelForm(REWARD, signature("reward(spec: str) -> reward"), 'reward("judge:smollm2")'),
    )
}
