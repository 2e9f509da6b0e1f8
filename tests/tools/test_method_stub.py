"""The stub file says what the declarations made."""

from __future__ import annotations

import method_stub

import tinygrad_edu as te


def test_stub_file_is_what_the_registry_gives():
    assert method_stub.PATH.read_text() == method_stub.stub(), (
        "write it anew: python tools/method_stub.py"
    )


def test_every_method_of_the_stub_is_there():
    _, _, stub = method_stub.stub().partition("class Methods:")
    names = {line.split("(")[0].strip() for line in stub.splitlines()}
    methods = [name.removeprefix("def ") for name in names if name.startswith("def ")]

    assert len(methods) > 40
    assert [name for name in methods if not hasattr(te.Tensor, name)] == []
