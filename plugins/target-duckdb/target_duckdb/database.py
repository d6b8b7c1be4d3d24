"""The one DuckDB file: opening it, waiting for it, writing to it in transactions."""

from __future__ import annotations

import re
import shutil
import tempfile
import time
import weakref
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import duckdb

from target_duckdb.errors import LoadError
from target_duckdb.holder import holder
from target_duckdb.spool import VECTOR_BYTES
from target_duckdb.sql import escape_glob, literal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from target_duckdb.background import Background

_MEMORY = 128 << 20
_BLOCKS_PER_COLUMN = 5  # a table holds some of each column while rows are added
_ORDINARY = 50  # columns that find their room in _MEMORY, also with blocks of 256 KiB
# A file's blocks are of one size for good. DuckDB's own default of 256 KiB would cost over a gigabyte at 1,000 columns.
_BLOCK_BYTES = 32 << 10
_MEMORY_PER_BYTE = 16  # DuckDB reads lines in buffers of twice their length, several at a time
_RETRY_SECONDS = 0.2
_TRIES = 3  # a file that nobody holds may have been let go right after a try
# These speak of the machine; the messages of the other classes may quote values of records, some without marks.
_SPEAKS_OF_THE_MACHINE = (duckdb.IOException, duckdb.OutOfMemoryException)
_SPEAKS_OF_VALUES = (duckdb.ConversionException, duckdb.OutOfRangeException, duckdb.InvalidInputException)
_QUOTED = re.compile(r"[\"'].*[\"']", re.DOTALL)


class Database:
    """A DuckDB file open for writing, with a private folder beside it for batches on their way in.

    Args:
        path: The file; it and its folder are created when missing.
        lock_timeout: Seconds to wait for another process to let go of the file.
        background: Jobs that use the file beside the caller, who waits for them before using it.

    Raises:
        LoadError: The file cannot be opened, and why.
    """

    _folders_in_use: ClassVar[set[Path]] = set()

    def __init__(self, path: Path, lock_timeout: float, background: Background) -> None:
        self.path = path
        self._background = background
        self._stopped = False
        self._connection = _open(path, lock_timeout)
        self._connection.execute("SET TimeZone = 'UTC'")
        # A second thread takes half of the time at twice the work and memory, and the tap needs a core as well.
        self._connection.execute("SET threads = 1")
        # Standard output is for states; DuckDB would draw there what takes it more than two seconds.
        self._connection.execute("SET enable_progress_bar = false")
        self.catalog = str(self.fetch("SELECT current_database()")[0][0])
        self.overwritten: set[tuple[str, str]] = set()  # schema and table, for load_method overwrite
        self.folder = self._make_folder(path.absolute())
        # What does not fit into the memory waits with the batches, not in a folder that a killed run leaves behind.
        self._connection.execute(f"SET temp_directory = {literal(str(self.folder))}")
        self._memory = 0
        self.block_bytes = int(
            self.fetch("SELECT block_size FROM pragma_database_size() WHERE database_name = ?", [self.catalog])[0][0]
        )
        self.make_room(0, 0, 0)
        self._finalizer = weakref.finalize(self, _leave, background, self.folder, self._folders_in_use)

    def _make_folder(self, path: Path) -> Path:
        # Whoever has the file has it alone, so folders of other runs are what a killed one left behind.
        prefix = f"{path.name}.loading-"
        for left_over in path.parent.glob(f"{escape_glob(prefix)}*"):
            if left_over not in self._folders_in_use:
                shutil.rmtree(left_over, ignore_errors=True)
        try:
            folder = Path(tempfile.mkdtemp(prefix=prefix, dir=path.parent))
        except OSError as error:
            raise _unusable(path.parent, error) from error
        self._folders_in_use.add(folder)
        return folder

    def make_room(self, line: int, columns: int, heaviest: int) -> None:
        """Limit DuckDB's memory to what merging a batch needs; without a limit it would keep all blocks it once read.

        Args:
            line: Bytes of the longest line of the batch.
            columns: How many the table has.
            heaviest: Bytes of those long values of the table that DuckDB has in hand at once when it writes its file.
        """
        blocks = _BLOCKS_PER_COLUMN * max(0, columns - _ORDINARY) * self.block_bytes
        if (needed := _MEMORY + _MEMORY_PER_BYTE * line + blocks + max(0, heaviest - VECTOR_BYTES)) > self._memory:
            self._memory = needed
            self._connection.execute(f"SET memory_limit = '{needed >> 20}MiB'")

    def take_turn(self) -> None:
        """Wait for the jobs in the background, unless the caller is one; to be called before using what they change.

        Raises:
            LoadError: A job failed, and why.
        """
        if not self._background.is_here:
            self._background.wait()
        if self._stopped:
            raise LoadError("The load was stopped.")

    def stop(self) -> None:
        """Let a job in the background end at once, with nothing of its transaction in the file; callable any time."""
        self._stopped = True
        with suppress(duckdb.ConnectionException):  # the file is closed already
            self._connection.interrupt()

    def fetch(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run one statement and return its rows."""
        self.take_turn()
        return self._connection.execute(sql, parameters).fetchall()

    @contextmanager
    def transaction(self, doing: str) -> Iterator[None]:
        """Commit what happens inside as a whole, or nothing of it.

        Args:
            doing: What is being done, for the message when DuckDB cannot do it.
        """
        self.take_turn()
        self._connection.begin()
        try:
            yield
            self._connection.commit()
        except duckdb.Error as error:
            self._roll_back()
            told = error if isinstance(error, _SPEAKS_OF_THE_MACHINE) else None
            raise LoadError(f"DuckDB could not {doing}: {_reason(error)}.") from told
        except BaseException:
            self._roll_back()
            raise

    def _roll_back(self) -> None:
        try:
            self._connection.rollback()
        except duckdb.Error:
            return  # the failure already ended the transaction

    def close(self) -> None:
        """Let go of the file, after the jobs in the background, and remove the private folder."""
        self._background.close()
        self._connection.close()
        self._finalizer()


def _open(path: Path, lock_timeout: float) -> duckdb.DuckDBPyConnection:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unusable(path.parent, error) from error
    deadline = time.monotonic() + lock_timeout
    unexplained = 0
    while True:
        try:
            return duckdb.connect(str(path), config={"default_block_size": str(_BLOCK_BYTES)})
        except duckdb.Error as error:  # noqa: PERF203 - the loop waits, it does not hurry
            who = _holder(path, error)
            unexplained += who is None
            if unexplained >= _TRIES:
                raise LoadError(f"Cannot open {path}: {_reason(error)}; check the setting filepath.") from error
            if who is not None and time.monotonic() >= deadline:
                raise LoadError(
                    f"{path} is in use by {who}, and DuckDB lets only one process in: close it there, "
                    f"or raise lock_timeout (now {lock_timeout:g} seconds) to wait longer."
                ) from error
            time.sleep(_RETRY_SECONDS)


def _holder(path: Path, cause: duckdb.Error) -> str | None:
    try:
        return holder(path)
    except OSError as error:
        raise LoadError(f"Cannot open {path}: {error.strerror}; check the setting filepath.") from cause


def _unusable(folder: Path, error: OSError) -> LoadError:
    return LoadError(f"Cannot write in the folder {folder} ({error.strerror}): check the setting filepath.")


def _reason(error: duckdb.Error) -> str:
    if isinstance(error, _SPEAKS_OF_VALUES):
        return type(error).__name__
    words = str(error) if isinstance(error, _SPEAKS_OF_THE_MACHINE) else _QUOTED.sub("…", str(error))
    return words.splitlines()[0].rstrip(".")


def _leave(background: Background, folder: Path, in_use: set[Path]) -> None:
    background.join()  # a job must not meet the end of Python, and needs the folder
    shutil.rmtree(folder, ignore_errors=True)
    in_use.discard(folder)
