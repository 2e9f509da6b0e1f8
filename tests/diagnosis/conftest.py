from __future__ import annotations

import pytest
from explained import network


@pytest.fixture
def model():
    return network()
