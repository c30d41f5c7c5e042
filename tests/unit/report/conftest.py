"""A browser for the tests of the report."""

from __future__ import annotations

import pytest
from chromium import Tab, find_browser


@pytest.fixture(scope="module")
def tab(tmp_path_factory):
    one = Tab(find_browser(), tmp_path_factory.mktemp("profile"))
    yield one
    one.close()
