"""Where the config files are: beside the package in a wheel, at the top of a checkout otherwise."""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]


def checkout() -> Path | None:
    """Return the top of the source checkout this package is imported from, or None for an installed wheel."""
    top = PACKAGE.parents[1]
    return top if PACKAGE.parent.name == "src" and (top / "conf" / "train.yaml").is_file() else None


def conf_dir() -> Path:
    """Return the folder that holds train.yaml and the config groups."""
    top = checkout()
    return top / "conf" if top else PACKAGE / "conf"


def show_path(path: Path) -> str:
    """Shorten a path for a message: relative to the checkout when it is inside it."""
    top = checkout()
    try:
        return str(path.resolve().relative_to(top)) if top else str(path)
    except ValueError:
        return str(path)
