"""The page with the stepper, as text; in a browser: test_browser.py."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from configparser import ConfigParser
from dataclasses import replace
from fnmatch import fnmatch
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from sample_graph import GRAPH, HOSTILE, STILL, labelled

import tinygrad_edu as te
from tinygrad_edu.drawing.graph import Share
from tinygrad_edu.drawing.page import to_fragment, to_page

ROOT = Path(te.__file__).parent


class Elements(HTMLParser):
    """All elements with their attributes, and the text inside each."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []  # of each of those found, with all inside it
        self.open: list[int] = []
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))
        self.texts.append("")
        if tag not in ("br", "input", "meta", "img"):
            self.open.append(len(self.found) - 1)

    def handle_endtag(self, tag):
        assert self.found[self.open.pop()][0] == tag, f"{tag} closes another"

    def handle_data(self, data):
        for i in self.open:
            self.texts[i] += data

    def text(self, tag, **attributes):
        """The texts of the elements with this tag and these attributes."""
        wanted = attributes.items()
        pairs = zip(self.found, self.texts, strict=True)
        return [text for (t, a), text in pairs if t == tag and wanted <= a.items()]


def skeleton(html):
    """Tags and attributes' names: all that is not text."""
    return [(tag, sorted(attributes)) for tag, attributes in Elements(html).found]


def test_page_asks_for_nothing_from_elsewhere():
    page = to_page(GRAPH).replace('xmlns="http://www.w3.org/2000/svg"', "")

    asks = re.findall(r"https?:|//\w+\.|\b(?:src|href)=|@import|url\((?!#)", page)
    assert asks == []


def test_pages_policy_lets_its_own_script_run_and_nothing_else():
    elements = Elements(to_page(GRAPH))

    _, script = elements.text("script")
    policy = next(a["content"] for t, a in elements.found if "http-equiv" in a)
    digest = b64encode(sha256(script.encode()).digest()).decode()
    allowed = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert allowed == {
        "default-src": "'none'",
        "style-src": "'unsafe-inline'",
        "script-src": f"'sha256-{digest}'",
    }


def test_all_steps_are_there_as_text():
    elements = Elements(to_page(GRAPH))

    steps = elements.text("ol", **{"class": "steps"})[0]
    lines = [line for line in re.split(r"\n+", steps) if line]
    assert lines == [
        "loss = q + zadd, ()",
        "The walk starts here. It is given loss̄: (), 1.",
        "By the chain rule, it hands on:",
        "q̄ = loss̄to q: 1shapes () → ()",
        "z̄ = loss̄to z: 1shapes () → ()1st of 2: one more to come",
        "q = z²square, ()",
        "It is given q̄: (), 1.",
        "By the chain rule, it hands on:",
        "z̄ += q̄ 2 zto z: 12shapes () → ()2nd of 2: complete",
        "z = w · xmultiply, ()",
        "It is given z̄: (), 13.",
        "By the chain rule, it hands on:",
        "w̄ = z̄ xto w: 26shapes (), () → ()",
    ]


def test_script_is_told_the_walk():
    [told] = Elements(to_page(GRAPH)).text("script", type="application/json")

    assert json.loads(told) == {
        "output": 4,
        "sources": [0, 1, 2, 3, 2],  # of the edges
        "steps": [[4, [3, 4]], [3, [2]], [2, [0]]],  # box and edges
        "more": [],
    }


def test_script_is_told_of_sums_to_which_more_is_added_than_is_shown():
    first, *others = GRAPH.steps
    shares = [
        replace(share, formula=share.formula.replace(" = ", " += "))
        for share in first.shares
    ]
    graph = replace(GRAPH, steps=(replace(first, shares=tuple(shares)), *others))

    [told] = Elements(to_page(graph)).text("script", type="application/json")

    assert json.loads(told)["more"] == [
        GRAPH.edges[share.edge].source for share in shares
    ]


def test_gradient_of_a_layers_own_parameter_needs_no_edge():
    own = Share(None, "W̄ = z̄ᵀ · x", "(2, 3) → (4, 3)", "norm 2", "a note")
    step = replace(GRAPH.steps[2], shares=(own, *GRAPH.steps[2].shares))
    page = Elements(to_page(replace(GRAPH, steps=(step,))))

    [told] = page.text("script", type="application/json")
    assert json.loads(told)["steps"] == [[2, [0]]]
    assert "W̄ = z̄ᵀ · xnorm 2shapes (2, 3) → (4, 3)a note" in page.text("li")


def test_without_a_walk_there_is_nothing_to_step_through():
    page = Elements(to_page(STILL))

    classes = {a.get("class") for _, a in page.found}
    assert "tinygrad-edu" in classes and "fit" in classes
    assert classes.isdisjoint({"controls", "caption", "steps", "slider"})


def test_title_and_notes_are_on_the_page():
    page = Elements(to_page(replace(GRAPH, notes=("showing 3 of 9", "freed"))))

    assert page.text("title")[0] == page.text("h1")[0] == "loss: 3 operations"
    assert page.text("text", **{"class": "note"}) == ["showing 3 of 9", "freed"]


@pytest.mark.parametrize("make", [to_page, lambda g: to_fragment(g, prefix="f")])
@pytest.mark.parametrize("text", HOSTILE)
def test_text_from_users_stays_text(text, make):
    html = make(labelled(text))

    assert skeleton(html) == skeleton(make(labelled("plain")))
    assert not re.search("[\0-\x08\x0e-\x1f\u2028\u2029\u202e]", html)
    shown = "".join(filter(str.isprintable, text))
    assert Elements(html).text("b")[2] == f"z{shown} = w · x"


def test_figures_share_a_page_without_sharing_ids():
    html = to_fragment(GRAPH, prefix="a") + to_fragment(GRAPH, prefix="b")

    ids = [a["id"] for _, a in Elements(html).found if "id" in a]
    assert len(ids) == len({*ids}) > 2
    assert {i.split("-")[0] for i in ids} == {"a", "b"}
    inner = {*re.findall(r"url\(#([^)]*)\)", html)}
    assert inner <= {*ids}


def test_page_of_the_lectures_network_is_small(rng):
    layers = [te.nn.Linear(784, 64, rng=rng), te.nn.Sigmoid(), te.nn.Linear(64, 10)]
    scores = te.nn.Sequential(*layers)(rng.standard_normal((32, 784)))
    loss = te.nn.softmax_cross_entropy(scores, np.arange(32) % 10)

    page = to_page(te.draw(loss, level="op").graph)

    assert 10_000 < len(page.encode()) < 100_000


def test_all_files_of_the_package_are_installed():
    settings = ConfigParser()
    settings.read(ROOT.parent / "setup.cfg", "utf-8")
    patterns = settings["options.package_data"]["*"].split(", ")

    visible = [path for path in ROOT.iterdir() if path.name[0] not in "._"]
    files = [path for folder in visible for path in folder.rglob("*.*")]
    names = {path.name for path in files if path.suffix != ".pyc"}
    missed = {n for n in names if not any(fnmatch(n, p) for p in [*patterns, "*.py"])}
    assert missed == set()
