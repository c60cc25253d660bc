"""Series that the package statsmodels ships."""

from __future__ import annotations

from typing import Any

import numpy as np

from reprise.config.errors import ConfigError

CO2_START = "1967-04"  # the first of the 501 months of Wilson and Adams (2013), see series.known


def _datasets() -> Any:
    try:
        from statsmodels import datasets
    except ImportError as error:
        raise ConfigError(
            "statsmodels, which ships this series, is missing. Install it with pip install 'reprise[kernels]'."
        ) from error
    return datasets


def monthly_co2(start: str | None = None) -> np.ndarray:
    """CO2 in the air of Mauna Loa, monthly means of weekly values from March 1958 to December 2001, in ppm.

    Five months without a value are interpolated between their neighbours.

    Args:
        start: first month, as 1967-04; None: March 1958.

    Returns:
        (526,) values from the beginning.

    Raises:
        ConfigError: statsmodels is missing.
    """
    weekly = _datasets().co2.load_pandas().data["co2"]
    monthly = weekly.resample("MS").mean().interpolate()
    kept: np.ndarray = (monthly if start is None else monthly[start:]).to_numpy(np.float64)
    return kept


def yearly_sunspots() -> tuple[np.ndarray, np.ndarray]:
    """Sunspot numbers of the years 1700 to 2008.

    Returns:
        Years and numbers, (309,) each.

    Raises:
        ConfigError: statsmodels is missing.
    """
    table = _datasets().sunspots.load_pandas().data
    return table["YEAR"].to_numpy(np.float64), table["SUNACTIVITY"].to_numpy(np.float64)
