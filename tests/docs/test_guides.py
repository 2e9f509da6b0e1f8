"""The guides' code runs as it stands there, and prints what they say."""

from __future__ import annotations

import math
import re
import shlex
from pathlib import Path

import pytest

import tinygrad_edu as te
from tinygrad_edu import cli

DOCS = Path(te.__file__).parents[1] / "docs"
GUIDES = sorted([DOCS / "adding-an-operation.md", *DOCS.glob("guides/*.md")])
#: Guides that need packages beyond the tests' own: run by `make test-all`.
NEEDS = {"exporting": ("onnx", "onnxruntime"), "distributed": ("distributed",)}
BLOCK = re.compile(
    r"^```(?P<kind>python|sh)\n(?P<code>.*?)^```\n(?:\n?```text\n(?P<said>.*?)^```)?",
    flags=re.DOTALL | re.MULTILINE,
)
NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?:e[+-]?\d+)?(?![\w])")


def differences(said, printed):
    """What a guide says and what was printed, line by line where they differ.

    ``...`` stands for anything in a line. Numbers with a point need agree to what is
    written, or to six digits, but for those of a computer's last digits.
    """
    said, printed = said.splitlines(), printed.splitlines()
    length = max(len(said), len(printed))
    said += ["(nothing)"] * (length - len(said))
    printed += ["(nothing)"] * (length - len(printed))
    return [
        f"line {i}: said    {a}\n        printed {b}"
        for i, (a, b) in enumerate(zip(said, printed, strict=True), 1)
        if not agree(a, b)
    ]


def agree(said, printed):
    words = [re.escape(part) for part in said.split("...")]
    if re.fullmatch(".*".join(words), printed):
        return True
    if NUMBER.sub("#", said) != NUMBER.sub("#", printed):
        return False
    pairs = zip(NUMBER.findall(said), NUMBER.findall(printed), strict=True)
    return all(
        a == b or ("." in a + b and math.isclose(float(a), float(b), rel_tol=1e-6))
        for a, b in pairs
    )


def run(kind, code, names):
    if kind == "python":
        exec(compile(code, "<guide>", "exec", dont_inherit=True), names)
        return
    for line in code.splitlines():
        program, *arguments = shlex.split(line)
        assert program == "tinygrad-edu", f"cannot run {line!r} here"
        assert cli.main(arguments) == 0


@pytest.mark.parametrize(
    "guide",
    [
        pytest.param(
            path, id=path.stem, marks=[pytest.mark.slow] * (path.stem in NEEDS)
        )
        for path in GUIDES
    ],
)
def test_the_code_in_a_guide_prints_what_it_says(guide, capsys, tmp_path, monkeypatch):
    for package in NEEDS.get(guide.stem, ()):
        pytest.importorskip(package)
    monkeypatch.chdir(tmp_path)
    text = guide.read_text(encoding="utf-8")
    names: dict[str, object] = {"__name__": "guide"}

    for block in BLOCK.finditer(text):
        line = text.count("\n", 0, block.start()) + 1
        run(block["kind"], block["code"], names)
        wrong = differences(block["said"] or "", capsys.readouterr().out)

        assert not wrong, "\n".join([f"{guide.name}, block at line {line}:", *wrong])


def test_there_are_guides_and_no_block_is_overlooked():
    for guide in GUIDES:
        text = guide.read_text(encoding="utf-8")
        blocks = list(BLOCK.finditer(text))

        assert blocks
        assert text.count("```") == sum(2 + 2 * (b["said"] is not None) for b in blocks)
    assert GUIDES


@pytest.mark.parametrize(
    ("said", "printed", "equal"),
    [
        ("a 1.5", "a 1.5", True),
        ("a 1.5000001", "a 1.5000002", True),
        ("a 1.5", "a 1.6", False),
        ("a 2.00000001", "a 2", True),
        ("12 calls", "13 calls", False),
        ("worst ...", "worst 3e-11", True),
        ("worst ..., of 3", "worst 3e-11, of 4", False),
        ("likely cause", "unlikely cause", False),
        ("one", "one\ntwo", False),
        ("one\ntwo", "one", False),
        ("", "anything", False),
    ],
)
def test_what_is_printed_is_compared_line_by_line(said, printed, equal):
    assert (not differences(said, printed)) is equal
