"""Folders of every family of process reward models: tiny random weights, a toy tokenizer with the tokens they need.

The references are the authors' computations in plain transformers. They share no code with the adapters.
"""

import json

import torch
from safetensors.torch import load_file, save_file
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForTokenClassification,
    AutoTokenizer,
    PreTrainedTokenizerFast,
)

from tests.backends.tiny_models import CHATML, tiny

QUESTION = "What is 3 + 4 - 2?"
STEPS = ["3 + 4 is 7.", "7 - 2 is 5", "The answer is 5."]
WORDS = r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"  # of Qwen and Llama 3
LLAMA = (
    "{{ bos_token }}{% for m in messages %}{{ '<|start_header_id|>' + m['role'] + '<|end_header_id|>\n\n' + m['content']"
    " + '<|eot_id|>' }}{% endfor %}{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n'"
    " }}{% endif %}"
)
SPECIAL = ["<|im_end|>", "<|im_start|>", "<s>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "<extra_0>"]


def tokenizer(template=CHATML, without=(), **options):
    """Byte-level BPE in which every family's marks are single tokens, but for those in `without`."""
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(WORDS), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    inner.decoder = decoders.ByteLevel()
    marks = [m for m in ("x ки", "x + -", "x \n\n\n\n\n", "x \n\n\n\n", "x\n\n") if m not in without]
    special = [token for token in SPECIAL if token not in without]
    corpus = [*marks * 200, "the answer is that what step " * 20]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    inner.train_from_iterator(
        corpus,
        trainers.BpeTrainer(vocab_size=320, special_tokens=special, initial_alphabet=alphabet, show_progress=False),
    )
    return PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="<|im_end|>", chat_template=template, **options)


def metaspace_tokenizer():
    """Like that of Mistral: a space is part of the token after it, and one stands before every text."""
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    inner.decoder = decoders.Metaspace(prepend_scheme="always")
    corpus = ["x ки", "x + -"] * 200 + [QUESTION, *STEPS, "\n abcdefghijklmnopqrstuvwxyz"]
    inner.train_from_iterator(corpus, trainers.BpeTrainer(vocab_size=100, special_tokens=["<s>"], show_progress=False))
    return PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="<s>")


def save(folder, net, tokens=None, **extra):
    """A folder in bfloat16, as the published ones are; `extra` are further tensors."""
    net.config.max_position_embeddings = 512
    net.bfloat16().save_pretrained(folder)
    (tokens or tokenizer()).save_pretrained(folder)
    if extra:
        file = folder / "model.safetensors"
        weights = load_file(file) | {name.replace("__", "."): t.bfloat16() for name, t in extra.items()}
        save_file(weights, file, metadata={"format": "pt"})
    return folder


def read(folder, kind=AutoModelForCausalLM):
    return kind.from_pretrained(folder, dtype=torch.float32), AutoTokenizer.from_pretrained(folder)


def ids_of(tokens, text):
    return tokens(text, add_special_tokens=False, return_tensors="pt").input_ids


# -- one folder and one reference a family --------------------------------------------------------------------------


def qwen(folder):
    torch.manual_seed(1)
    head = {"score__0__weight": torch.randn(32, 32) / 16, "score__0__bias": torch.randn(32)}
    head |= {"score__2__weight": torch.randn(2, 32) / 16, "score__2__bias": torch.randn(2)}
    save(folder, AutoModel.from_config(tiny("qwen2").config), **head)
    config = json.loads((folder / "config.json").read_text())  # as published, with code that must not be run
    config |= {
        "max_position_embeddings": 256,
        "architectures": ["Qwen2ForProcessRewardModel"],
        "auto_map": {"AutoModel": "modeling_rm.Qwen2"},
    }
    (folder / "config.json").write_text(json.dumps(config))
    return str(folder)


def qwen_reference(folder, question, steps):
    net, tokens = read(folder, AutoModel)
    weights = {name: t.float() for name, t in load_file(folder / "model.safetensors").items()}
    system = "Please reason step by step, and put your final answer within \\boxed{}."
    roles = ("system", system), ("user", question), ("assistant", "<extra_0>".join(steps) + "<extra_0>")
    chat = [{"role": role, "content": content} for role, content in roles]
    ids = tokens(tokens.apply_chat_template(chat, tokenize=False), return_tensors="pt").input_ids
    states = net(ids).last_hidden_state
    hidden = torch.relu(states @ weights["score.0.weight"].T + weights["score.0.bias"])
    labels = (hidden @ weights["score.2.weight"].T + weights["score.2.bias"]).softmax(-1)
    return labels[ids == tokens.convert_tokens_to_ids("<extra_0>")][:, 1]


def shepherd(folder):
    return str(save(folder, tiny("mistral")))


def shepherd_reference(folder, question, steps):
    net, tokens = read(folder)
    ids = ids_of(tokens, f"{question} " + "\n".join(f"{step} ки" for step in steps))
    candidates = ids_of(tokens, "x + -")[0, 1:]
    tag = ids_of(tokens, "x ки")[0, -1]
    return net(ids).logits[:, :, candidates].softmax(-1)[:, :, 0][ids == tag]


def rlhflow(folder):
    return str(save(folder, tiny("llama"), tokenizer(LLAMA, bos_token="<s>")))


def rlhflow_reference(folder, question, steps):
    net, tokens = read(folder)
    candidates, conversation, scores = [ids_of(tokens, c)[0, -1] for c in "+-"], [], []
    for i, step in enumerate(steps):
        text = f"{question} {step}" if i == 0 else step
        conversation += [{"role": "user", "content": text}, {"role": "assistant", "content": "+"}]
        ids = ids_of(tokens, tokens.apply_chat_template(conversation, tokenize=False))
        scores.append(net(ids).logits[0, -3, candidates].softmax(-1)[0])
    return torch.stack(scores)


def skywork(folder):
    torch.manual_seed(2)
    head = {"v_head__summary__weight": torch.randn(1, 32), "v_head__summary__bias": torch.randn(1)}
    return str(save(folder, tiny("qwen2"), tokenizer(bos_token="<s>"), **head))


def skywork_reference(folder, question, steps):
    net, tokens = read(folder)
    weights = load_file(folder / "model.safetensors")
    end, ids, places = tokens.encode("\n")[-1], tokens.encode(tokens.bos_token + question + "\n"), []
    for step in steps:
        ids += [*tokens.encode(step), end]
        places.append(len(ids) - 1)
    states = net(torch.tensor([ids]), output_hidden_states=True).hidden_states[-1]
    values = states @ weights["v_head.summary.weight"].float().T + weights["v_head.summary.bias"].float()
    return torch.sigmoid(values)[0, places, 0]


def eurus(folder):
    reference = folder.parent / f"{folder.name}-reference"
    return f"{save(folder, tiny('qwen2'))},{save(reference, tiny('qwen2', seed=5))}"


def eurus_reference(folder, question, steps):
    total = 0
    for sign, where in ((1, folder), (-1, folder.parent / f"{folder.name}-reference")):
        net, tokens = read(where)
        prompt = tokens.apply_chat_template(
            [{"role": "user", "content": question}], tokenize=False, add_generation_prompt=True
        )
        texts = [prompt, *("".join([prompt, *(f"{step}\n\n" for step in steps[:n])]) for n in range(1, len(steps) + 1))]
        lengths = [ids_of(tokens, text).shape[1] for text in texts]
        ids = ids_of(tokens, texts[-1])
        log_probs = net(ids).logits[0, :-1].log_softmax(-1).gather(-1, ids[0, 1:, None])[:, 0]
        cumulative = log_probs[lengths[0] - 1 :].cumsum(-1)
        total = total + sign * 0.001 * cumulative[[n - lengths[0] - 1 for n in lengths[1:]]]
    return total


def versa(folder):
    return str(save(folder, tiny("llama"), tokenizer(LLAMA, bos_token="<s>")))


def versa_reference(folder, question, steps):
    net, tokens = read(folder)
    ids = ids_of(tokens, f"{question} \n\n" + "".join(f"{step} \n\n\n\n" for step in steps))
    candidates = [ids_of(tokens, c)[0, 0] for c in "-+"]
    return net(ids).logits[:, :, candidates].softmax(-1)[:, :, 1][ids == ids_of(tokens, "x \n\n\n\n")[0, -1]]


def math_psa(folder):
    return str(save(folder, tiny("qwen2")))


def math_psa_reference(folder, question, steps):
    net, tokens = read(folder)
    ids = ids_of(tokens, f"{question} " + "".join(f"Step {i}: {s} \n\n\n\n\n " for i, s in enumerate(steps, 1)))
    candidates = ids_of(tokens, " + -")[0]
    return net(ids).logits[:, :, candidates].softmax(-1)[:, :, 0][ids == ids_of(tokens, " \n\n\n\n\n")[0, 0]]


def classifier(folder, kind, **options):
    torch.manual_seed(3)
    return str(save(folder, AutoModelForTokenClassification.from_config(tiny(kind).config), tokenizer(**options)))


def classifier_labels(folder, question, steps, begin=()):
    net, tokens = read(folder, AutoModelForTokenClassification)
    ids, places = [*begin, *tokens.encode(question)], []
    for step in steps:
        ids += tokens.encode(step) + tokens.encode("\n")
        places.append(len(ids) - 1)
    return net(torch.tensor([ids])).logits[0, places].softmax(-1)


def pure(folder):
    return classifier(folder, "qwen2")


def pure_reference(folder, question, steps):
    labels = classifier_labels(folder, question, steps)
    return labels[:, 1] - labels[:, 0]


def trl(folder):
    return classifier(folder, "mistral", bos_token="<s>")


def trl_reference(folder, question, steps):
    begin = [AutoTokenizer.from_pretrained(folder).bos_token_id]
    return classifier_labels(folder, question, steps, begin)[:, 1]


FOLDERS = {
    "qwen": (qwen, qwen_reference),
    "shepherd": (shepherd, shepherd_reference),
    "rlhflow": (rlhflow, rlhflow_reference),
    "skywork": (skywork, skywork_reference),
    "eurus": (eurus, eurus_reference),
    "versa": (versa, versa_reference),
    "math-psa": (math_psa, math_psa_reference),
    "pure": (pure, pure_reference),
    "trl": (trl, trl_reference),
}
