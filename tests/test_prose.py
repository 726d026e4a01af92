"""Documents and docstrings are read once: sentences are short, and say who does what in the field's words."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("agents", "connectors", "infra", "sandbox", "streams")
LONGEST = 35
"""Words of a sentence; code in backticks counts as none."""
RIDDLES = re.compile(
    r"\b(whoever|whomever|somebody|told|tells?|so many|what (?:be)?c[ao]mes? of|the door (?:for|to)|as much as the)\b"
    r"|^(?:Give|Gives|Tell|Tells)\b",
    re.IGNORECASE,
)
"""Words that hide the subject or the act: name the component, and say `return`, `publish`, `report` or `show`."""
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def relative(path):
    return str(path.relative_to(ROOT))


def paragraphs(text):
    """The prose of a Markdown text: no code, no tables, each list item for itself."""
    text = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    for block in re.split(r"\n\s*\n|\n(?=\s*[-*] |\s*\d+\. |#)", text):
        if not block.lstrip().startswith("|"):
            yield re.sub(r"^\s*(?:[-*]|\d+\.|#+)\s+", "", block)


def docstrings(path):
    """The prose of a module's docstrings: no sections of arguments, no drawings, no indented code."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = re.split(r"\n(?:Raises|Args|Returns)[^\n]*:\n", ast.get_docstring(node) or "")[0]
            for block in re.split(r"\n\s*\n|\n(?=[-*] |\d+\. )", text):
                if not re.search(r"[├└│]|^ {4}|\\b", block):
                    yield block


def sentences(text):
    text = re.sub(r"`[^`]*`", "", text)
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)
    return re.split(r"(?<=[.!?:;])\s+", " ".join(text.split()))


def faults(text):
    for sentence in sentences(text):
        words = len(re.findall(r"[\w'/-]+", sentence))
        if words > LONGEST:
            yield f"{words} words: {sentence}"
        if found := RIDDLES.search(sentence.strip()):
            yield f"{found[0]!r}: {sentence}"


@pytest.mark.parametrize("path", DOCUMENTS, ids=relative)
def test_a_document_is_read_once(path):
    assert [fault for text in paragraphs(path.read_text(encoding="utf-8")) for fault in faults(text)] == []


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_docstrings_are_read_once(path):
    assert [fault for text in docstrings(path) for fault in faults(text)] == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A provider without capacity forwards the request to the next one on its slip.", 0),
        ("Whoever cannot serve it now passes it on.", 1),
        ("Each call is told twice.", 1),
        ("Give the folder of a session.", 1),
        ("The limits that a plan gives are used.", 0),
        (" ".join(["word"] * 36) + ".", 1),
        (" ".join(["word"] * 35) + ".", 0),
    ],
)
def test_a_riddle_is_one(text, expected):
    assert len(list(faults(text))) == expected
