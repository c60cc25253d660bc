"""The storage of a search: opened by the sweep, and by its trials when they can be pruned."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

from reprise.config.errors import ConfigError, RunError

STORAGE = "REPRISE_STUDY_STORAGE"  # the URL's way to a trial: it may hold a password, so no command line has it
_FILES = ("sqlite:///", "journal:")
_DRIVERS = {"postgresql": "postgresql+psycopg", "postgres": "postgresql+psycopg"}
_CONNECT_SECONDS = 10
_SQLITE_SECONDS = 60.0  # how long a writer waits for another one
_PASSWORD = re.compile(r"(://[^:/@\s]*:)([^/\s]+)(@)")
_PARAMETER = re.compile(r"(?i)([?&](?:password|passwd|sslpassword)=)([^&\s]+)")


class NoAnswerError(RunError):
    """The storage does not answer; it may later."""


def shown(url: str) -> str:
    """A storage URL as it may be printed: the password starred."""
    return _PARAMETER.sub(r"\1***", _PASSWORD.sub(r"\1***\3", url))


def storage_file(url: str) -> Path | None:
    """The file that holds a study, or None for a database server."""
    for prefix in _FILES:
        if url.startswith(prefix):
            return Path(url.removeprefix(prefix).partition("?")[0]).expanduser()
    return None


def parse_storage(url: str) -> str:
    """Return a storage URL in full: files absolute, the driver of PostgreSQL named.

    Raises:
        ConfigError: it is no URL of a storage.
    """
    if (file := storage_file(url)) is not None:
        prefix = next(p for p in _FILES if url.startswith(p))
        if not file.name:
            raise ConfigError(f"hydra.sweeper.storage={url} names no file. Expected e.g. {prefix}outputs/study.db.")
        return prefix + str(file.absolute())
    scheme, separator, rest = url.partition("://")
    if not separator:
        raise ConfigError(
            f"hydra.sweeper.storage={shown(url)} is no storage. Expected sqlite:///FILE, journal:FILE, or a database, "
            "e.g. postgresql://user@host/name."
        )
    return f"{_DRIVERS.get(scheme, scheme)}://{rest}"


def engine_settings(url: str) -> dict[str, Any]:
    """How SQLAlchemy is to connect: no endless waits, and no connection that died meanwhile."""
    if url.startswith("sqlite"):
        return {"connect_args": {"timeout": _SQLITE_SECONDS}}
    if url.startswith(("postgresql", "mysql")):
        return {"pool_pre_ping": True, "connect_args": {"connect_timeout": _CONNECT_SECONDS}}
    return {"pool_pre_ping": True}


def import_optuna() -> Any:
    """Import Optuna, its own chatter and its notes on experimental features silenced.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        import optuna
    except ImportError:
        raise ConfigError("a search needs optuna. Install it with: pip install 'reprise[search]'") from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    return optuna


def open_storage(url: str, create: bool = True) -> Any:
    """Open the storage of a study.

    Args:
        url: sqlite:///FILE, journal:FILE or any URL that SQLAlchemy knows.
        create: make files and tables that are missing.

    Raises:
        ConfigError: it is no URL of a storage, or its driver is missing.
        NoAnswerError: nothing answers there.
        RunError: it is of another version of Optuna, or a file that is not there.
    """
    optuna = import_optuna()
    from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

    url = parse_storage(url)
    file = storage_file(url)
    try:
        if file is not None and create:
            file.parent.mkdir(parents=True, exist_ok=True)
        elif file is not None and not file.is_file():
            raise RunError(f"the study's storage is not there: {file}.")
        if url.startswith("journal:"):
            return optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(file)))
        return optuna.storages.RDBStorage(url, engine_kwargs=engine_settings(url), skip_table_creation=not create)
    except (ArgumentError, NoSuchModuleError) as error:
        raise ConfigError(f"hydra.sweeper.storage={shown(url)} cannot be used: {shown(str(error))}.") from None
    except ImportError as error:
        raise ConfigError(
            f"hydra.sweeper.storage={shown(url)} needs a driver that is not installed ({error.__cause__ or error}). "
            "For PostgreSQL: pip install 'psycopg[binary]'."
        ) from None
    except (SQLAlchemyError, OSError) as error:
        raise NoAnswerError(f"the study's storage {shown(url)} does not answer: {first_line(error)}.") from None
    except RuntimeError as error:  # Optuna's word for tables of another version
        raise RunError(f"the study's storage {shown(url)} cannot be used: {first_line(error)}") from None


def first_line(error: BaseException) -> str:
    """What an error of a database says, in one line and without secrets."""
    lines = str(getattr(error, "orig", None) or error).strip().splitlines()
    return shown(lines[0].rstrip(".")) if lines else type(error).__name__
