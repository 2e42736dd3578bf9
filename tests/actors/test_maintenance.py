"""Maintenance by the clock: backups, retention, and the removal of what has had its time."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

import mission_control
from mission_control import Config, MissionControl
from mission_control.actors import MAINTENANCE, HowKept, Upkeep
from mission_control.actors._maintenance import HOUR_S, RETRY_S, SETTLE_S, next_backup
from mission_control.config import BackupSettings, ListenSettings, StorageSettings
from mission_control.storage import US, ManualClock, open_reader, open_writer
from mission_control.storage.backups import SCHEDULED, Backups
from mission_control.storage.backups import _snapshot as snapshot
from mission_control.storage.schema import known_migrations, rollback
from rig import FAST
from system_doors import idle

pytestmark = pytest.mark.timeout(180)

DAY_S = 86_400.0
PATIENCE_S = 60.0


@attrs.define
class Sidecar:
    """One on virtual time: hours pass at a word, while threads and sockets are real."""

    mc: MissionControl
    clock: ManualClock
    virtual: MockClock

    def wait(self, seconds: float) -> None:
        """Let time pass, all at once."""
        self.clock.advance(seconds)
        self.virtual.jump(seconds)

    async def upkeep(self) -> Upkeep:
        found: Upkeep = await self.mc.mission.ask(MAINTENANCE, HowKept())
        return found

    async def until(self, condition: Callable[[Upkeep], bool]) -> Upkeep:
        """Wait, on the real clock, for what is done in threads."""
        deadline = time.monotonic() + PATIENCE_S
        while not condition(found := await self.upkeep()):
            assert time.monotonic() < deadline, f"it took too long: {found}"
            await trio.to_thread.run_sync(time.sleep, 0.01)
        return found

    async def planned(self, in_s: float) -> Upkeep:
        """Wait until the next backup is due in so many seconds."""
        return await self.until(lambda found: found.next_at == self.now + round(in_s * US))

    @property
    def now(self) -> int:
        return self.clock.now_us()


@asynccontextmanager
async def sidecar(
    home: Path, virtual: MockClock, clock: ManualClock, **backup: Any
) -> AsyncIterator[Sidecar]:
    config = Config(
        listen=ListenSettings(port=0),
        pulse=FAST,
        backup=BackupSettings(**backup),
        storage=StorageSettings(keep_changes_days=30),
    )
    async with mission_control.open(home, config, runner=idle(), clock=clock) as mc:
        yield Sidecar(mc, clock, virtual)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


async def test_a_new_home_is_backed_up_soon_and_then_once_a_day(
    home: Path, mock_clock: MockClock, clock: ManualClock
) -> None:
    backups = Backups(home, clock)
    async with sidecar(home, mock_clock, clock) as running:
        assert await running.planned(0) == Upkeep(None, running.now, None)
        assert backups.list() == ()
        running.wait(SETTLE_S)
        for day in range(1, 4):
            found = await running.planned(DAY_S)
            assert found.last_at == running.now
            assert [each.reason for each in backups.list()] == [SCHEDULED] * day
            assert (await running.mc.call("mission.system.health"))["backup"]["ok"] is True
            running.wait(DAY_S)
        await running.planned(DAY_S)
    for each in backups.list():
        backups.verify(each.id)


async def test_a_restart_does_not_put_the_next_backup_off(
    home: Path, mock_clock: MockClock, clock: ManualClock
) -> None:
    async with sidecar(home, mock_clock, clock) as running:
        running.wait(SETTLE_S)
        due = (await running.planned(DAY_S)).next_at
        running.wait(20 * HOUR_S)
    for _ in range(3):
        clock.advance(HOUR_S)
        async with sidecar(home, mock_clock, clock) as running:
            assert (await running.upkeep()).next_at == due
    clock.advance(2 * DAY_S)
    async with sidecar(home, mock_clock, clock) as running:
        running.wait(SETTLE_S)
        await running.planned(DAY_S)
    assert len(Backups(home, clock).list()) == 2


async def test_a_backup_that_somebody_made_counts(
    home: Path, mock_clock: MockClock, clock: ManualClock
) -> None:
    async with sidecar(home, mock_clock, clock) as running:
        running.wait(SETTLE_S)
        await running.planned(DAY_S)
    clock.advance(12 * HOUR_S)
    made = Backups(home, clock).create()
    async with sidecar(home, mock_clock, clock) as running:
        assert (await running.planned(DAY_S)).last_at == made.created_at


async def test_a_backup_from_the_future_puts_nothing_off(
    home: Path, mock_clock: MockClock, clock: ManualClock
) -> None:
    """The clock was wrong once; without this, each start would put the next one off by a day."""
    async with sidecar(home, mock_clock, clock, enabled=False):
        pass
    Backups(home, ManualClock(clock.now_us() + round(3_650 * DAY_S * US))).create()
    for day in range(1, 4):
        async with sidecar(home, mock_clock, clock) as running:
            found = await running.upkeep()
            assert found.next_at is not None
            assert found.next_at <= running.now
            running.wait(SETTLE_S)
            assert (await running.planned(DAY_S)).last_at == running.now
            due = running.now + round(DAY_S * US)
        assert len(Backups(home, clock).list()) == 1 + day
        clock.advance(HOUR_S)
        async with sidecar(home, mock_clock, clock) as running:
            assert (await running.upkeep()).next_at == due
        clock.advance(DAY_S)


async def test_a_clock_that_is_set_back_puts_nothing_off(
    home: Path, mock_clock: MockClock, clock: ManualClock
) -> None:
    async with sidecar(home, mock_clock, clock) as running:
        running.wait(SETTLE_S)
        await running.planned(DAY_S)
        clock.advance(-100 * DAY_S)
        mock_clock.jump(HOUR_S)  # the next round
        assert (await running.planned(DAY_S)).last_at == running.now
    assert len(Backups(home, clock).list()) == 2


async def test_the_log_names_what_a_backup_leaves_out(
    home: Path, mock_clock: MockClock, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    (home / "souls").mkdir(parents=True)
    (home / "souls/link.md").symlink_to("elsewhere")
    async with sidecar(home, mock_clock, clock) as running:
        running.wait(SETTLE_S)
        await running.planned(DAY_S)
    assert "leaves out 1 files: 'souls/link.md: a link'" in caplog.text


async def test_old_backups_are_removed_as_the_settings_say(
    home: Path, mock_clock: MockClock, clock: ManualClock
) -> None:
    async with sidecar(home, mock_clock, clock, keep_daily=2, keep_weekly=0) as running:
        running.wait(SETTLE_S)
        for _ in range(4):
            await running.planned(DAY_S)
            running.wait(DAY_S)
        await running.planned(DAY_S)
    kept = [each.created_at for each in Backups(home, clock).list()]
    assert kept == [clock.now_us() - round(DAY_S * US), clock.now_us()]


def _occupy(home: Path) -> None:
    home.mkdir()
    (home / "backups").write_text("in the way")


async def test_a_backup_that_fails_is_told_of_and_tried_again(
    home: Path, mock_clock: MockClock, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    _occupy(home)
    async with sidecar(home, mock_clock, clock) as running:
        running.wait(SETTLE_S)
        found = await running.until(lambda found: found.failure is not None)
        assert found.next_at == running.now + round(RETRY_S * US)
        told = (await running.mc.call("mission.system.health"))["backup"]
        assert (told["ok"], told["failure"]) == (False, found.failure)
        assert "the backup failed" in caplog.text
        assert (await running.mc.call("mission.system.tree"))["tree"]["restarts"] == 0
        (home / "backups").unlink()
        running.wait(RETRY_S)
        assert (await running.planned(DAY_S)).failure is None
    assert len(Backups(home, clock).list()) == 1


async def test_no_backup_is_made_where_none_is_wanted(
    home: Path, mock_clock: MockClock, clock: ManualClock
) -> None:
    async with sidecar(home, mock_clock, clock, enabled=False) as running:
        await _use_a_key(running.mc, "key")
        clock.advance(26 * HOUR_S)
        running.wait(SETTLE_S)
        assert (await running.upkeep()).next_at is None
        # The round was made all the same.
        await running.until(lambda _: _keys(home) == [])
    assert Backups(home, clock).list() == ()


async def _use_a_key(mc: MissionControl, key: str) -> None:
    await mc.call("mission.project.init", project_name=key, idempotency_key=key)


def _keys(home: Path) -> list[str]:
    with closing(open_reader(home / "mission-control.db")) as connection:
        return [key for (key,) in connection.execute("SELECT key FROM idempotency ORDER BY key")]


async def test_idempotency_keys_are_forgotten_after_a_day(
    home: Path, mock_clock: MockClock, clock: ManualClock
) -> None:
    async with sidecar(home, mock_clock, clock) as running:
        await _use_a_key(running.mc, "old")
        running.wait(2 * HOUR_S)
        await running.planned(DAY_S)
        await _use_a_key(running.mc, "new")
        assert len(_keys(home)) == 2
        running.wait(23 * HOUR_S)
        await running.until(lambda _: len(_keys(home)) == 1)
        assert "new" in _keys(home)[0]


async def test_old_changes_go_to_the_archive(
    home: Path, mock_clock: MockClock, clock: ManualClock
) -> None:
    async with sidecar(home, mock_clock, clock, enabled=False) as running:
        await _use_a_key(running.mc, "old")
        clock.advance(31 * DAY_S)
        await _use_a_key(running.mc, "new")
        running.wait(SETTLE_S)
        await running.until(lambda _: running.mc.mission.reads.retention_seq() > 0)
        assert list((home / "backups/mission-control/changes").rglob("*.jsonl.gz"))


async def test_a_stop_does_not_wait_for_a_backup_and_leaves_nothing_half_made(
    home: Path, mock_clock: MockClock, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot, "PAGES_A_STEP", 1)
    monkeypatch.setattr(snapshot, "PAUSE_S", 1.0)  # all of it would take a minute
    shelf = home / "backups/mission-control"
    async with sidecar(home, mock_clock, clock) as running:
        running.wait(SETTLE_S)
        await running.until(lambda _: bool(list(shelf.glob("*/mission-control.db"))))
        # It answers while the backup is being made.
        await _use_a_key(running.mc, "meanwhile")
    assert [path.name for path in shelf.iterdir()] == [".lock"]


async def test_nor_does_the_stop_of_a_start_wait_for_the_backup_before_its_migrations(
    home: Path, mock_clock: MockClock, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with sidecar(home, mock_clock, clock):
        pass
    older = len(known_migrations()) - 1
    with closing(open_writer(home / "mission-control.db")) as connection:
        rollback(connection)
    monkeypatch.setattr(snapshot, "PAGES_A_STEP", 1)
    monkeypatch.setattr(snapshot, "PAUSE_S", 1.0)  # all of it would take a minute
    shelf = home / "backups/mission-control"

    async def start() -> None:
        async with sidecar(home, mock_clock, clock):
            raise AssertionError("it was started without the backup")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(start)
        deadline = time.monotonic() + PATIENCE_S
        while not list(shelf.glob("*/mission-control.db")):
            assert time.monotonic() < deadline, "no backup was begun"
            await trio.to_thread.run_sync(time.sleep, 0.01)
        nursery.cancel_scope.cancel()
    assert [path.name for path in shelf.iterdir()] == [".lock"]
    with closing(open_reader(home / "mission-control.db")) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (older,)


async def test_a_restore_that_was_interrupted_is_ended_by_the_next_start(
    home: Path, mock_clock: MockClock, clock: ManualClock
) -> None:
    async with sidecar(home, mock_clock, clock) as running:
        await _use_a_key(running.mc, "before")
        running.wait(SETTLE_S)
        await running.planned(DAY_S)
        await _use_a_key(running.mc, "given up")

    def interrupt(step: str) -> None:
        if step == "replace the database":
            raise KeyboardInterrupt

    backups = Backups(home, clock, step=interrupt)
    with pytest.raises(KeyboardInterrupt):
        backups.restore(backups.list()[0].id)
    async with sidecar(home, mock_clock, clock) as running:
        found = await running.mc.call("mission.project.list")
        assert [project["id"] for project in found["projects"]] == ["before"]
        assert "before" in (home / "projects/before/KANBAN.md").read_text()


@given(st.none() | st.integers(0, 1 << 50), st.integers(0, 1 << 50), st.integers(1, 1 << 40))
def test_the_next_backup_is_never_further_away_than_the_interval(
    last_at: int | None, now_us: int, interval_us: int
) -> None:
    due = next_backup(last_at, now_us, interval_us)
    assert due <= now_us + interval_us
    lately = last_at is not None and last_at <= now_us < last_at + interval_us
    assert (due <= now_us) == (not lately)
