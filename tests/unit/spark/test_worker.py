"""A worker that is ready has little to search for garbage."""

from __future__ import annotations

import gc

from dvspark.spark import worker


def test_get_ready__what_is_loaded_is_no_longer_searched_for_garbage() -> None:
    worker.get_ready.cache_clear()
    try:
        loaded = len(gc.get_objects())
        worker.get_ready()
        assert len(gc.get_objects()) < loaded / 10
    finally:
        gc.unfreeze()
        worker.get_ready.cache_clear()
