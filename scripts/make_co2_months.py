"""Rebuild the data set co2 of MushroomHunting/black-box-quantile-kernels from NOAA's monthly record of Mauna Loa.

    python scripts/make_co2_months.py co2_mm_mlo.csv FOLDER
    python train.py experiment=implicit_kernel_attention/transformer_co2 data.root=FOLDER

co2_mm_mlo.csv is NOAA's file (gml.noaa.gov/ccgg/trends). Its 527 months from May 1973 on, decimal date and average, are
scaled to [-1, 1] each; FOLDER/co2/train.csv gets the first 200, test.csv the others. NOAA revises its record by some
hundredths of ppm: such a file is near that of the repository, and not its bytes.
"""

from __future__ import annotations

import csv
import hashlib
import sys
from pathlib import Path

import numpy as np

FIRST, MONTHS, TRAIN = (1973, 5), 527, 200


def main(words: list[str]) -> int:
    """Read, cut, scale, write; says the digest of each file. Exit code 2 when the words are wrong."""
    if len(words) != 2:
        print(__doc__)
        return 2
    source, folder = Path(words[0]), Path(words[1]) / "co2"
    rows = scaled(months(source))
    folder.mkdir(parents=True, exist_ok=True)
    for name, part in (("train.csv", rows[:TRAIN]), ("test.csv", rows[TRAIN:])):
        np.savetxt(folder / name, part, delimiter=",", fmt="%.18e")
        print(f"{folder / name}: {len(part)} months, sha256 {hashlib.sha256((folder / name).read_bytes()).hexdigest()}")
    return 0


def months(path: Path) -> np.ndarray:
    """Decimal date and average in ppm of the months from FIRST on: (MONTHS, 2).

    Raises:
        SystemExit: the file lacks a column, a month or a value.
    """
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    table = csv.DictReader(lines)
    wanted = ("year", "month", "decimal date", "average")
    missing = [name for name in wanted if name not in (table.fieldnames or ())]
    if missing:
        raise SystemExit(f"{path} lacks the columns {missing}. Expected NOAA's co2_mm_mlo.csv.")
    found = {(int(row["year"]), int(row["month"])): (row["decimal date"], row["average"]) for row in table}
    kept = []
    for i in range(MONTHS):
        year, month = divmod(FIRST[0] * 12 + FIRST[1] - 1 + i, 12)
        date, average = map(float, found.get((year, month + 1), ("nan", "nan")))
        if not average > 0:  # NOAA writes -99.99 for what is missing
            raise SystemExit(f"{path} has no average of {year}-{month + 1:02}. Expected every month from 1973-05 on.")
        kept.append((date, average))
    return np.array(kept)


def scaled(rows: np.ndarray) -> np.ndarray:
    """Each column from its least to its greatest value on [-1, 1]."""
    low, high = rows.min(0), rows.max(0)
    return (rows - low) / (high - low) * 2 - 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
