"""What a person does with the case store in the module, and what is then in it."""

from __future__ import annotations

from typing import Any

from support.segment_module import dab

from mtctl.cases.case import StoredCase
from mtctl.cases.store import CaseStore

PATIENCE = 60


def saved(host: Any, module: Any) -> bool:
    return bool(host.wait_until(lambda: not module.storeJob.running, PATIENCE))


def accept(host: Any, module: Any) -> None:
    module.ui.acceptCaseButton.click()
    assert saved(host, module)


def add(host: Any, module: Any) -> None:
    """A stroke."""
    dab(host, module)


def the_case(store: CaseStore) -> StoredCase:
    (case,) = store.cases()
    return case


def kinds(store: CaseStore) -> list[str]:
    return [record.kind.value for record in the_case(store).records]
