"""PixelCNN++ written line by line after the released code's structure, as slow as it reads."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from reprise.models.pixelcnn_pp.layers import GatedResnet, Shift
from reprise.models.pixelcnn_pp.network import PixelCNNPP
from reprise.models.pixelcnn_pp.weight_norm import NormedConv2d


def weight(layer: NormedConv2d) -> Tensor:
    norm = layer.v.square().sum((1, 2, 3), keepdim=True).sqrt()
    return layer.g * layer.v / norm


def shifted(layer: NormedConv2d, x: Tensor, shift: Shift) -> Tensor:
    top, left, right = shift.margins
    x = F.pad(x, (left, right, top, 0))
    return F.conv2d(x, weight(layer), layer.b, stride=layer.stride, dilation=shift.dilation)


def transposed(layer: NormedConv2d, x: Tensor) -> Tensor:
    height, width = x.shape[2:]
    y = F.conv_transpose2d(x, weight(layer).transpose(0, 1), layer.b, stride=2)
    first = (layer.kernel[1] - 1) // 2
    return y[:, :, : 2 * height, first : first + 2 * width]


def phi(x: Tensor) -> Tensor:
    return F.elu(torch.cat([x, -x], 1))


def resnet(layer: GatedResnet, x: Tensor, sides: list[Tensor], label: Tensor | None, dropout: float) -> Tensor:
    c_1 = shifted(layer.first, phi(x), layer.shift)
    if layer.side is not None:
        # the side inputs' phi is taken one by one here: the order of its maps is a matter of names
        c_1 = c_1 + F.conv2d(torch.cat([phi(a) for a in sides], 1), weight(layer.side), layer.side.b)
    c_2 = shifted(layer.second, F.dropout(phi(c_1), dropout), layer.shift)
    if layer.label is not None:
        h = F.one_hot(label, len(layer.label)).to(c_2)  # type: ignore[arg-type]
        c_2 = c_2 + (h @ layer.label)[:, :, None, None]
    p, q = c_2.chunk(2, 1)
    return x + p * torch.sigmoid(q)


def forward(network: PixelCNNPP, x: Tensor, label: Tensor | None = None, dropout: float = 0.0) -> Tensor:
    first = network.input
    x = torch.cat([x, torch.ones_like(x[:, :1])], 1)

    def shift_down(y: Tensor) -> Tensor:
        return torch.cat([torch.zeros_like(y[:, :, :1]), y[:, :, :-1]], 2)

    def shift_right(y: Tensor) -> Tensor:
        return torch.cat([torch.zeros_like(y[:, :, :, :1]), y[:, :, :, :-1]], 3)

    us = [shift_down(shifted(first.u, x, first.shift_u))]
    uls = [shift_down(shifted(first.row, x, first.shift_row)) + shift_right(shifted(first.left, x, first.shift_left))]
    for d, pairs in enumerate(network.encode):
        if d:
            step = network.coarser[d - 1]
            us.append(shifted(step.u, us[-1], step.shift_u))  # type: ignore[arg-type]
            uls.append(shifted(step.ul, uls[-1], step.shift_ul))  # type: ignore[arg-type]
        for pair in pairs:  # type: ignore[attr-defined]
            us.append(resnet(pair.u, us[-1], [], label, dropout))
            uls.append(resnet(pair.ul, uls[-1], [us[-1]], label, dropout))
    u, ul = us.pop(), uls.pop()
    for d in reversed(range(len(network.decode))):
        for pair in network.decode[d]:  # type: ignore[attr-defined]
            shown_u, shown_ul = [us.pop()], [uls.pop()]
            u = resnet(pair.u, u, shown_u if network.shortcuts else [], label, dropout)
            ul = resnet(pair.ul, ul, [u, *(shown_ul if network.shortcuts else [])], label, dropout)
        if d:
            step = network.finer[d - 1]
            if network.resample == "strided":
                u, ul = transposed(step.u, u), transposed(step.ul, ul)  # type: ignore[arg-type]
            else:
                u, ul = shifted(step.u, u, step.shift_u), shifted(step.ul, ul, step.shift_ul)  # type: ignore[arg-type]
    assert not us and not uls
    return F.conv2d(F.elu(ul), weight(network.head), network.head.b)
