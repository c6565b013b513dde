"""A language model of your own: every engine, limit and law of the project works on it.

This one is an n-gram model over letters, counted on the spot from a list of names. The program multiplies two of
them, which no single model could be asked for: names that both a German and an Italian might have.
docs/write-a-backend.md goes through the class line by line.
"""

import math
from collections import Counter, defaultdict

from rich import print

from backends import LanguageModel, Text
from backends.language_model import Draft, charge_once
from backends.table_rows import warp
from inference import smc
from ppl import model, observe, require, sample
from ppl.dist import inverse_cdf
from ppl.requests import Draw, ScoreText


class NgramLM(LanguageModel):
    """p(letter | the two letters before it), backing off to shorter histories. Tokens are letters."""

    capabilities = frozenset({"draw", "score", "next_token"})  # what `step` answers; checked before the first call
    vocabulary = "letters"  # models with equal vocabularies pass drawn texts on as token paths
    end_text, window, has_chats = "$", 100, False

    def __init__(self, name: str, names: str):
        self.name = name
        self.counts: dict[str, Counter[str]] = defaultdict(Counter)
        for known in names.lower().split():
            for i, letter in enumerate(known + "$"):
                for n in range(3):
                    self.counts[f"^^{known}"[i + 2 - n : i + 2]][letter] += 1

    def encode(self, text):
        return tuple(text)

    def decode(self, tokens):
        return "".join(tokens)

    def token_values(self, answer, mask=None):
        ended = Text("$", (), "end", self)
        return [(ended if s == "$" else Text(s, (s,), None, self), math.log(p)) for s, p in answer.items()]

    def next_letter(self, tokens, settings):
        row = dict.fromkeys("abcdefghijklmnopqrstuvwxyz$", 1 / 27)
        for n in range(3):  # a history seen c times with k kinds of letters after it has weight c / (c + k)
            seen = self.counts[("^^" + "".join(tokens))[-n:] if n else ""]
            row = {s: (seen[s] + len(seen) * p) / (seen.total() + len(seen)) if seen else p for s, p in row.items()}
        return warp(row, settings)  # temperature, top_k, top_p

    def step(self, rows):
        """One letter for every row that draws; the others are answered at once."""
        charge_once(rows, forwards=1)
        for row in rows:
            if row.state is None:
                row.cost.charge(prompt_tokens=len(row.context.tokens), forwarded_tokens=len(row.context.tokens))
            if isinstance(row, Draw):
                self.draw_letter(row)
            elif isinstance(row, ScoreText):
                row.complete(self.score(row))
            else:  # NextToken
                row.complete(self.next_letter(row.context.tokens, row.settings))

    def draw_letter(self, row):
        """The row's next uniform decides; the draft completes the row at a stop, at max_tokens or at the end."""
        draft = row.state = row.state or Draft(row)
        table = self.next_letter((*row.context.tokens, *draft.tokens), row.settings)
        letter = list(table)[inverse_cdf(list(table.values()), draft.uniform)]
        draft.end(math.log(table["$"])) if letter == "$" else draft.push(letter, math.log(table[letter]))

    def score(self, row):
        path, closed = row.value
        asked, total = [*path, "$"] if closed else path, 0.0
        row.cost.charge(scored_tokens=len(asked))
        for i, letter in enumerate(asked):
            p = self.next_letter((*row.context.tokens, *path[:i]), row.settings).get(letter, 0.0)
            total += math.log(p) if p else -math.inf
        return total


german = NgramLM(
    "german",
    """Friedrich Heinrich Wilhelm Dietrich Ulrich Gerhard Bernhard Eberhard Reinhard Gottfried
    Siegfried Manfred Wolfgang Hildegard Irmgard Gertrud Adelheid Kunigunde Mathilde Brunhilde Roswitha Walburga
    Ludwig Konrad Leopold Rudolf Adolar Otto Arnold Berthold Waldemar Herbert Norbert Hubert Albrecht Lambert""",
)
italian = NgramLM(
    "italian",
    """Giovanni Alessandro Leonardo Lorenzo Matteo Francesco Antonio Bartolomeo Ambrogio
    Guglielmo Federico Enrico Arnoldo Alberto Roberto Umberto Bernardo Edoardo Riccardo Gerardo Chiara Francesca
    Alessandra Giovanna Beatrice Ginevra Fiammetta Matilde Adelaide Ermengarda Orlando Rinaldo Ottavia Adolfo""",
)


@smc(particles=500)
@model
def name() -> str:
    text = ""
    for _ in range(12):
        letter = sample("letter", german.token(text))
        observe("italian", italian.token(text), letter)  # a product of experts: p(letter) * q(letter)
        if letter == "$":
            break
        text += letter
    require(4 <= len(text) < 12)
    return text.capitalize()


if __name__ == "__main__":
    posterior = name(seed=0)
    top = sorted(set(posterior.values), key=lambda text: -posterior.p(text))[:12]
    print("names of both tongues:", ", ".join(top))
    for lm in (german, italian):
        likely = {text: lm("", max_tokens=12).log_prob(text.lower()) for text in top[:3]}
        print(f"log prob under {lm.name}:", {text: round(log_prob, 1) for text, log_prob in likely.items()})
