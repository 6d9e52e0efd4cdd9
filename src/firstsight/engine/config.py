"""Settings of meta-training, and of how a meta-batch is run."""

from dataclasses import dataclass
from typing import Literal

from firstsight.checks import check_choice, check_names, check_number

BACKENDS = ("vmap", "loop", "threads")
DTYPES = ("float32", "float64")


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Settings of meta-training.

    Parameters
    ----------
    steps : int
        Outer steps, >= 1.
    meta_batch : int
        Tasks in one outer step, >= 1.
    optimizer : str
        Name of a class in ``torch.optim``.
    outer_lr : float
        Rate of the outer optimiser, > 0.
    schedule : {"constant", "cosine"}
        Of the outer rate; cosine ends at 0 after ``steps``.
    weight_decay : float
        Of the outer optimiser, >= 0. Off by default: it pulls logarithmic leaves, such as a
        log lambda, to 1.
    clip_norm : float
        Largest norm of the outer gradient, which is scaled down to it; 0 switches clipping off.
    validate_every : int
        Outer steps between two meta-validations, >= 1.
    validate_tasks : int
        Meta-validation tasks, the same ones each time, >= 1.
    patience : int
        Meta-validations without a better one after which training stops; 0 never stops early.
    frozen : tuple of str
        Names of leaves or branches of theta that the outer loop leaves as they begin; empty for none.
    checkpoint_every : int
        Outer steps between two checkpoints, >= 1.
    seed : int
        Of everything that is drawn, >= 0.
    backend : {"auto", "vmap", "loop", "threads"}
        How a meta-batch is run. ``auto`` times them on the first batch, once.
    chunk : int
        Tasks that ``vmap`` runs at once; 0 finds the number, by time and under the memory limit.
    threads : int
        Threads: of torch for ``vmap`` and ``loop``, of Python for ``threads``; 0 for as many as
        torch would use.
    memory_limit_gib : float
        What the tasks of one chunk may need, in GiB, > 0; an estimate, made once.
    dtype : {"float32", "float64"}
        Of theta and of the tasks.

    """

    steps: int = 1000
    meta_batch: int = 16
    optimizer: str = "Adam"
    outer_lr: float = 1e-3
    schedule: Literal["constant", "cosine"] = "constant"
    weight_decay: float = 0.0
    clip_norm: float = 10.0
    validate_every: int = 100
    validate_tasks: int = 64
    patience: int = 0
    frozen: tuple[str, ...] = ()
    checkpoint_every: int = 100
    seed: int = 0
    backend: Literal["auto", "vmap", "loop", "threads"] = "auto"
    chunk: int = 0
    threads: int = 0
    memory_limit_gib: float = 0.5
    dtype: Literal["float32", "float64"] = "float32"

    def __post_init__(self) -> None:
        for name in ("steps", "meta_batch", "validate_every", "validate_tasks", "checkpoint_every"):
            check_number(name, getattr(self, name), at_least=1, integer=True)
        for name in ("patience", "seed", "chunk", "threads"):
            check_number(name, getattr(self, name), at_least=0, integer=True)
        for name in ("outer_lr", "memory_limit_gib"):
            check_number(name, getattr(self, name), above=0)
        for name in ("weight_decay", "clip_norm"):
            check_number(name, getattr(self, name), at_least=0)
        if not isinstance(self.optimizer, str):
            raise TypeError(f"optimizer={self.optimizer!r} should be a name; pass other optimisers as make_optimizer")
        check_names("frozen", self.frozen)
        check_choice("schedule", self.schedule, ["constant", "cosine"])
        check_choice("backend", self.backend, ["auto", *BACKENDS])
        check_choice("dtype", self.dtype, DTYPES)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How meta-batches are run, decided once; two runs with the same plan agree to the bit on a CPU.

    Parameters
    ----------
    backend : {"vmap", "loop", "threads"}
        Tasks in chunks by ``torch.func.vmap``, one by one, or over Python threads.
    chunk : int
        Tasks that ``vmap`` runs at once, >= 1.
    threads : int
        Threads of torch, or of Python with one of torch each, >= 1.
    dtype : {"float32", "float64"}
        Of theta and of the tasks.

    """

    backend: Literal["vmap", "loop", "threads"] = "vmap"
    chunk: int = 16
    threads: int = 1
    dtype: Literal["float32", "float64"] = "float32"

    def __post_init__(self) -> None:
        check_choice("backend", self.backend, BACKENDS)
        check_number("chunk", self.chunk, at_least=1, integer=True)
        check_number("threads", self.threads, at_least=1, integer=True)
        check_choice("dtype", self.dtype, DTYPES)
