"""Admission: what a private run must pass before noise is drawn, or anything is withdrawn or published."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

from dvspark.logs.redact import redacted
from dvspark.privacy import Release
from dvspark.run.kinds.neighbors import Keep
from dvspark.run.request import Budget
from dvspark.run.validate import Checked
from dvspark.runs.budget import Account
from dvspark.runs.files import Files
from dvspark.runs.private import Identity, keep_identity, kept_identity
from dvspark.tables.storage import open_storage


def known(checked: Checked, files: Files) -> Checked:
    """Return a private run with the identity that an earlier start of it kept, if there was one.

    Raises: OutputConflictError if the run id has noise of other tables or options, or the kept file is damaged.
    """
    if checked.secret is None:
        return checked
    if (kept := kept_identity(files, checked.secret)) is not None:
        checked = replace(checked, run_id=kept.run_id, fingerprint=kept.fingerprint)
    Keep(files, checked.run_id, checked.fingerprint).read()
    return checked


def admit(checked: Checked, files: Files, budget: Budget) -> Checked:
    """Return a private run with the identity that is kept, after its release is counted once in its table's budget.

    Raises: OutputConflictError if the budget does not allow the release; then nothing is left behind.
    """
    if checked.secret is None or checked.release is None:
        return checked
    account = _account(budget, files, checked.release)
    account.require(checked.release, checked.fingerprint)
    kept = keep_identity(files, checked.secret, Identity(checked.run_id, checked.fingerprint))
    account.spend(checked.release, kept.fingerprint)
    return replace(checked, run_id=kept.run_id, fingerprint=kept.fingerprint)


def _account(budget: Budget, files: Files, release: Release) -> Account:
    """Return the account of the private table, in the output's private folder unless the budget names one.

    The account knows a table by its path or name: links are followed, version and snapshot do not matter.
    """
    table = str(budget.table)
    if budget.table.table is None and "://" not in table and not table.startswith("file:"):
        table = str(Path(table).expanduser().resolve())
    if budget.folder is not None:
        files, folder = open_storage(budget.folder), "releases"
    else:
        folder = f"private/budget/{hashlib.sha256(table.encode()).hexdigest()[:16]}"
    delta = release.delta if budget.delta is None else budget.delta
    return Account(files, folder, redacted(table), budget.epsilon, delta)
