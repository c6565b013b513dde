"""Loading transformers models from folders, without a hub and without noise."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import huggingface_hub
import torch
import transformers as untyped_transformers
from safetensors import SafetensorError
from transformers.utils import logging as transformers_logging

from backends.hf import HFModel
from backends.tokenizer import Tokenizer, end_ids
from ppl.errors import BackendError, UsageError

transformers: Any = untyped_transformers  # its annotations are partial
logging: Any = transformers_logging
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def load_folder(where: str, **options: Any) -> HFModel:
    """A causal model from a folder, or by its hub id if it is in the local Hugging Face cache."""
    folder = Path(where).expanduser()
    name = folder.name if folder.is_dir() else where
    return from_folder(str(folder) if folder.is_dir() else where, name, **options)


def from_folder(
    where: str,
    name: str,
    *,
    dtype: str = "float32",
    device: str = "cpu",
    shared: bool = True,
    states_only: bool = False,
    **options: Any,
) -> HFModel:
    """Load weights and tokenizer. float32 by default: log-probs of bfloat16 are off by tenths of a nat.

    shared       one KV tree under all contexts (options: max_kv_bytes, fast); False: the plain backend (option: cache)
    states_only  without the language-model head, for rewards that have their own: only hidden states can be asked for
    """
    if dtype not in DTYPES:
        raise UsageError(f"dtype={dtype!r}: expected one of {', '.join(DTYPES)}.")
    kind = transformers.AutoModel if states_only else transformers.AutoModelForCausalLM
    net, tokenizer = read_weights(where, kind, DTYPES[dtype])
    net = net.to(device).eval()
    if states_only:
        net = Headless(net)
    if shared:
        from backends.shared import SharedModel

        model: HFModel = SharedModel(net, tokenizer, name, **options)
    else:
        model = HFModel(net, tokenizer, name, **options)
    if states_only:
        model.capabilities = frozenset({"hidden_states"})
    return model


def folder_of(where: str) -> Path:
    """The folder of a model that is given as one, or by its hub id if it is in the local Hugging Face cache."""
    folder = Path(where).expanduser()
    if folder.is_dir():
        return folder
    try:
        return Path(huggingface_hub.snapshot_download(where, local_files_only=True))
    except (OSError, ValueError) as error:
        raise BackendError(_not_here(where, error)) from error


def read_weights(where: str, kind: Any, dtype: torch.dtype) -> tuple[Any, Any]:
    """Weights and tokenizer of a folder or a hub id. BackendError unless every weight is there and fits."""
    if (Path(where) / "adapter_config.json").is_file():
        raise BackendError(
            f"the folder {where!r} holds an adapter, not a model. Merge it into its base first: in peft,"
            " AutoPeftModelForCausalLM.from_pretrained(folder).merge_and_unload().save_pretrained(new_folder)."
        )
    try:
        with quiet():
            net, found = kind.from_pretrained(
                where, dtype=dtype, local_files_only=True, trust_remote_code=False, output_loading_info=True,
                ignore_mismatched_sizes=True,
            )  # fmt: skip
            tokenizer = transformers.AutoTokenizer.from_pretrained(where, local_files_only=True)
    except SafetensorError as error:
        raise BackendError(
            f"the weights in {where!r} are damaged, as an interrupted download leaves them ({error})."
            " Delete its .safetensors files and fetch them again."
        ) from error
    except (OSError, ValueError) as error:
        raise BackendError(_not_here(where, error)) from error
    for key, there, expected in sorted(found["mismatched_keys"]):
        raise BackendError(
            f"the weights in {where!r} do not fit its config.json: {key} has the shape {tuple(there)}, expected"
            f" {tuple(expected)}."
        )
    if found["missing_keys"]:
        missing = sorted(found["missing_keys"])
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        raise BackendError(
            f"the folder {where!r} lacks weights that its config.json asks for: {', '.join(missing[:3])}{more}."
        )
    return net, tokenizer


class Headless(torch.nn.Module):
    """A transformer without a language-model head in the place of one that has it: its logits are its states."""

    def __init__(self, base: Any) -> None:
        super().__init__()
        self.base_model, self.config, self.lm_head = base, base.config, torch.nn.Identity()
        self.generation_config = None
        self.device, self.dtype = base.device, base.dtype
        self.set_attn_implementation = base.set_attn_implementation

    def forward(
        self, input_ids: torch.Tensor, attention_mask: Any = None, position_ids: Any = None, **options: Any
    ) -> SimpleNamespace:
        states = self.base_model(
            input_ids=input_ids, attention_mask=attention_mask, position_ids=position_ids, **options
        ).last_hidden_state
        return SimpleNamespace(logits=states)


def load_tokenizer(where: str, name: str) -> Tokenizer:
    """A tokenizer without its model, and the tokens at which the model's own generation ends."""
    try:
        with quiet():
            inner = transformers.AutoTokenizer.from_pretrained(where, local_files_only=True)
    except (OSError, ValueError) as error:
        raise BackendError(
            f"the tokenizer {where!r} cannot be had here: {str(error).splitlines()[0]} Give tokenizer=FOLDER, or fetch it where"
            f" there is a network: hf download {where} --include 'tokenizer*'."
        ) from error
    try:
        ends = transformers.GenerationConfig.from_pretrained(where, local_files_only=True).eos_token_id
    except OSError:
        ends = None
    return Tokenizer(inner, end_ids(ends, inner, name), name)


def _not_here(where: str, error: Exception) -> str:
    if Path(where).is_dir():
        return f"the folder {where!r} holds no causal language model of transformers: {str(error).splitlines()[0]}"
    return (
        f"the model {where!r} cannot be had here: there is no such folder, and it is not in the local Hugging Face cache"
        f" (nothing is downloaded). Give a folder, hf:/path/to/model; fetch it where there is a network, hf download {where};"
        " or use smollm2."
    )


@contextmanager
def quiet() -> Iterator[None]:
    """No progress bars and no warnings of transformers while a model is read."""
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()
