"""Formulas as MathML: browsers draw it themselves, so no page loads a script for it."""

from __future__ import annotations

import re
from html import escape
from typing import Any

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.math import get_node_equation_number
from sphinx.writers.html5 import HTML5Translator

_log = logging.getLogger(__name__)


def mathml(formula: str, display: str) -> str:
    """Return a LaTeX formula as MathML.

    Parameters
    ----------
    formula : str
    display : {"inline", "block"}

    Returns
    -------
    str

    Raises
    ------
    ValueError
        If it cannot be read, or holds a command that is not known.
    """
    # Numbers are given by the site, to whole formulas.
    formula = re.sub(r"\\(begin|end){align(ed)?}", r"\\\1{align*}", formula)
    try:
        text = convert(formula, display=display)
    except Exception as error:  # of many types, and most without a word
        raise ValueError(f"{type(error).__name__} in the formula {formula}") from error
    # Names such as log stand a little apart from what they are of.
    text = re.sub(
        r"<(m[io])>(\w{2,})</\1>",
        r'<mo lspace="0.17em" rspace="0.17em">\2</mo>',
        text,
    )
    if unknown := re.findall(r">(\\\w+|&)<", text):
        raise ValueError(f"{', '.join(unknown)} not known, in the formula {formula}")
    return text


def _written(self: HTML5Translator, node: nodes.Element, display: str) -> str:
    try:
        return mathml(node.astext(), display)
    except ValueError as error:
        _log.warning(str(error), location=node)
        return f"<code>{escape(node.astext())}</code>"


def _visit_inline(self: HTML5Translator, node: nodes.math) -> None:
    self.body.append(_written(self, node, "inline"))
    raise nodes.SkipNode


def _visit_block(self: HTML5Translator, node: nodes.math_block) -> None:
    self.body.append(self.starttag(node, "div", CLASS="math"))
    self.body.append(_written(self, node, "block"))
    if node["number"]:
        number = get_node_equation_number(self, node)
        self.body.append(f'<span class="eqno">({number})')
        self.add_permalink_ref(node, "Link to this equation")
        self.body.append("</span>")
    self.body.append("</div>\n")
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, Any]:
    """Let ``html_math_renderer`` choose it."""
    app.add_html_math_renderer("mathml", (_visit_inline, None), (_visit_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
