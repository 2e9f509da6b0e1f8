"""The reference's own directive: what a module defines, under its public names."""

from __future__ import annotations

import inspect
from typing import Any

from docutils import nodes
from docutils.statemachine import StringList
from names import defined_in, ours, public_names
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

import tinygrad_edu as te


class Public(SphinxDirective):
    """``{public}`` with modules in its body, one a line."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        """Return the documentation of what they define."""
        lines = ["```{eval-rst}"]
        for module in self.content:
            found = defined_in(module)
            if not found:
                raise self.error(f"{module} defines nothing that is public")
            for name, value in found.items():
                lines += described(name, value)
        lines.append("```")
        node = nodes.container()
        text = StringList(lines, self.get_source_info()[0])
        self.state.nested_parse(text, self.content_offset, node)
        return node.children


def described(name: str, value: Any) -> list[str]:
    """Return the lines of reStructuredText that describe an object."""
    if not inspect.isclass(value):
        return [f".. autofunction:: {name}", ""]
    # Shown are a class's own members, and those of its bases that have no place here.
    public = public_names()
    known = [
        base.__name__
        for base in value.__mro__[1:]
        if id(base) in public or not ours(base)
    ]
    return [
        f".. autoclass:: {name}",
        "   :members:",
        f"   :inherited-members: {', '.join(known)}",
        "",
    ]


def without_signature(
    app: Sphinx, what: str, name: str, value: Any, *described: Any
) -> tuple[str, None] | None:
    """Leave out the signature of a class that is not made by calling it."""
    return ("", None) if value is te.Tensor else None


def leave_out(
    app: Sphinx, what: str, name: str, value: Any, skip: bool, options: Any
) -> bool | None:
    """Leave out the operations among a tensor's methods, and scikit-learn's additions.

    Every operation has a place of its own.
    """
    operation = name in te.ops.__all__ and value is getattr(te.Tensor, name, None)
    return True if operation or not ours(value) else None


def setup(app: Sphinx) -> dict[str, Any]:
    """Add the directive."""
    app.add_directive("public", Public)
    app.connect("autodoc-process-signature", without_signature)
    app.connect("autodoc-skip-member", leave_out)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
