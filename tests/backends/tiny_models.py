"""Randomly initialised models of a few hundred parameters, with tokenizers made on the spot."""

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
SIZES = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4, "head_dim": 8}


def byte_tokenizer():
    """Byte-level BPE with ChatML control tokens and one added token that is not special."""
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    special = ["<|end|>", "<|im_start|>", "<|im_end|>"]
    corpus = ["the answer to the question is that there is an answer", "one two three four five six"] * 4
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    inner.train_from_iterator(
        corpus, trainers.BpeTrainer(vocab_size=320, special_tokens=special, initial_alphabet=alphabet)
    )
    inner.add_tokens(["<think>"])
    return PreTrainedTokenizerFast(
        tokenizer_object=inner,
        bos_token="<|im_start|>",
        eos_token="<|im_end|>",
        pad_token="<|end|>",
        chat_template=CHATML,
    )


def letter_tokenizer(letters="abc"):
    """One token a letter, `.` for the end; whatever else it reads is unknown, an id the model does not have."""
    words = {c: i for i, c in enumerate(f".{letters}?")}
    inner = Tokenizer(models.WordLevel(words, unk_token="?"))
    inner.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    inner.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(tokenizer_object=inner, eos_token=".", unk_token="?")


def tiny(kind="llama", vocabulary=330, seed=0, **options):
    """A model whose next-token distributions are far from uniform."""
    torch.manual_seed(seed)
    sizes = SIZES | {"num_key_value_heads": 2} if kind != "gpt2" else {"n_embd": 32, "n_layer": 2, "n_head": 4}
    config = CONFIG_MAPPING[kind](
        vocab_size=vocabulary,
        max_position_embeddings=96,
        bos_token_id=0,
        eos_token_id=0,
        pad_token_id=0,
        **(sizes | options),
    )
    net = AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
    with torch.no_grad():
        for parameter in net.parameters():
            if parameter.dim() > 1:
                parameter.normal_(0, 0.3)
    net.generation_config.eos_token_id = None
    return net
