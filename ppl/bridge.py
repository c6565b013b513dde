"""torch and Pyro inside programs. Imported only when a program meets one of their distributions or sites.

Pyro keeps one process-global handler stack (and one of plates), which breaks when suspended programs interleave: the
stacks of each execution are saved when it parks and put back when it goes on. A messenger at its bottom turns `pyro.sample`,
`pyro.factor` and observed sites into sites of the execution.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import distributions as td

from ppl.current import require_execution
from ppl.distribution import Distribution
from ppl.errors import SupportError, WeightError
from ppl.finite import inverse_cdf

if TYPE_CHECKING:
    from ppl.continuation import Continuation

_TURN = threading.RLock()


class TorchDistribution(Distribution):
    """A torch or Pyro distribution as it is. Values are tensors; log_prob sums over batch dimensions.

    Draws come from the keyed stream: simple families by inverse CDF of our own uniforms, the rest under a torch
    generator that is seeded from the stream and restored afterwards.
    """

    at_once = True

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def sample(self, rng: Any) -> Any:
        base = self._base()
        if type(base) is td.Normal:
            noise = torch.as_tensor(rng.normal(size=tuple(base.loc.shape)), dtype=base.loc.dtype)
            return (base.loc + base.scale * noise).detach()
        if type(base) is td.Uniform and base.low.ndim == 0:
            return (base.low + (base.high - base.low) * float(rng.random())).detach()
        if self.finite and base.batch_shape == ():
            values = base.enumerate_support()
            probabilities = base.log_prob(values).double().exp()
            return values[inverse_cdf(probabilities.tolist(), rng.random())].clone()
        with _torch_seeded(int(rng.integers(0, 2**62))):
            return self.inner.sample().detach()

    def _base(self) -> Any:
        inner = self.inner
        return getattr(inner, "base_dist", inner) if type(inner).__name__ == "MaskedDistribution" else inner

    def log_prob(self, value: Any) -> float:
        given = value if isinstance(value, torch.Tensor) else torch.as_tensor(value, dtype=torch.get_default_dtype())
        try:
            total = float(self.inner.log_prob(given).sum().detach())
        except ValueError as error:
            if self._outside(given):
                return -math.inf
            raise SupportError(f"{value!r} cannot be a value of {self.inner!r}: {error}") from error
        return total

    def _outside(self, given: Any) -> bool:
        try:
            return not bool(self.inner.support.check(given).all())
        except (NotImplementedError, RuntimeError):
            return False

    def outside(self, value: Any) -> bool:
        support = getattr(type(self.inner), "support", None)
        fixed = isinstance(support, td.constraints.Constraint) and not td.constraints.is_dependent(support)  # type: ignore[no-untyped-call]
        return (fixed or isinstance(self._base(), td.Categorical)) and self._outside(torch.as_tensor(value))

    def support(self) -> Sequence[Any]:
        if not self.finite:
            return super().support()
        return list(self.inner.enumerate_support())

    @property
    def finite(self) -> bool:
        return bool(getattr(self.inner, "has_enumerate_support", False)) and self.inner.batch_shape == ()

    @property
    def kind(self) -> Hashable:
        try:
            support = repr(self.inner.support)
        except NotImplementedError:
            support = ""
        return (type(self.inner).__name__, support, tuple(self.inner.batch_shape), tuple(self.inner.event_shape))

    def __repr__(self) -> str:
        return repr(self.inner)


@contextmanager
def _torch_seeded(seed: int) -> Iterator[None]:
    """torch's own streams set to `seed` for a while. Without CUDA just the CPU's, which is 10 times cheaper."""
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            yield
        return
    stream = torch.default_generator
    before = stream.get_state()
    stream.manual_seed(seed)
    try:
        yield
    finally:
        stream.set_state(before)


class _PyroSite(Distribution):
    """The distribution of a `pyro.sample` message, with the scale and mask its handlers have put on it."""

    at_once = True

    def __init__(self, message: Any) -> None:
        self._torch = TorchDistribution(message["fn"])
        self.fn, self.scale, self.mask = message["fn"], message["scale"], message["mask"]

    def sample(self, rng: Any) -> Any:
        return self._torch.sample(rng)

    def log_prob(self, value: Any) -> float:
        log_prob = self.fn.log_prob(value)
        if self.mask is not None:
            mask = self.mask if isinstance(self.mask, torch.Tensor) else torch.tensor(bool(self.mask))
            log_prob = torch.where(mask, log_prob, torch.zeros_like(log_prob))
        total = (log_prob * self.scale).sum()
        if torch.isnan(total):
            raise WeightError(f"the log-prob of {value!r} under {self.fn!r} is NaN")
        return float(total.detach())

    def support(self) -> Sequence[Any]:
        return self._torch.support()

    @property
    def finite(self) -> bool:
        return self._torch.finite

    @property
    def plain(self) -> bool:
        """Whether the handlers leave the density as it is."""
        return self.mask is None and isinstance(self.scale, (int, float)) and self.scale == 1.0

    @property
    def kind(self) -> Hashable:
        return self._torch.kind

    def __repr__(self) -> str:
        return repr(self.fn)


def _forwarding_messenger() -> Any:
    from pyro.poutine.messenger import Messenger
    from pyro.poutine.subsample_messenger import _Subsample

    class Forward(Messenger):  # type: ignore[misc]
        def _pyro_sample(self, message: Any) -> None:
            fn = message["fn"]
            whole = isinstance(fn, _Subsample) and (fn.subsample_size is None or fn.subsample_size >= fn.size)
            if message["done"] or whole:  # a plate over everything has nothing to choose
                return
            execution = require_execution("pyro.sample")
            if message["infer"].get("_deterministic"):  # pyro.deterministic: a value to keep, without a weight
                execution.keep(message["name"], message["value"])
                message["done"] = True
                return
            site = _PyroSite(message)
            if message["is_observed"]:
                execution.observe(message["name"], site, message["value"])
            else:
                # drawn from the plain distribution; handlers that change its density enter the weight as log p - log q
                proposal = None if site.plain else TorchDistribution(fn)
                message["value"] = execution.sample(message["name"], site, proposal)
            message["done"] = True

    return Forward()


@contextmanager
def pyro_stack_of(execution: Continuation) -> Iterator[None]:
    """Run one stretch of an execution under its own Pyro handlers, and leave everybody else's as they were.

    Pyro has one stack for all threads, so those that run programs take turns.
    """
    from pyro.poutine.runtime import _DIM_ALLOCATOR, _PYRO_STACK

    with _TURN:
        outside = list(_PYRO_STACK), list(_DIM_ALLOCATOR._stack)
        _PYRO_STACK[:], _DIM_ALLOCATOR._stack[:] = execution._pyro or ([_forwarding_messenger()], [])
        try:
            yield
        finally:
            inside = list(_PYRO_STACK), list(_DIM_ALLOCATOR._stack)
            execution._pyro = inside if execution._greenlet is not None else None
            _PYRO_STACK[:], _DIM_ALLOCATOR._stack[:] = outside
