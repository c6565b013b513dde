"""E4xx, E511, W4xx: what the checker says of engines and models, and its warnings."""

from __future__ import annotations

from grammar.codes_entry import define, in_program, with_model

# ------------------------------------------------------------------------------------ E4xx: engines and models

define(
    "E410",
    "{name} enumerates finite choices, but {site} is not one: {why}",
    "use `lm.choice` there, or another engine: smc(particles=16), importance(particles=16)",
    "An engine that goes through all values of every choice needs choices with finitely many of them.",
    with_model("let a = sample lm(q, max_tokens=5)", "record a") + "\ninfer p with exact()",
    with_model('let a = sample lm.choice(q, ["Yes", "No"])', "record a") + "\ninfer p with exact()",
)
define(
    "E411",
    "{name} scores choices again, but '{model}' at {site} {lacks}",
    "use an engine that only draws (importance, smc), or a local model",
    "A Markov chain compares what was drawn before under the changed program, which takes the log-probabilities of given text.",
    with_model(
        "let a = sample lm(q, max_tokens=5)",
        "record a",
        model='model lm = openai("http://localhost:8000/v1#m")',
    )
    + "\ninfer p with mcmc(samples=10)",
    with_model(
        "let a = sample lm(q, max_tokens=5)",
        "record a",
        model='model lm = openai("http://localhost:8000/v1#m")',
    )
    + "\ninfer p with importance(particles=10)",
)
define(
    "E412",
    "{name} runs parts of a program again, but extern function '{extern}' is impure",
    "declare it without `impure` if equal arguments give equal results, or use importance or smc",
    "A Markov chain replays what did not change, so what a function answers must not change by itself.",
    "impure extern fn now() -> float\nprogram p() -> float { return now() + (sample normal(0.0, 1.0)) }\n"
    "infer p with mcmc(samples=10)",
    "extern fn start() -> float\nprogram p() -> float { return start() + (sample normal(0.0, 1.0)) }\n"
    "infer p with mcmc(samples=10)",
)
define(
    "E420",
    "{what}",
    "`scale models` and docs/engines.md list the engines and their options",
    "An `infer` line and the `with` of a test name an engine and its options.",
    in_program() + "\ninfer p with smc(particle=16)",
    in_program('require q != ""') + "\ninfer p with smc(particles=16)",
)
define(
    "E421",
    "{name}({option}={value}): {problem}",
    "write a literal, or the name of a const",
    "Options are plain values, checked against their kind and range before anything runs.",
    in_program('require q != ""') + "\ninfer p with smc(particles=0)",
    in_program('require q != ""') + "\ninfer p with smc(particles=16)",
)
define(
    "E422",
    "{name} needs '{option}'",
    "write `{example}`",
    "The option has no default: it decides how much is computed.",
    in_program('require q != ""') + "\ninfer p with smc()",
    in_program('require q != ""') + "\ninfer p with smc(particles=16)",
)
define(
    "E425",
    "{what}",
    "`infer` and `test` name a program of this file",
    "A program is declared with `program`; a `fn` is called by others and has no posterior of its own.",
    in_program() + "\ninfer solve with importance(particles=4)",
    in_program() + "\ninfer p with importance(particles=4)",
)
define(
    "E426",
    "a second {what}",
    "remove one of them",
    "A file has one `infer` line, each limit once; a test gives each argument once and has one engine.",
    in_program() + "\ninfer p with importance(particles=4)\ninfer p with best_of(n=4)",
    in_program() + "\ninfer p with best_of(n=4)",
)
define(
    "E427",
    "there is no limit '{name}'",
    "limits are tokens, calls, reward_calls, reward_tokens, nodes, seconds",
    "`limit` bounds what every run of this file may cost; the caller can set tighter or wider ones.",
    in_program() + "\nlimit token = 100",
    in_program() + "\nlimit tokens = 100",
)
define(
    "E428",
    "limit '{name}' has to be {kind}",
    "write `limit {example}`",
    "A limit is a number that is written out, or a const.",
    in_program() + "\nlimit tokens = -5",
    in_program() + "\nlimit tokens = 500",
)
define(
    "E430",
    "there is no backend '{name}'",
    "look at `scale models`",
    'A model is declared by what loads it: smollm2(), hf("..."), gguf("..."), openai("..."), table({...}), and a reward '
    'by reward("...").',
    'model lm = mock("replies.toml")',
    'model lm = scripted({"hello": "world"})',
)
define(
    "E431",
    "{what}",
    "the arguments of a model are plain values",
    "A model is loaded before anything runs, and the rows of a table are checked here.",
    'model lm = table({"": {"a": 1.0}})',
    'model lm = table({"": {"a": 1.0}, "a": {"$": 1.0}})',
)
define(
    "E432",
    "`{kind}` cannot declare {backend}(...), which is {gives}",
    "write `{mend}`",
    "`model` declares what writes and scores text; `reward` what judges it.",
    'reward prm = hf("m")',
    'reward prm = reward("judge:smollm2")',
)
define(
    "E440",
    "the test gives no '{name}', which program '{program}' needs",
    "add `given {name} = ...` (it is {type})",
    "A test gives every argument of its program that has no default.",
    in_program() + '\ntest "t" of p { expect posterior.mode == "a" }',
    in_program() + '\ntest "t" of p {\n  given q = "a"\n  expect posterior.mode == "a"\n}',
)
define(
    "E442",
    "{what} is {kinds}, not {found}",
    'write `reply re"2 \\+ 2" -> "4"`',
    "In a test the models are scripted: the first `reply` whose pattern is found in the prompt answers.",
    in_program() + '\ntest "t" of p {\n  given q = "a"\n  reply 1 -> "b"\n  expect posterior.mode == "a"\n}',
    in_program() + '\ntest "t" of p {\n  given q = "a"\n  reply "1" -> "b"\n  expect posterior.mode == "a"\n}',
)
define(
    "E445",
    "the result of a search engine has no {name}",
    "run the test `with` a weighted engine: importance(particles=16), smc(particles=16)",
    "Searches rank runs and do not estimate a posterior: they have no evidence, no effective sample size and no mean.",
    in_program()
    + '\ntest "t" of p {\n  given q = "a"\n  with best_of(n=2)\n  expect posterior.log_evidence == 0.0\n}',
    in_program()
    + '\ntest "t" of p {\n  given q = "a"\n  with importance(particles=2)\n  expect posterior.log_evidence == 0.0\n}',
)
define(
    "E511",
    "{form} asks more than '{model}' can do: the backend '{backend}' {lacks}",
    'use a local model (smollm2, hf, gguf), or score with a judge: `score log(judge.choice(...).prob("Yes"))`',
    "`observe`, `log_prob`, `lm.choice` and proposals need log-probabilities of given text, which many served models do not give.",
    with_model('observe q from lm("a", max_tokens=5)', model='model lm = openai("http://localhost:8000/v1#m")'),
    with_model('observe q from lm("a", max_tokens=5)'),
)

# ------------------------------------------------------------------------------------------------- warnings

define(
    "W401",
    "generation from '{model}' has no bound of its own",
    "add max_tokens=..., stop=[...] or grammar=...; otherwise only `limit tokens` or the model's context ends it",
    "A model that does not stop by itself writes until its context is full.",
    with_model("let a = sample lm(q)", "record a"),
    with_model("let a = sample lm(q, max_tokens=64)", "record a"),
)
define(
    "W402",
    "the prompt ends with a space; most tokenizers put the space into the next token, so this lowers quality",
    "remove the space",
    "A model has rarely seen a space token alone before a word: it has learnt ' word' as one token.",
    with_model('let a = sample lm("Answer: ", max_tokens=5)', "record a"),
    with_model('let a = sample lm("Answer:", max_tokens=5)', "record a"),
)
define(
    "W403",
    "'{name}' is never used",
    "use it, `record` it, or name it `_`",
    "A value that nothing uses is often a typo in the place that should use it.",
    in_program("let x = 1"),
    in_program("let x = 1", "record x"),
)
define(
    "W404",
    "this is never reached",
    "remove it, or move it before the `return`, `break` or `continue`",
    "Statements behind one that leaves the block do nothing.",
    "program p(q: str) -> str {\n  return q\n  record x = 1\n}",
    "program p(q: str) -> str {\n  record x = 1\n  return q\n}",
)
define(
    "W405",
    "the import '{name}' is never used",
    "remove it",
    "An import is used as `alias.name`.",
    'import "lib.scale" as lib\nconst a = 1',
    'import "lib.scale" as lib\nconst a = lib.ONE',
)
define(
    "W406",
    "'{name}' hides {meaning} of that name",
    "choose another name",
    "Here, and as far as the name reaches, the other meaning cannot be had.",
    in_program("let len = 1", "record len"),
    in_program("let length = 1", "record length"),
)
define(
    "W407",
    "this test expects nothing",
    "add `expect posterior.mode == ...`",
    "A test without `expect` shows only that the program runs.",
    in_program() + '\ntest "t" of p { given q = "a" }',
    in_program() + '\ntest "t" of p {\n  given q = "a"\n  expect posterior.mode == "a"\n}',
)
define(
    "W410",
    "{name} is guided by `heuristic`, and this program has none",
    "add `heuristic log(...)`, an estimate of the log weight still to come; without one the search goes by cost alone",
    "Best-first engines expand first what looks best: its weight so far and the heuristic.",
    in_program("let a = sample bernoulli(0.5)", "record a", "score log(0.5)")
    + "\ninfer p with astar(expand=2, max_nodes=50)",
    in_program("let a = sample bernoulli(0.5)", "record a", "heuristic 0.0", "score log(0.5)")
    + "\ninfer p with astar(expand=2, max_nodes=50)",
)
define(
    "W411",
    "this branch weighs nothing, its sibling in line {line} does",
    "write `checkpoint` here, so that runs are compared at the same place",
    "Engines compare runs at their k-th barrier. Where one branch has a barrier and the other has none, runs are compared "
    "at different places; that is right, and costs effective samples.",
    in_program('if q == "a" { score -1.0 } else { record x = 1 }'),
    in_program('if q == "a" { score -1.0 } else { checkpoint }'),
)
define(
    "W412",
    "{name} compares runs at `score`, `observe`, `require` and `heuristic`, and this program has none",
    "use importance(particles=...), which does the same here, or weigh something",
    "Without weights every run is as good as any other.",
    in_program("let a = sample bernoulli(0.5)", "record a") + "\ninfer p with smc(particles=4)",
    in_program("let a = sample bernoulli(0.5)", "record a") + "\ninfer p with importance(particles=4)",
)
