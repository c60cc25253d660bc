"""What takes part in the benchmark of DDPM: a network with all that its training and its sampling need."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
CLIP = 1.0  # global norm of the gradients


@dataclass(frozen=True)
class Case:
    """Sizes of the images, of a batch and of a network for them.

    Attributes:
        data: images: their channels and levels.
        colours: channels of the images.
        side: of the images.
        channels: width of the first resolution.
        multipliers: of that width, one a resolution.
        attention: side of the maps with attention.
        batch: images of a step, in training and in sampling.
    """

    data: str
    colours: int
    side: int
    channels: int
    multipliers: tuple[int, ...]
    attention: int
    batch: int

    @property
    def widths(self) -> list[int]:
        return [self.channels * m for m in self.multipliers]

    @property
    def attends(self) -> list[bool]:
        """For each resolution, whether it has attention."""
        return [self.side >> level == self.attention for level in range(len(self.multipliers))]

    def images(self) -> Tensor:
        """A batch of whole numbers 0 ... 255."""
        size = (self.batch, self.colours, self.side, self.side)
        return torch.randint(256, size, generator=torch.Generator().manual_seed(0), dtype=torch.uint8).to(DEVICE)

    def __str__(self) -> str:
        colours = "RGB" if self.colours == 3 else "grey"
        return f"{self.side}x{self.side} {colours}, {self.channels} x {self.multipliers}, batch {self.batch}"


@dataclass(frozen=True)
class Contender:
    """A package's training and sampling of one network.

    Attributes:
        network: takes x_t (B, C, H, W) and t (B,).
        loss: of images (B, C, H, W), whole numbers; draws the steps and the noise.
        optimizer: of the network's weights.
        average: updates their moving average.
        sample: draws so many images by so many steps.
    """

    network: nn.Module
    loss: Callable[[Tensor], Tensor]
    optimizer: torch.optim.Optimizer
    average: Callable[[], object]
    sample: Callable[[int, int], object]

    def train(self, images: Tensor) -> None:
        """A whole step of training, from whole numbers to averaged weights."""
        self.optimizer.zero_grad(set_to_none=True)
        self.loss(images).backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), CLIP)
        self.optimizer.step()
        self.average()

    def compiled(self) -> Contender:
        """The same contender; its network runs compiled from now on."""
        self.network.compile()
        return self

    def half(self) -> Contender:
        """With layers in bfloat16 where autocast finds them fit for it."""

        def loss(images: Tensor) -> Tensor:
            with torch.autocast(DEVICE.type, torch.bfloat16):
                return self.loss(images)

        def sample(batch: int, steps: int) -> object:
            with torch.autocast(DEVICE.type, torch.bfloat16):
                return self.sample(batch, steps)

        return dataclasses.replace(self, loss=loss, sample=sample)

    def parameters(self) -> int:
        return sum(p.numel() for p in self.network.parameters())

    @torch.no_grad()
    def multiplications(self, case: Case) -> int:
        """Multiply-adds of matrix products and convolutions for one image."""
        x = torch.zeros(1, case.colours, case.side, case.side, device=DEVICE)
        with FlopCounterMode(display=False) as counter:
            self.network(x, torch.zeros(1, dtype=torch.long, device=DEVICE))
        return int(counter.get_total_flops()) // 2
