"""Loading transformers models from folders, without a hub and without noise."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import transformers as untyped_transformers
from transformers.utils import logging as transformers_logging

from backends.hf import HFModel, end_ids
from backends.tokenizer import Tokenizer
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
    where: str, name: str, *, dtype: str = "float32", device: str = "cpu", shared: bool = True, **options: Any
) -> HFModel:
    """Load weights and tokenizer. float32 by default: log-probs of bfloat16 are off by tenths of a nat.

    shared  one KV tree under all contexts (options: max_kv_tokens, fast); False: the plain backend (option: cache)
    """
    if dtype not in DTYPES:
        raise UsageError(f"dtype={dtype!r}: expected one of {', '.join(DTYPES)}.")
    try:
        with quiet():
            net = transformers.AutoModelForCausalLM.from_pretrained(where, dtype=DTYPES[dtype], local_files_only=True)
            tokenizer = transformers.AutoTokenizer.from_pretrained(where, local_files_only=True)
    except (OSError, ValueError) as error:
        raise BackendError(_not_here(where, error)) from error
    if not shared:
        return HFModel(net.to(device), tokenizer, name, **options)
    from backends.shared import SharedModel

    return SharedModel(net.to(device).eval(), tokenizer, name, **options)


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
