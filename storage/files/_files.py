"""What actors and doors use: policy, then locks, then the operation in a thread.

Nothing is done in the event loop, since a disk may take its time.  A thread is never abandoned:
cancelled or not, the caller's task waits until the operation is over, and holds its locks until
then.  A write that has begun is therefore finished, also for a caller who is told of nothing.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, TypeVar

import trio

from .._errors import MissionError
from ._access import Access, authorise
from ._changes import FileChange, Wanted, of_one_file, uses
from ._foresight import Foreseen
from ._ledger import Ledger
from ._limits import Limits
from ._locks import FileLocks, Hold
from ._quota import Quota
from ._reasons import Reason, refusal
from ._records import Content, Entry, Found, Stat
from ._root import Projects
from ._scoped import ScopedFiles
from ._workspace import Workspace

T = TypeVar("T")

THREADS: Final = 16
"""That work on files at once, for all projects."""
THREADS_EACH: Final = 4
"""Of them for one project: a walk through a tree holds one, and descriptors, for long."""
PENDING: Final = 64
"""Operations of one project that run or wait at once."""


class Files:
    """The files of all projects; every method raises as those of :class:`ScopedFiles`."""

    def __init__(
        self, projects: Projects, locks: FileLocks | None = None, limits: Limits | None = None
    ) -> None:
        self.locks = locks or FileLocks()
        self._projects = projects
        self._limits = limits or Limits()
        self._quotas: dict[str, Quota] = {}
        self._pending: Counter[str] = Counter()
        self._threads = trio.CapacityLimiter(THREADS)
        self._threads_of = defaultdict[str, trio.CapacityLimiter](
            lambda: trio.CapacityLimiter(THREADS_EACH)
        )

    @property
    def opener(self) -> str | None:
        """The name of the way in which files are opened; None where no way is safe."""
        return self._projects.opener

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

    async def change(
        self,
        access: Access,
        wanted: Wanted,
        *,
        ledger: Ledger | None = None,
        patience_s: float | None = None,
    ) -> FileChange:
        """Do what is *wanted*, alone on the file or, where folders change, in the project.

        With a *ledger*, the change is noted before it is made; one that was made before is not
        made again.

        Raises:
            LockTimeout: others held the file for *patience_s*, 30 s by default.
            Conflict: it was noted before, and nobody can tell whether it was made.
            MissionError: it is refused, by the ledger too, or failed.
        """
        hold = self._hold(access, wanted, patience_s)
        with self._counted(access.project):
            async with hold:
                return await self._change(access, wanted, ledger)

    async def _change(self, access: Access, wanted: Wanted, ledger: Ledger | None) -> FileChange:
        known = None if ledger is None else ledger.recall()
        if known is not None and (
            known.made or not await self._is_still_to_do(access, wanted, known)
        ):
            return known
        foreseen = await self._in_thread(access, lambda it: it.foresee(wanted))
        if ledger is not None:
            await ledger.note(foreseen.change)
        # What is noted is done, also for a caller that goes away just now.
        with trio.CancelScope(shield=True):
            await self._act(access, foreseen, ledger)
        return foreseen.change

    async def _act(self, access: Access, foreseen: Foreseen, ledger: Ledger | None) -> None:
        failed = None
        try:
            await self._in_thread(access, foreseen.act)
        except MissionError as failure:
            failed = failure
        if failed is not None:
            if ledger is not None:
                await ledger.note_failure(foreseen.change, failed)
            raise failed
        if ledger is not None:
            await ledger.note_made(foreseen.change)

    async def _is_still_to_do(self, access: Access, wanted: Wanted, known: FileChange) -> bool:
        return await self._in_thread(access, lambda it: it.is_still_to_do(known, wanted))

    def forget(self, project: str) -> None:
        """Drop what is known of a project that is gone."""
        self._quotas.pop(project, None)
        self._threads_of.pop(project, None)

    def _hold(self, access: Access, wanted: Wanted, patience_s: float | None) -> Hold:
        paths = [authorise(access, operation, path) for operation, path in uses(wanted)]
        project, holder = access.project, access.holder
        if of_one_file(wanted):
            return self.locks.hold(project, paths, holder, patience_s)
        return self.locks.hold_project(project, holder, patience_s)

    async def _run(self, access: Access, use: Callable[[ScopedFiles], T]) -> T:
        with self._counted(access.project):
            return await self._in_thread(access, use)

    async def _in_thread(self, access: Access, use: Callable[[ScopedFiles], T]) -> T:
        quota = self._quotas.setdefault(access.project, Quota(self._limits))

        def work() -> T:
            with self._projects.open(access.project) as root:
                return use(ScopedFiles(Workspace(root, quota, self._limits), access))

        async with self._threads_of[access.project]:
            return await trio.to_thread.run_sync(
                work, abandon_on_cancel=False, limiter=self._threads
            )

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
