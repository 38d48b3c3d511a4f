"""Runs on small corpora, their stages done in the test's own process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.adaptation.building import stages_in_this_process


@pytest.fixture(scope="module", autouse=True)
def _in_this_process() -> Iterator[None]:
    with stages_in_this_process():
        yield
