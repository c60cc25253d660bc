"""The classifier that judges labels."""

from __future__ import annotations

from torch import Generator, Tensor, nn

GROUPS = 4
_SMALLEST = 4  # side of the maps that the last layer sees
_LARGE = 64  # pixels; images of that side are halved at once: no label shows in one or two of their pixels


class JudgeNetwork(nn.Module):
    """Stages of convolution, group norm, ReLU and pooling down to maps of at most 4 x 4, and a logit per label.

    Group norm, since with statistics of a batch a picture would be judged by its company.

    Args:
        channels, side: of the images.
        labels: n.
        width: maps of the first stage, a multiple of 4; later stages have twice and four times as many.
        generator: of the first weights.
    """

    def __init__(self, channels: int, side: int, labels: int, width: int, generator: Generator) -> None:
        super().__init__()
        stages: list[nn.Module] = []
        maps, size = channels, side
        while size > _SMALLEST or not stages:
            wider = width * min(4, 2 ** len(stages))
            kernel, stride = (5, 2) if size >= _LARGE else (3, 1)
            conv: nn.Module = nn.utils.skip_init(nn.Conv2d, maps, wider, kernel, stride=stride, padding=kernel // 2)
            stages.append(nn.Sequential(conv, nn.GroupNorm(GROUPS, wider), nn.ReLU(), nn.AvgPool2d(2, ceil_mode=True)))
            maps, size = wider, -(-size // (2 * stride))
        self.stages = nn.Sequential(*stages)
        self.last: nn.Module = nn.utils.skip_init(nn.Linear, maps * size * size, labels)
        for module in self.modules():  # layers were made without first weights, which torch draws from global state
            if isinstance(module, nn.Conv2d | nn.Linear) and module.bias is not None:
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu", generator=generator)
                nn.init.zeros_(module.bias)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, n) of images (B, C, S, S) in [-1, 1]."""
        logits: Tensor = self.last(self.stages(images).flatten(1))
        return logits
