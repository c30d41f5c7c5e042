"""What all tests share that need no JVM."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, nullcontext
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from dvspark.local.session import LocalSession


@pytest.fixture(scope="session", autouse=True)
def shared_workers() -> Iterator[None]:
    """Commands that tests run in this process share the workers of one local session, which take seconds to start."""
    from dvspark.cli import labeled_tables
    from dvspark.local.session import open_local_session
    from dvspark.run import engine_choice

    begun: list[LocalSession] = []
    with ExitStack() as ending, pytest.MonkeyPatch.context() as patch:

        def shared() -> AbstractContextManager[LocalSession]:
            if not begun:
                begun.append(ending.enter_context(open_local_session()))
            return nullcontext(begun[0])

        for module in (engine_choice, labeled_tables):
            patch.setattr(module, "open_local_session", shared)
        yield
