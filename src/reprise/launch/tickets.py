"""One process at a time may hand out the trials of a study, on whatever machine it is."""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections.abc import Iterator
from typing import Any

from filelock import FileLock, Timeout

from reprise.config.errors import ConfigError, RunError
from reprise.tracking.study import NoAnswerError, engine_settings, first_line, parse_storage, shown, storage_file

_PATIENCE_SECONDS = 120.0
_POLL_SECONDS = 0.05


class Tickets:
    """A lock on a study: a file beside it, or a lock of its database, which ends with the connection.

    Args:
        url: of the storage.
        study: its name.

    Raises:
        ConfigError: the storage has no locks that we know.
    """

    def __init__(self, url: str, study: str) -> None:
        self.url, self.study = parse_storage(url), study
        self._number = int.from_bytes(hashlib.sha256(f"reprise/{study}".encode()).digest()[:8], "big", signed=True)
        self._file = storage_file(self.url)
        self._engine: Any = None
        self._take: str = ""
        if self._file is not None:
            return
        if self.url.startswith("postgresql"):
            self._take = f"SELECT pg_try_advisory_lock({self._number})"
        elif self.url.startswith(("mysql", "mariadb")):
            self._take = f"SELECT GET_LOCK('reprise-{self._number:x}', 0)"
        else:
            raise ConfigError(
                f"hydra.sweeper.storage={shown(url)}: processes cannot share a study there. Expected sqlite:///FILE, "
                "journal:FILE, postgresql://... or mysql://..."
            )

    @contextlib.contextmanager
    def hold(self) -> Iterator[None]:
        """Hold the lock; a holder that dies loses it.

        Raises:
            NoAnswerError: the database does not answer.
            RunError: another process holds it for minutes.
        """
        if self._file is None:
            with self._hold_database():
                yield
            return
        path = self._file.with_name(f"{self._file.name}.tickets")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(
                f"the study cannot be kept at {path.parent}: {error.strerror or error}. Set hydra.sweeper.storage or "
                "paths.outputs."
            ) from None
        lock = FileLock(path)
        try:
            lock.acquire(timeout=_PATIENCE_SECONDS, poll_interval=_POLL_SECONDS)
        except Timeout:
            raise RunError(f"{path} is held by another process since {_PATIENCE_SECONDS:.0f} s.") from None
        try:
            yield
        finally:
            lock.release()

    @contextlib.contextmanager
    def _hold_database(self) -> Iterator[None]:
        from sqlalchemy import create_engine, text
        from sqlalchemy.exc import SQLAlchemyError
        from sqlalchemy.pool import NullPool

        try:
            if self._engine is None:
                settings = engine_settings(self.url)
                self._engine = create_engine(self.url, poolclass=NullPool, connect_args=settings["connect_args"])
            connection = self._engine.connect()
        except ImportError as error:
            raise ConfigError(f"hydra.sweeper.storage={shown(self.url)} needs a driver: {error}.") from None
        except SQLAlchemyError as error:
            raise NoAnswerError(
                f"the study's storage {shown(self.url)} does not answer: {first_line(error)}."
            ) from None
        with contextlib.closing(connection):  # closing it frees the lock
            deadline = time.monotonic() + _PATIENCE_SECONDS
            while not connection.execute(text(self._take)).scalar():
                if time.monotonic() > deadline:
                    raise RunError(f"another process holds the study of {shown(self.url)} for minutes.")
                time.sleep(_POLL_SECONDS)
            yield
