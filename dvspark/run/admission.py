"""Admission: what a private run must pass before any noise is drawn, or anything is withdrawn or published."""

from __future__ import annotations

import hashlib
from pathlib import Path

from dvspark.config.job import JobConfig
from dvspark.logs.redact import redacted
from dvspark.privacy import Release
from dvspark.run.neighbors import Keep
from dvspark.run.valuation import Valuation
from dvspark.runs import budget
from dvspark.runs.files import Files
from dvspark.runs.private import Identity, keep_identity, kept_identity
from dvspark.tables.storage import open_storage


def known(valuation: Valuation, files: Files) -> None:
    """Give a private run the identity that an earlier start of it has kept, if one has.

    Raises: OutputConflictError when its run id has noise of other tables or options, or what was kept is damaged.
    """
    if valuation.secret is None:
        return
    if (kept := kept_identity(files, valuation.secret)) is not None:
        valuation.run_id, valuation.fingerprint = kept.run_id, kept.fingerprint
    Keep(files, valuation.run_id, valuation.fingerprint).read()


def admit(valuation: Valuation, files: Files, account: budget.Account | None) -> None:
    """Keep a private run's identity, and take what it releases from the budget of its table, once.

    Raises: OutputConflictError when the budget does not hold the release, and then leaves nothing behind.
    """
    if valuation.secret is None or valuation.release is None:
        return
    if account is not None:
        account.require(valuation.release, valuation.fingerprint)
    kept = keep_identity(files, valuation.secret, Identity(valuation.run_id, valuation.fingerprint))
    valuation.run_id, valuation.fingerprint = kept.run_id, kept.fingerprint
    if account is not None:
        account.spend(valuation.release, valuation.fingerprint)


def account(config: JobConfig, files: Files, release: Release | None) -> budget.Account | None:
    """Return the account of the private table, in the output's private folder unless ``budget`` is set.

    There a table is known by its path or name: links are followed, version and snapshot are not asked.
    """
    if release is None:
        return None
    reference = config.train.reference()
    table = str(reference.table or reference.path)
    if reference.table is None and "://" not in table and not table.startswith("file:"):
        table = str(Path(table).expanduser().resolve())
    if config.budget is not None:
        files, folder = open_storage(config.budget), "releases"
    else:
        folder = f"private/budget/{hashlib.sha256(table.encode()).hexdigest()[:16]}"
    delta = release.delta if config.delta_budget is None else config.delta_budget
    return budget.Account(files, folder, redacted(table), config.epsilon_budget, delta)
