"""Sums in steps, each of them checked: SmolLM2 cannot add four numbers, but it can write a step that is sometimes right.

`grammar=` gives a step its form and `require` checks it exactly, so SMC puts its particles where every step so far is
right. Left to itself the model finds the answer in one of thirty tries.
"""

import operator
import re

from rich import print

from backends import load, regex
from inference import importance, smc
from ppl import model, require, sample

lm = load("smollm2")
SHOTS = """Q: 3 + 5 + 4 - 4
A: 3 + 5 = 8. 8 + 4 = 12. 12 - 4 = 8. Answer: 8

Q: 9 - 2 + 6 + 1
A: 9 - 2 = 7. 7 + 6 = 13. 13 + 1 = 14. Answer: 14

Q: 2 + 7 - 5 + 8
A: 2 + 7 = 9. 9 - 5 = 4. 4 + 8 = 12. Answer: 12

"""
STEP = regex(r" -?[0-9]+ [+\-] [0-9]+ = -?[0-9]+\.")
OPERATIONS = {"+": operator.add, "-": operator.sub}


@model
def total(question: str, checked: bool = True) -> int:
    first, *rest = re.findall(r"[+-]|[0-9]+", question)
    context, value = lm.prompt(f"{SHOTS}Q: {question}\nA:"), int(first)
    for sign, term in zip(rest[::2], rest[1::2], strict=True):
        step = sample("step", lm(context, grammar=STEP, stop=".", max_tokens=14))
        left, op, right, _, result = step.strip(" .").split()
        if checked:
            require((int(left), op, right) == (value, sign, term), "a step that does not follow")
            require(OPERATIONS[op](value, int(term)) == int(result), "a step that is wrong")
        context, value = context + step, int(result)
    return value


QUESTIONS = {"4 + 3 + 6 - 5": 8, "7 - 2 + 9 + 3": 17, "8 + 6 - 3 + 2": 13}
found = {q: total.run(q, engine=smc(particles=12, ess_threshold=1.0), seed=0) for q in QUESTIONS}
free = {q: total.run(q, False, engine=importance(particles=12), seed=0) for q in QUESTIONS}
for question, answer in QUESTIONS.items():
    shown = found[question].vote("weighted") if found[question].values else "no particle left"
    print(f"{question} = {answer}: checked {shown}, unchecked P(right) = {free[question].p(answer):.2f}")
