"""The audit fails for a known vulnerability, and never calls well what it could not look up."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest

spec = importlib.util.spec_from_file_location("audit", Path(__file__).parents[1] / ".ci" / "audit.py")
audit = importlib.util.module_from_spec(spec)
spec.loader.exec_module(audit)

WELL = {"name": "orjson", "version": "3.13.0", "vulns": []}
UNKNOWN = {"name": "chdb", "skip_reason": "Dependency not found on PyPI and could not be audited: chdb (4.4.0)"}
FAULTY = {"name": "h2", "version": "1.0", "vulns": [{"id": "PYSEC-1", "fix_versions": ["1.1", "2.0"], "aliases": []}]}


@pytest.mark.parametrize(
    ("found", "said", "code"),
    [
        ([WELL], "no known vulnerability in 1 of 1 pinned packages", 0),
        ([WELL, UNKNOWN], "no known vulnerability in 1 of 2 pinned packages", 0),
        ([WELL, UNKNOWN, FAULTY], "1 known vulnerabilities:\nh2 1.0: PYSEC-1, mended in 1.1 2.0", 1),
        ([UNKNOWN, UNKNOWN], "nothing was audited: the index has no advisories for any pinned version", 0),
        ([], "nothing was audited", 0),
        (None, "nothing was audited: pip-audit ended with ConnectionError: no such host", 0),
    ],
)
@pytest.mark.parametrize("is_required", [False, True])
def test_what_is_said_and_what_fails(found, said, code, is_required, monkeypatch, capsys):
    body = "" if found is None else json.dumps({"dependencies": found, "fixes": []})
    program = "import sys; print('ConnectionError: no such host', file=sys.stderr); print(sys.argv[1])"
    monkeypatch.setattr(audit, "COMMAND", (sys.executable, "-c", program, body))
    monkeypatch.setenv("TAPESTREAM_REQUIRE_AUDIT", "1" if is_required else "0")

    assert audit.main() == (1 if is_required and said.startswith("nothing") else code)
    assert capsys.readouterr().out.startswith(f"audit: {said}")


def test_every_pinned_package_is_asked_about():
    assert str(Path(__file__).parents[1] / "constraints.txt") in audit.COMMAND
