"""A pin with a known vulnerability ends `make check`; one that nobody knows does not."""

import importlib.util
from pathlib import Path

spec = importlib.util.spec_from_file_location("audit", Path(__file__).parents[1] / ".ci" / "audit.py")
audit = importlib.util.module_from_spec(spec)
spec.loader.exec_module(audit)

SAFE = {"name": "safe", "version": "2", "vulns": []}
UNKNOWN = {"name": "unknown", "skip_reason": "not found"}
VULNERABLE = {"name": "old", "version": "1", "vulns": [{"id": "CVE-2026-1", "fix_versions": ["1.1", "2.0"]}]}


def test_a_vulnerable_pin_is_named_with_its_mended_versions(capsys):
    assert audit.report([SAFE, UNKNOWN, VULNERABLE]) == 1
    assert capsys.readouterr().out == (
        "audit: old 1 has CVE-2026-1, mended in 1.1, 2.0\naudit: 2 of 3 pins looked up, 1 unknown to the index\n"
    )


def test_what_could_not_be_looked_up_fails_nothing_and_is_counted(capsys):
    assert audit.report([SAFE, UNKNOWN]) == 0
    assert capsys.readouterr().out == "audit: 1 of 2 pins looked up, 1 unknown to the index\n"
