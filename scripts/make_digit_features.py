"""Train the digit classifier whose features `reprise.metrics.images.digits` ships, and write its weights.

    python scripts/make_digit_features.py [--root FOLDER_WITH_MNIST] [--out FILE]

The same machine and packages give the same bytes. Trains on MNIST's 60,000 training images, one thread, a few minutes;
prints the accuracy on the 10,000 test images, what was read, and how FID with these features tells images apart. The
printed SHA-256 of the weights belongs into `digits.py`; raise `DigitFeatures.version` with it.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchmetrics.image.fid import FrechetInceptionDistance

from reprise.data.images.mnist import MNIST
from reprise.metrics.images.digits import WEIGHTS, DigitNetwork
from reprise.metrics.images.features import to_bytes
from reprise.metrics.images.metric import Given
from reprise.nn.images import ImageShape

BATCH, EPOCHS, RATE, DECAY = 128, 6, 2e-3, 1e-4
BAR = 0.985  # accuracy below which the weights are not written


def main(words: list[str]) -> int:
    """Train, measure, write. Exit code 1 when the accuracy is too low."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--root", help="folder of MNIST's idx files; downloaded to --cache without it")
    parser.add_argument("--cache", default="~/.cache/reprise", help="folder for the download")
    parser.add_argument("--out", type=Path, default=WEIGHTS, help="file to write")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(words)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(options.seed)  # torch's initial weights
    data = MNIST(ImageShape(1, 28, 256, 10), BATCH, options.seed, options.cache, options.root)
    data.setup("fit")
    print("data", data.data_digests()["images_sha256"])
    network = train(DigitNetwork(), data)
    images, labels = held_out(data)
    features, logits = run(network, images)
    accuracy = float((logits.argmax(1) == labels).double().mean())
    print(f"parameters {sum(p.numel() for p in network.parameters())}, accuracy on test images {accuracy:.4f}")
    if accuracy < BAR:
        print(f"below {BAR}: not written", file=sys.stderr)
        return 1
    print(f"spread of the features {features.std(0).min():.3f} to {features.std(0).max():.3f}")
    for name, value in separations(network, data, images, labels):
        print(f"FID {value:10.4f}  {name}")
    write(network, options.out)
    print(f"{options.out}: SHA-256 {hashlib.sha256(options.out.read_bytes()).hexdigest()}")
    return 0


def train(network: DigitNetwork, data: MNIST) -> DigitNetwork:
    """Adam with a one-cycle rate, on the stream of training images."""
    examples = data.train_set()
    steps = EPOCHS * len(examples) // BATCH
    optimizer = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps)
    for step in range(steps):
        items = [examples[position] for position in range(step * BATCH, (step + 1) * BATCH)]
        image, label = torch.stack([i["image"] for i in items]), torch.tensor([i["label"] for i in items])
        loss = F.cross_entropy(network(to_bytes(image, 256))[1], label)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if (step + 1) % 500 == 0:
            print(f"step {step + 1} of {steps}, loss {loss.item():.4f}", flush=True)
    return network.eval()


def held_out(data: MNIST) -> tuple[Tensor, Tensor]:
    """All test images, uint8 (N, 1, 28, 28), with labels (N,)."""
    examples = data.eval_set("test")
    items = [examples[i] for i in range(len(examples))]
    return torch.stack([i["image"] for i in items]), torch.tensor([i["label"] for i in items])


@torch.no_grad()
def run(network: nn.Module, images: Tensor) -> tuple[Tensor, Tensor]:
    """Features and logits of uint8 images (N, 1, 28, 28)."""
    found = [network(to_bytes(part, 256)) for part in images.split(500)]
    return torch.cat([f for f, _ in found]), torch.cat([y for _, y in found])


def separations(network: DigitNetwork, data: MNIST, images: Tensor, labels: Tensor) -> list[tuple[str, float]]:
    """FID of images against all training images: of test images, and of what was done to them."""
    examples = data.train_set()
    reference = run(network, torch.stack([examples[i]["image"] for i in range(len(examples))]))[0]
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(images.shape, generator=generator)

    def noised(sigma: float) -> Tensor:
        return (images + sigma * 255 * noise).round().clamp(0, 255).to(torch.uint8)

    order = torch.randperm(len(images), generator=generator)
    changed = {
        "10,000 test images": images,
        "2,000 of them": images[order[:2000]],
        "the same, noise of 0.05 added": noised(0.05),
        "noise of 0.1": noised(0.1),
        "noise of 0.3": noised(0.3),
        "shifted by 2 pixels": images.roll(2, 3),
        "turned upside down": images.flip(2),
        "without the digit 7": images[labels != 7],
        "the digit 7 alone": images[labels == 7],
        "noise alone": (255 * torch.rand(images.shape, generator=generator)).to(torch.uint8),
    }
    return [(name, distance(reference, run(network, values)[0])) for name, values in changed.items()]


def distance(reference: Tensor, features: Tensor) -> float:
    """FID of features (N, 64) and (M, 64)."""
    metric = FrechetInceptionDistance(Given(reference.shape[1]))
    metric.update(reference.double(), real=True)
    metric.update(features.double(), real=False)
    return float(metric.compute())


def write(network: nn.Module, path: Path) -> None:
    """Write the weights in one step."""
    scratch = path.with_suffix(f".{os.getpid()}")
    with scratch.open("wb") as file:  # not by name, which torch would write into the file
        torch.save(network.state_dict(), file)
    os.replace(scratch, path)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
