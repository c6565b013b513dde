"""Train the tiny language model of the Game of 24 from nothing: `python train.py`, then `python train_reward.py`.

A Llama of 0.35M parameters learns to write derivations (see `derivations.py`) after a puzzle line. It is saved
to `model/` as an ordinary transformers folder, fp16. One thread and one seed: the same machine gives the same
weights, in about four CPU minutes.
"""

import argparse
import itertools
import random
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from derivations import LARGEST, derivations
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

FOLDER = Path(__file__).parent / "model"
Batch = tuple[torch.Tensor, torch.Tensor]  # input ids and labels, rows x tokens
SPECIAL = ["<pad>", "<bos>", "<eos>", "<unk>"]
SEPARATORS = ["\n", " ", " + ", " - ", " * ", " / ", " = ", " -> ", " left: "]
IGNORED = -100  # the label that transformers leaves out of the loss


def build_tokenizer() -> PreTrainedTokenizerFast:
    """Number-level tokens whose texts simply concatenate: decoding any slice of a path gives its exact text."""
    words = SPECIAL + SEPARATORS + [str(n) for n in range(LARGEST + 1)]
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>"))
    pieces = Regex(r"\d+|\n| left: | -> | [-+*/=] |.")  # the first that fits; a stray character becomes <unk>
    tokenizer.pre_tokenizer = pre_tokenizers.Split(pieces, behavior="isolated")
    tokenizer.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, clean_up_tokenization_spaces=False, model_max_length=64,
        pad_token="<pad>", bos_token="<bos>", eos_token="<eos>", unk_token="<unk>", padding_side="left",
    )  # fmt: skip


def build_model(tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer), hidden_size=96, intermediate_size=256, tie_word_embeddings=True,
            num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=4, max_position_embeddings=64,
            bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )  # fmt: skip


def batches(tokenizer: PreTrainedTokenizerFast, size: int, rng: random.Random) -> Iterator[Batch]:
    """Endless (input_ids, labels): the loss is on the solution and its <eos>, not on the puzzle."""
    pairs = derivations(rng)
    ids_of = tokenizer.get_vocab()
    split = tokenizer.backend_tokenizer.pre_tokenizer.pre_tokenize_str

    def encode(text: str) -> list[int]:
        return [ids_of[piece] for piece, _ in split(text)]

    while True:
        start = [tokenizer.bos_token_id] * rng.randint(0, 1)  # works with and without <bos>
        ids, labels = [], []
        for prompt, text in itertools.islice(pairs, size):
            head, tail = start + encode(prompt), [*encode(text), tokenizer.eos_token_id]
            ids.append(torch.tensor(head + tail))
            labels.append(torch.tensor([IGNORED] * len(head) + tail))
        pad = torch.nn.utils.rnn.pad_sequence  # on the right: causal attention never sees it
        yield pad(ids, True, tokenizer.pad_token_id), pad(labels, True, IGNORED)


def learning_rate(step: int, steps: int) -> float:
    """A factor in [0, 1]: warm-up over 100 steps, level, then linear decay over the last 40 %."""
    return min(1.0, (step + 1) / 100, (steps - step) / (0.4 * steps))


def train(steps: int, size: int, seed: int) -> tuple[LlamaForCausalLM, PreTrainedTokenizerFast]:
    torch.manual_seed(seed)
    tokenizer = build_tokenizer()
    model = build_model(tokenizer)
    print(f"{model.num_parameters():,} parameters, {len(tokenizer)} tokens")
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3, betas=(0.9, 0.98), weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: learning_rate(step, steps))
    recent = 0.0
    data = itertools.islice(batches(tokenizer, size, random.Random(seed)), steps)
    for step, (ids, labels) in enumerate(data, 1):
        loss = model(input_ids=ids, labels=labels, use_cache=False).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        optimiser.zero_grad()
        recent += loss.item()
        if step % 100 == 0:
            print(f"step {step}  loss {recent / 100:.3f}  {time.process_time():.0f} CPU s", flush=True)
            recent = 0.0
    return model, tokenizer


def save(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast) -> None:
    model.half().save_pretrained(FOLDER)
    (FOLDER / "generation_config.json").unlink(missing_ok=True)  # how to sample is the program's business
    tokenizer.save_pretrained(FOLDER)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=1200)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    save(*train(options.steps, options.batch, options.seed))
