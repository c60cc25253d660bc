"""PixelCNN++ as it is commonly written: weight normalisation of torch, padding apart, no convolutions joined."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from reprise.models.pixelcnn_pp.network import PixelCNNPP


def concat_elu(x: Tensor) -> Tensor:
    return F.elu(torch.cat([x, -x], 1))


class Shifted(nn.Module):
    """A convolution that reads `kernel[0]` - 1 rows above, and columns beside (u) or to the left (ul)."""

    def __init__(self, into: int, out: int, kernel: tuple[int, int], beside: bool, stride: int = 1) -> None:
        super().__init__()
        right = kernel[1] // 2 if beside else 0
        self.margins = (kernel[1] - 1 - right, right, kernel[0] - 1, 0)
        self.conv = weight_norm(nn.Conv2d(into, out, kernel, stride))

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.pad(x, self.margins))  # type: ignore[no-any-return]


class Residual(nn.Module):
    """A gated residual layer; sides: maps of the side inputs, before concat-ELU."""

    def __init__(self, filters: int, kernel: tuple[int, int], beside: bool, sides: int, dropout: float) -> None:
        super().__init__()
        self.first = Shifted(2 * filters, filters, kernel, beside)
        self.side = weight_norm(nn.Conv2d(2 * sides, filters, 1)) if sides else None
        self.dropout = nn.Dropout(dropout)
        self.second = Shifted(2 * filters, 2 * filters, kernel, beside)

    def forward(self, x: Tensor, side: Tensor | None = None) -> Tensor:
        c = self.first(concat_elu(x))
        if self.side is not None and side is not None:
            c = c + self.side(concat_elu(side))
        a, b = self.second(self.dropout(concat_elu(c))).chunk(2, 1)
        return x + a * b.sigmoid()  # type: ignore[no-any-return]


class Both(nn.Module):
    """A layer of both streams."""

    def __init__(self, filters: int, shortcut: bool, dropout: float) -> None:
        super().__init__()
        self.u = Residual(filters, (2, 3), True, filters * shortcut, dropout)
        self.ul = Residual(filters, (2, 2), False, filters * (1 + shortcut), dropout)

    def forward(self, u: Tensor, ul: Tensor, shown: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, Tensor]:
        u = self.u(u, shown[0] if shown else None)
        return u, self.ul(ul, torch.cat([u, shown[1]], 1) if shown else u)


class Finer(nn.Module):
    """Transposed convolutions of both streams."""

    def __init__(self, filters: int) -> None:
        super().__init__()
        self.u = weight_norm(nn.ConvTranspose2d(filters, filters, (2, 3), 2, (0, 1), (0, 1)), dim=1)
        self.ul = weight_norm(nn.ConvTranspose2d(filters, filters, (2, 2), 2), dim=1)

    def forward(self, u: Tensor, ul: Tensor) -> tuple[Tensor, Tensor]:
        return self.u(u), self.ul(ul)


class PlainPixelCNNPP(nn.Module):
    """An unconditional PixelCNN++ with strides and shortcuts, of the sizes of a network of ours."""

    def __init__(self, ours: PixelCNNPP) -> None:
        super().__init__()
        filters, into = ours.head.v.shape[1], ours.shape.channels + 1
        dropout, levels, n = ours.encode[0][0].u.dropout, len(ours.encode), ours.resnets  # type: ignore[index]
        self.first_u = Shifted(into, filters, (2, 3), True)
        self.first_row, self.first_left = Shifted(into, filters, (1, 3), True), Shifted(into, filters, (2, 1), False)
        self.encode = nn.ModuleList(
            nn.ModuleList(Both(filters, False, dropout) for _ in range(n)) for _ in range(levels)
        )
        self.decode = nn.ModuleList(
            nn.ModuleList(Both(filters, True, dropout) for _ in range(n + (d < levels - 1))) for d in range(levels)
        )
        self.coarser_u, self.coarser_ul = (
            nn.ModuleList(Shifted(filters, filters, kernel, beside, 2) for _ in range(levels - 1))
            for kernel, beside in (((2, 3), True), ((2, 2), False))
        )
        self.finer = nn.ModuleList(Finer(filters) for _ in range(levels - 1))
        self.head = weight_norm(nn.Conv2d(filters, ours.likelihood.maps, 1))

    def forward(self, x: Tensor) -> Tensor:
        x = torch.cat([x, torch.ones_like(x[:, :1])], 1)
        u = F.pad(self.first_u(x)[:, :, :-1], (0, 0, 1, 0))
        ul = F.pad(self.first_row(x)[:, :, :-1], (0, 0, 1, 0)) + F.pad(self.first_left(x)[..., :-1], (1, 0))
        shown = [(u, ul)]
        for d, layers in enumerate(self.encode):
            if d:
                u, ul = self.coarser_u[d - 1](u), self.coarser_ul[d - 1](ul)
                shown.append((u, ul))
            for layer in layers:  # type: ignore[attr-defined]
                u, ul = layer(u, ul)
                shown.append((u, ul))
        u, ul = shown.pop()
        for d in reversed(range(len(self.decode))):
            for layer in self.decode[d]:  # type: ignore[attr-defined]
                u, ul = layer(u, ul, shown.pop())
            if d:
                u, ul = self.finer[d - 1](u, ul)
        return self.head(F.elu(ul))  # type: ignore[no-any-return]
