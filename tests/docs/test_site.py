"""The site: no page is out of reach, no public name is missing, no link is broken."""

from __future__ import annotations

import fnmatch
import re
import subprocess
import sys
import zlib
from html.parser import HTMLParser
from inspect import ismodule
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

import tinygrad_edu as te
from tinygrad_edu import cli

ROOT = Path(te.__file__).parents[1]
DOCS = ROOT / "docs"
NOT_PAGES = ("_build", "notebooks")
PAGES = sorted(
    path.relative_to(DOCS).with_suffix("").as_posix()
    for path in DOCS.rglob("*.md")
    if path.relative_to(DOCS).parts[0] not in NOT_PAGES
)
TOCTREE = re.compile(r"^```\{toctree\}\n(.*?)^```", flags=re.DOTALL | re.MULTILINE)
PUBLIC = re.compile(r"^```\{public\}\n(.*?)^```", flags=re.DOTALL | re.MULTILINE)
DATA = re.compile(r"^```\{py:data\} (\S+)(?:\n:module: (\S+))?", flags=re.MULTILINE)


@pytest.fixture
def names(monkeypatch):
    """Return the module of the site that knows the public names."""
    monkeypatch.syspath_prepend(DOCS / "_extensions")
    import names

    return names


def text_of(page):
    return (DOCS / f"{page}.md").read_text(encoding="utf-8")


def entries(page):
    """Yield the patterns of the pages that the toctrees of a page hold."""
    folder = (DOCS / page).parent
    for body in TOCTREE.findall(text_of(page)):
        for line in body.splitlines():
            if line and not line.startswith(":"):
                yield (folder / line).resolve().relative_to(DOCS.resolve()).as_posix()


def test_every_page_can_be_reached_from_the_first():
    reached, found = set(), ["index"]
    while found:
        page = found.pop()
        reached.add(page)
        for pattern in entries(page):
            found += set(fnmatch.filter(PAGES, pattern)) - reached

    assert sorted(set(PAGES) - reached) == [], "name them in a toctree"


def test_the_reference_describes_every_public_name_once(names):
    described = []
    for page in PAGES:
        for body in PUBLIC.findall(text_of(page)):
            for module in body.split():
                described += names.defined_in(module)
        for name, module in DATA.findall(text_of(page)):
            described.append(f"{module}.{name}" if module else name)

    assert sorted(described) == sorted(names.public_names().values())


def test_every_public_module_is_among_those_with_public_names(names):
    modules = {
        f"tinygrad_edu.{name}" for name in te.__all__ if ismodule(getattr(te, name))
    }

    assert modules - {"tinygrad_edu.ops"} <= set(names.NAMESPACES)


def commands(capsys, *path):
    """Yield all commands below one of the command line, as its help lists them."""
    with pytest.raises(SystemExit):
        cli.main([*path, "--help"])
    for name in re.findall(r"^    (\w+)", capsys.readouterr().out, flags=re.MULTILINE):
        yield (*path, name)
        yield from commands(capsys, *path, name)


def test_the_page_of_the_command_line_has_every_command(capsys):
    page = text_of("reference/command-line")
    found = list(commands(capsys))

    assert {("lecture",), ("exercises", "check")} <= set(found)
    for command in found:
        assert f"# tinygrad-edu {' '.join(command)}\n" in page
        assert f"show_help({', '.join(map(repr, command))})".replace("'", '"') in page


class Page(HTMLParser):
    """What a page links to, what it loads, and the places in it that have a name."""

    def __init__(self, path):
        super().__init__()
        self.links, self.loads, self.ids = [], [], set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.ids |= {values[key] for key in ("id", "name") if values.get(key)}
        if tag == "a" and values.get("href"):
            self.links.append(values["href"])
        if tag == "link" and values.get("rel") != "canonical":
            self.loads.append(values["href"])
        if values.get("src"):
            self.loads.append(values["src"])


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Build the site as ``make docs`` does."""
    pytest.importorskip("sphinx", reason="needs pip install 'tinygrad_edu[docs]'")
    folder = tmp_path_factory.mktemp("site")
    flags = re.search(r"^SPHINX_FLAGS := (.*)", (ROOT / "Makefile").read_text(), re.M)
    command = [
        sys.executable,
        "-m",
        "sphinx",
        *flags[1].split(),
        "-d",
        folder / "trees",
    ]
    done = subprocess.run(
        [*command, DOCS, folder / "html"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=1800,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder / "html"


@pytest.mark.slow
def test_the_site_is_built_without_a_warning_and_has_every_page(site):
    assert [page for page in PAGES if not (site / f"{page}.html").is_file()] == []


@pytest.mark.slow
def test_every_link_on_the_site_leads_somewhere(site):
    pages = {path: Page(path) for path in site.rglob("*.html")}

    broken = []
    for path, page in pages.items():
        for link in page.links + page.loads:
            parts = urlsplit(link)
            if parts.scheme:
                continue
            target = (
                (path.parent / unquote(parts.path)).resolve() if parts.path else path
            )
            there = target.is_file() and (
                not parts.fragment
                or target not in pages
                or unquote(parts.fragment) in pages[target].ids
            )
            if not there:
                broken.append(f"{path.relative_to(site)}: {link}")
    assert broken == []
    assert sum(len(page.links) for page in pages.values()) > 1000


@pytest.mark.slow
def test_the_site_is_read_without_a_network(site):
    elsewhere = [
        f"{path.relative_to(site)}: {link}"
        for path in site.rglob("*.html")
        for link in Page(path).loads
        if urlsplit(link).scheme not in ("", "data")
    ]
    styles = "".join(path.read_text() for path in site.rglob("*.css"))

    assert elsewhere == []
    assert re.findall(r"(?:url\(|@import)\W*https?:", styles) == []


@pytest.mark.slow
def test_plots_are_sharp_at_any_size(site):
    pictures = {
        Path(unquote(urlsplit(link).path)).suffix
        for path in (site / "lecture").glob("*.html")
        for link in Page(path).loads
        if "_images" in link
    }

    assert pictures == {".svg"}


@pytest.mark.slow
def test_no_signature_is_shown_of_what_is_not_called(site):
    page = (site / "reference" / "tensors.html").read_text(encoding="utf-8")
    heading = re.search(r'<dt[^>]* id="tinygrad_edu.Tensor">(.*?)</dt>', page, re.S)

    assert "Tensor" in heading[1]
    assert "sig-paren" not in heading[1]
    assert "sig-paren" in page


@pytest.mark.slow
def test_every_public_name_can_be_looked_up(site, names):
    lines = (site / "objects.inv").read_bytes().split(b"\n", 4)[4]
    known = {
        line.split(" ")[0] for line in zlib.decompress(lines).decode().splitlines()
    }

    assert sorted(set(names.public_names().values()) - known) == []


@pytest.mark.slow
@pytest.mark.usefixtures("names")
@pytest.mark.parametrize("formula", [r"\fooo x", "a & b", r"\frac{a}{", r"\left( a"])
def test_a_formula_that_cannot_be_shown_is_an_error(formula):
    pytest.importorskip("latex2mathml", reason="needs pip install 'tinygrad_edu[docs]'")
    from mathml import mathml

    with pytest.raises(ValueError, match="formula"):
        mathml(formula, "inline")
