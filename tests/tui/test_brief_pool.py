"""Leaving does not wait for a check that a model or a file made endless."""

import asyncio
from threading import Event

from tests.support.fake_engine import ready
from tui.app.app import MqloraApp
from tui.app.brief_pool import BriefPool


def test_the_end_does_not_wait_for_a_job_that_goes_on() -> None:
    """The loop is closed although it runs, and what waited behind it never begins."""
    begun, end = Event(), Event()

    def endless() -> None:
        begun.set()
        end.wait()

    async def leave() -> None:
        asyncio.get_running_loop().set_default_executor(pool)
        job = asyncio.create_task(asyncio.to_thread(endless))
        while not begun.is_set():
            await asyncio.sleep(0)
        job.cancel()

    pool = BriefPool()
    asyncio.run(leave())
    assert pool.is_busy
    end.set()


async def test_the_app_s_checks_run_on_it(app: MqloraApp) -> None:
    """A check of the app counts while it runs."""
    async with app.run_test() as pilot:
        await ready(pilot)
        end = Event()
        job = asyncio.create_task(asyncio.to_thread(end.wait))
        await asyncio.sleep(0)  # it is handed to the pool
        assert app.pool.is_busy
        end.set()
        await job
