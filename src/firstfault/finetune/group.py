"""One of the processes of a training: its rank in; its share of a batch, and what all add up, out.

accelerate forms the group and says which device is whose: NCCL between GPUs, gloo between processes on a CPU.
Gradients are summed, not averaged: each rank divides by the tokens of the whole batch, so the sum is the
gradient that one process would have computed, whatever the shares are.
"""

import os
import random
import sys
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

from firstfault.errors import RankError
from firstfault.finetune.crew import ALONE
from firstfault.finetune.extra import load

EXTRA = "accelerate"
LONGEST = timedelta(hours=6)
"""That the others wait while the first one measures and saves. Who dies is noticed at once all the same."""
AT_ONCE = 1 << 24
"""Numbers that are added up in one go: 64 MB, so that gradients need little memory beside themselves."""

In = TypeVar("In")


class Group:
    """The processes of a training, as one of them sees it. The first, rank 0, is the main one."""

    def __init__(self, rank: int, size: int, meeting: Path) -> None:
        """Join the others at a file, and add up a number with them.

        Raises:
            MissingError: accelerate is not installed.
            RankError: they cannot be reached, or the sum is wrong.
        """
        self.rank, self.size, self.main = rank, size, rank == 0
        loopback = "lo0" if sys.platform == "darwin" else "lo"
        os.environ.setdefault("GLOO_SOCKET_IFNAME", loopback)  # nobody else is to reach these sockets
        os.environ.setdefault("NCCL_SOCKET_IFNAME", loopback)
        os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank))
        os.environ.update(WORLD_SIZE=str(size), LOCAL_WORLD_SIZE=str(size))
        self._torch = load("torch")
        accelerate = load("accelerate", EXTRA)
        gpu = self._torch.cuda.is_available()
        # on a CPU accelerate passes rank and size on; on GPUs they must stand in the address
        place = f"file://{meeting}" + (f"?rank={rank}&world_size={size}" if gpu else "")
        joining = accelerate.InitProcessGroupKwargs(init_method=place, timeout=LONGEST)
        try:
            self._accelerator = accelerate.Accelerator(cpu=not gpu, kwargs_handlers=[joining])
            self.device = str(self._accelerator.device)
            found = self.total(rank + 1)
        except RuntimeError as error:  # NCCL's and gloo's own errors are such
            what = str(error).partition("\n")[0][:300]
            raise RankError(f"Rank {rank} of {size} cannot join the others: {what}", hint=ALONE) from error
        if found != size * (size + 1) / 2:
            raise RankError(
                f"Rank {rank} of {size} added 1 to {size} up to {found:g} with the others.",
                hint=f"NCCL_P2P_DISABLE=1 helps where boards cannot reach each other. {ALONE}",
            )

    def share(self, rows: Sequence[In]) -> Sequence[In]:
        """The rows of a batch that are for this rank."""
        return rows[self.rank :: self.size]

    def total(self, value: float) -> float:
        """The sum of a number over all ranks."""
        kind = self._torch.float64
        mine = self._torch.tensor([value], dtype=kind, device=self._accelerator.device)
        return float(self._accelerator.reduce(mine, reduction="sum"))

    def decided(self, said: bool) -> bool:
        """What the main rank says; the others are told."""
        return self.total(float(said and self.main)) > 0

    def align(self, parameters: Sequence[Any]) -> None:
        """Take over the values of the main rank: GPUs of two kinds draw other numbers from one seed."""
        broadcast = load("accelerate.utils", EXTRA).broadcast
        for one in parameters:
            broadcast(one.detach())  # in place

    def add_gradients(self, parameters: Sequence[Any]) -> None:
        """Replace the gradients by their sums over all ranks. A rank without rows adds nothing."""
        for one in parameters:
            if one.grad is None:
                one.grad = self._torch.zeros_like(one)
        for some in _together(parameters):
            flat = self._torch.cat([one.grad.flatten() for one in some])
            summed = self._accelerator.reduce(flat, reduction="sum")
            for one, values in zip(some, summed.split([one.numel() for one in some]), strict=True):
                one.grad.copy_(values.view_as(one))

    def draw(self, seed: int, step: int) -> None:
        """Make the random numbers of a step a matter of seed, step and rank, however one came there."""
        self._torch.manual_seed(random.Random(f"{seed} {step} {self.rank}").getrandbits(63))

    def wait(self) -> None:
        """Go on when all have come here."""
        self._accelerator.wait_for_everyone()

    def leave(self) -> None:
        """Wait for the others, then part."""
        self.wait()
        self._accelerator.end_training()


def _together(parameters: Sequence[Any]) -> Iterator[list[Any]]:
    """Parameters in lists of about as many numbers as are added up in one go."""
    some: list[Any] = []
    count = 0
    for one in parameters:
        if some and count + one.numel() > AT_ONCE:
            yield some
            some, count = [], 0
        some.append(one)
        count += one.numel()
    if some:
        yield some
