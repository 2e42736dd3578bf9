"""What actors and doors use: policy, then locks, then the operation in a thread.

Nothing is done in the event loop, since a disk may take its time.  A thread is never abandoned:
cancelled or not, the caller's task waits until the operation is over, and holds its locks until
then.  A write that has begun is therefore finished, also for a caller who is told of nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, TypeVar

import trio

from ._access import Access, Operation, authorise
from ._limits import Limits
from ._locks import FileLocks, Hold
from ._quota import Quota
from ._reasons import Reason, refusal
from ._records import Content, Entry, Found, Stat, Written
from ._root import Projects
from ._scoped import ScopedFiles
from ._workspace import Workspace
from ._writing import Expected

T = TypeVar("T")

THREADS: Final = 16
"""That work on files at once, for all projects."""
PENDING: Final = 64
"""Operations of one project that run or wait at once."""


class Files:
    """The files of all projects; every method raises as the one of :class:`ScopedFiles`.

    Those that write may also raise LockTimeout.
    """

    def __init__(
        self, projects: Projects, locks: FileLocks | None = None, limits: Limits | None = None
    ) -> None:
        self.locks = locks or FileLocks()
        self._projects = projects
        self._limits = limits or Limits()
        self._quotas: dict[str, Quota] = {}
        self._pending: Counter[str] = Counter()
        self._threads = trio.CapacityLimiter(THREADS)

    async def read(
        self, access: Access, path: str, *, offset: int = 0, length: int | None = None
    ) -> Content:
        """Read a file, or *length* bytes of it from byte *offset* on."""
        return await self._run(access, lambda it: it.read(path, offset=offset, length=length))

    async def list(self, access: Access, path: str) -> tuple[Entry, ...]:
        """Return what is in a folder."""
        return await self._run(access, lambda it: it.list(path))

    async def stat(self, access: Access, path: str) -> Stat:
        """Return what is known of a file or folder."""
        return await self._run(access, lambda it: it.stat(path))

    async def exists(self, access: Access, path: str) -> bool:
        """Whether there is a file or folder."""
        return await self._run(access, lambda it: it.exists(path))

    async def search(
        self, access: Access, path: str, text: str, *, glob: str = "*", ignore_case: bool = False
    ) -> Found:
        """Return the lines that hold *text* in the files below a folder."""
        return await self._run(
            access, lambda it: it.search(path, text, glob=glob, ignore_case=ignore_case)
        )

    async def write(
        self,
        access: Access,
        path: str,
        data: bytes,
        *,
        expected: Expected = None,
        overwrite: bool = True,
    ) -> Written:
        """Make a file hold *data*; *expected* is the SHA-256 that it must have, or "absent"."""
        return await self._run(
            access,
            lambda it: it.write(path, data, expected=expected, overwrite=overwrite),
            self._file(access, Operation.WRITE, path),
        )

    async def append(self, access: Access, path: str, data: bytes) -> Written:
        """Add *data* at the end of a file, which is made if need be."""
        lock = self._file(access, Operation.APPEND, path)
        return await self._run(access, lambda it: it.append(path, data), lock)

    async def edit(  # noqa: PLR0913 - as of the door
        self,
        access: Access,
        path: str,
        old: bytes,
        new: bytes,
        *,
        expected: Expected = None,
        everywhere: bool = False,
    ) -> Written:
        """Replace *old*, which occurs exactly once unless *everywhere* is meant, by *new*."""
        return await self._run(
            access,
            lambda it: it.edit(path, old, new, expected=expected, everywhere=everywhere),
            self._file(access, Operation.EDIT, path),
        )

    async def mkdir(self, access: Access, path: str, *, parents: bool = False) -> None:
        """Make a folder, with *parents* also those above it."""
        authorise(access, Operation.MKDIR, path)
        await self._run(access, lambda it: it.mkdir(path, parents=parents), self._all(access))

    async def move(
        self, access: Access, source: str, target: str, *, overwrite: bool = False
    ) -> None:
        """Rename a file or folder; only a file overwrites, and only a file."""
        authorise(access, Operation.MOVE_FROM, source)
        authorise(access, Operation.MOVE_TO, target)
        await self._run(
            access, lambda it: it.move(source, target, overwrite=overwrite), self._all(access)
        )

    async def delete(self, access: Access, path: str, *, recursive: bool = False) -> None:
        """Delete anything, a link instead of its target; a folder that is not empty if asked."""
        authorise(access, Operation.DELETE, path)
        lock = self._all(access) if recursive else self._file(access, Operation.DELETE, path)
        await self._run(access, lambda it: it.delete(path, recursive=recursive), lock)

    def forget(self, project: str) -> None:
        """Drop what is known of a project that is gone."""
        self._quotas.pop(project, None)

    def _file(self, access: Access, operation: Operation, path: str) -> Hold:
        names = authorise(access, operation, path)
        return self.locks.hold(access.project, (names,), access.holder)

    def _all(self, access: Access) -> Hold:
        return self.locks.hold_project(access.project, access.holder)

    async def _run(
        self, access: Access, use: Callable[[ScopedFiles], T], hold: Hold | None = None
    ) -> T:
        with self._counted(access.project):
            if hold is None:
                return await self._in_thread(access, use)
            async with hold:
                return await self._in_thread(access, use)

    async def _in_thread(self, access: Access, use: Callable[[ScopedFiles], T]) -> T:
        quota = self._quotas.setdefault(access.project, Quota(self._limits))

        def work() -> T:
            with self._projects.open(access.project) as root:
                return use(ScopedFiles(Workspace(root, quota, self._limits), access))

        return await trio.to_thread.run_sync(work, abandon_on_cancel=False, limiter=self._threads)

    @contextmanager
    def _counted(self, project: str) -> Iterator[None]:
        if self._pending[project] >= PENDING:
            raise refusal(
                Reason.TOO_MANY_OPERATIONS,
                f"{PENDING} file operations of {project} are waiting: let some of them end",
                limit=PENDING,
            )
        self._pending[project] += 1
        try:
            yield
        finally:
            self._pending[project] -= 1
            if not self._pending[project]:
                del self._pending[project]
