"""The diabetes data that come with scikit-learn: the embedded default of regressions with several inputs."""

from __future__ import annotations

from reprise.data.tabular.base import RegressionData, Table


class Diabetes(RegressionData):
    """Progression of diabetes in 442 patients from ten measurements (Efron et al. 2004), in scikit-learn's order.

    Nothing is downloaded. The arguments are those of RegressionData.
    """

    def read(self) -> Table:
        """Read the table from the installed package, unscaled."""
        from sklearn.datasets import load_diabetes

        content = load_diabetes(scaled=False)
        x, y = content.data.astype(float), content.target.astype(float)
        return Table("diabetes", x, y, {"from": "scikit-learn"}, x_label="age / years", y_label="progression")
