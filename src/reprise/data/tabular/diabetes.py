"""The diabetes data that come with scikit-learn: the embedded default of regressions with several inputs."""

from __future__ import annotations

from reprise.data.tabular.base import By, RegressionData, Table, Which
from reprise.data.tabular.scaling import Kind


class Diabetes(RegressionData):
    """Progression of diabetes in 442 patients from ten measurements (Efron et al. 2004), in scikit-learn's order.

    Nothing is downloaded.

    Args:
        inputs: 10.
        seed, batch_size, split, fold, test_share, val_share, split_seed, scale_x, scale_y, scale_by, train_stride: see
            RegressionData.
        limit_val, limit_test: not used: a table is always measured whole. Budgets of all models name them.

    Raises:
        ConfigError: a value is out of range.
    """

    def __init__(
        self,
        inputs: int,
        seed: int,
        batch_size: int = 1,
        split: Which = "random",
        fold: int | None = 0,
        test_share: float = 0.1,
        val_share: float = 0.0,
        split_seed: int | None = 0,
        scale_x: Kind = "none",
        scale_y: Kind = "none",
        scale_by: By = "train",
        train_stride: int = 1,
        limit_val: int | None = None,
        limit_test: int | None = None,
    ) -> None:
        super().__init__(
            inputs, seed, batch_size, split, fold, test_share, val_share, split_seed, scale_x, scale_y, scale_by,
            train_stride,
        )  # fmt: skip

    def read(self) -> Table:
        """Read the table from the installed package, unscaled."""
        from sklearn.datasets import load_diabetes

        content = load_diabetes(scaled=False)
        x, y = content.data.astype(float), content.target.astype(float)
        return Table("diabetes", x, y, {"from": "scikit-learn"}, x_label="age / years", y_label="progression")
