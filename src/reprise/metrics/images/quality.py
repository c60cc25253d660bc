"""The protocol by which generated images are measured: features, number of samples, reference, splits."""

from __future__ import annotations

from typing import Literal, get_args

from reprise.config.errors import ConfigError
from reprise.metrics.images.features import FeatureNetwork
from reprise.metrics.images.metric import ImageQuality

Split = Literal["train", "test"]
_PUBLISHED = ("inception", 50_000, 10)  # features, samples and splits of published figures, which have short names


class Quality:
    """FID (Heusel et al. 2017) and Inception Score (Salimans et al. 2016) of so many generated images.

    What is measured is in the metrics' names, so that no two protocols share one: with Inception and 50,000 samples
    `fid_50k`, `fid_50k_test_images`, `inception_score` and `inception_score_std`; otherwise e.g. `fid_inception_5k`,
    `fid_digits_2k_test_images`, `score_digits_2k`, `score_digits_2k_std`.

    Args:
        features: the feature network.
        samples: images to generate, n. FID falls with n, so values of different n do not compare.
        reference: images that FID compares with, all of the training or all of the test split, or both of them in turn.
        splits: parts over which the score's mean and deviation are taken.

    Raises:
        ConfigError: a number is out of range, or a reference is unknown or named twice.
    """

    version = 1  # of FID's and the score's definition; that of the features is added to it

    def __init__(
        self,
        features: FeatureNetwork,
        samples: int = 50_000,
        reference: Split | list[Split] = "train",
        splits: int = 10,
    ) -> None:
        references = (reference,) if isinstance(reference, str) else tuple(reference)
        if not references or len(set(references)) < len(references) or not set(references) <= set(get_args(Split)):
            raise ConfigError(f"model.quality.reference is {reference!r}. Expected 'train', 'test' or a list of both.")
        if samples < 2:
            raise ConfigError(f"model.quality.samples is {samples}. Expected 2 or more: FID needs a covariance.")
        if not 1 <= splits <= samples:
            raise ConfigError(f"model.quality.splits is {splits}. Expected 1 to {samples}, the number of samples.")
        self.features = features
        self.samples = samples
        self.references: tuple[Split, ...] = references
        self.splits = splits

    def check(self) -> None:
        """Refuse early what could not be measured, fetching what can be fetched.

        Raises:
            ConfigError: a package is missing.
            DataError: weights are missing, cannot be fetched, or are other ones.
        """
        self.features.check()

    def available(self) -> bool:
        """Whether all that is needed is there already. Fetches nothing."""
        return self.features.available()

    def metric(self) -> ImageQuality:
        """A new metric of this protocol."""
        return ImageQuality(self)

    def fid_name(self, split: Split) -> str:
        """Name of FID against the images of a split, e.g. `fid_50k_test_images`."""
        features = "" if self.features.name == _PUBLISHED[0] and self.samples == _PUBLISHED[1] else self.features.name
        words = ["fid", features, _short(self.samples), "test_images" if split == "test" else ""]
        return "_".join(word for word in words if word)

    @property
    def score_name(self) -> str | None:
        """Name of the score, None where the features have no classes."""
        if self.features.classes is None:
            return None
        if (self.features.name, self.samples, self.splits) == _PUBLISHED:
            return "inception_score"
        splits = "" if self.splits == _PUBLISHED[2] else f"_{self.splits}splits"
        return f"score_{self.features.name}_{_short(self.samples)}{splits}"

    @property
    def names(self) -> list[str]:
        """Names of all values that the metric computes, in their order."""
        score = [] if self.score_name is None else [self.score_name, f"{self.score_name}_std"]
        return [self.fid_name(split) for split in self.references] + score

    def versions(self) -> dict[str, int]:
        """Version of each value. Both parts of the sum only ever grow, so that no two states of the code share one."""
        return dict.fromkeys(self.names, self.version + self.features.version - 1)


def _short(count: int) -> str:
    return f"{count // 1000}k" if count % 1000 == 0 else str(count)
