"""The public face: what `streams.client` shows is what `__all__` says, and examples and documents need no more."""

import ast
import re
from pathlib import Path
from types import ModuleType

import pytest

import streams.client

ROOT = Path(__file__).parents[3]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
OURS = {"agents", "connectors", "infra", "sandbox", "streams"}


def test_the_namespace_is_what_is_exported():
    shown = {name: value for name, value in vars(streams.client).items() if not name.startswith("_")}

    assert {name for name, value in shown.items() if not isinstance(value, ModuleType)} == set(streams.client.__all__)
    assert streams.client.__all__ == sorted(streams.client.__all__)


def imported(source):
    """(module, name) of everything that a program imports of us."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom):
            yield from ((node.module, alias.name) for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)


def check(source):
    found = [(module, name) for module, name in imported(source) if module.split(".")[0] in OURS]
    assert {module for module, _ in found} <= {"streams.client"}
    assert {name for _, name in found} <= set(streams.client.__all__)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_an_example_imports_the_public_face_alone(path):
    assert "streams.client" in path.read_text()
    check(path.read_text())


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_a_document_shows_the_public_face_alone(path):
    for block in re.findall(r"^```python\n(.*?)^```", path.read_text(), re.MULTILINE | re.DOTALL):
        check(block)
