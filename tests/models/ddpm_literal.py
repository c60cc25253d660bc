"""The DDPM U-Net once more, literally: one function a layer, TensorFlow's conventions, no tricks, any precision."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from reprise.models.ddpm.network import UNet

Weights = dict[str, Tensor]


def sinusoids(t: Tensor, channels: int) -> Tensor:
    rows = []
    for time in t.tolist():
        rates = [10000.0 ** (-i / (channels // 2 - 1)) for i in range(channels // 2)]
        rows.append([math.sin(time * rate) for rate in rates] + [math.cos(time * rate) for rate in rates])
    return torch.tensor(rows, dtype=torch.float64)


def swish(x: Tensor) -> Tensor:
    return x * torch.sigmoid(x)


def dense(w: Weights, name: str, x: Tensor) -> Tensor:
    return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]


def norm(w: Weights, name: str, x: Tensor) -> Tensor:
    channels = x.shape[1]
    groups = 32
    while channels % groups or (channels // groups < 4 and groups > 1):
        groups //= 2
    parts = [
        (part - part.mean((1, 2, 3), keepdim=True)) / (part.var((1, 2, 3), unbiased=False, keepdim=True) + 1e-6).sqrt()
        for part in x.split(channels // groups, 1)
    ]
    return torch.cat(parts, 1) * w[f"{name}.weight"][:, None, None] + w[f"{name}.bias"][:, None, None]


def conv(w: Weights, name: str, x: Tensor, stride: int = 1) -> Tensor:
    """SAME: ceil(n / stride) outputs, the smaller half of the padding in front."""
    kernel = w[f"{name}.weight"]
    pads = []
    for n, k in ((x.shape[3], kernel.shape[3]), (x.shape[2], kernel.shape[2])):
        total = max((math.ceil(n / stride) - 1) * stride + k - n, 0)
        pads += [total // 2, total - total // 2]
    x = F.pad(x, pads)
    rows, columns = ((n - kernel.shape[2]) // stride + 1 for n in x.shape[2:])
    out = torch.zeros(len(x), kernel.shape[0], rows, columns, dtype=x.dtype)
    for a in range(kernel.shape[2]):
        for b in range(kernel.shape[3]):
            seen = x[:, :, a : a + stride * (rows - 1) + 1 : stride, b : b + stride * (columns - 1) + 1 : stride]
            out = out + torch.einsum("oi,bihw->bohw", kernel[:, :, a, b], seen)
    return out + w[f"{name}.bias"][:, None, None]


def residual(w: Weights, name: str, x: Tensor, time: Tensor) -> Tensor:
    h = conv(w, f"{name}.conv_in", swish(norm(w, f"{name}.norm_in", x)))
    h = h + dense(w, f"{name}.time", swish(time))[:, :, None, None]
    h = conv(w, f"{name}.conv_out", swish(norm(w, f"{name}.norm_out", h)))
    return h + (conv(w, f"{name}.shortcut", x) if f"{name}.shortcut.weight" in w else x)


def attention(w: Weights, name: str, x: Tensor) -> Tensor:
    channels, side = x.shape[1], x.shape[3]
    h = norm(w, f"{name}.norm", x)
    positions = torch.stack([h[:, :, i, j] for i in range(side) for j in range(side)], 1)
    qkv = dense(w, f"{name}.qkv", positions)
    q, k, v = qkv[..., :channels], qkv[..., channels : 2 * channels], qkv[..., 2 * channels :]
    mixed = torch.softmax(q @ k.transpose(1, 2) / channels**0.5, -1) @ v
    out = dense(w, f"{name}.proj", mixed)
    return x + torch.stack([out[:, p] for p in range(side * side)], 2).reshape(x.shape)


def block(w: Weights, name: str, x: Tensor, time: Tensor) -> Tensor:
    x = residual(w, f"{name}.residual", x, time)
    return attention(w, f"{name}.attention", x) if f"{name}.attention.qkv.weight" in w else x


def upsampled(w: Weights, name: str, x: Tensor) -> Tensor:
    return conv(w, name, x.repeat_interleave(2, 2).repeat_interleave(2, 3))


def forward(network: UNet, x: Tensor, t: Tensor, levels: int, blocks: int) -> Tensor:
    w = dict(network.named_parameters())
    time = sinusoids(t, w["conv_in.weight"].shape[0]).to(x.dtype)
    time = dense(w, "time.out", swish(dense(w, "time.hidden", time)))
    h = conv(w, "conv_in", x)
    stack, index = [h], 0
    for level in range(levels):
        if level:
            h = conv(w, f"encode.{index}.conv", h, stride=2)
            stack, index = [*stack, h], index + 1
        for _ in range(blocks):
            h = block(w, f"encode.{index}", h, time)
            stack, index = [*stack, h], index + 1
    h = residual(w, "middle.0.residual", h, time)
    h = attention(w, "middle.0.attention", h)
    h = residual(w, "middle.1.residual", h, time)
    index = 0
    for level in reversed(range(levels)):
        for _ in range(blocks + 1):
            h = block(w, f"decode.{index}", torch.cat([h, stack.pop()], 1), time)
            index += 1
        if level:
            h = upsampled(w, f"decode.{index}.conv", h)
            index += 1
    return conv(w, "conv_out", swish(norm(w, "norm_out", h)))
