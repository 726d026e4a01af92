"""Look the pinned dependencies up among the known vulnerabilities (`pip-audit`); part of `make check`.

Ends with 1 where a pinned version has one. Where the index that answers here keeps no advisories, or none answers, the
last line says how many could not be looked up, and nothing fails: a build does not depend on somebody's service.
"""

import json
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

PINS = "constraints.txt"
AUDIT = f"pip_audit --requirement {PINS} --no-deps --disable-pip --progress-spinner off --format json".split()
WITHIN_S = 120


def main() -> int:
    """Print what was found. Returns the exit code."""
    try:
        ran = subprocess.run(
            [sys.executable, "-m", *AUDIT], check=False, capture_output=True, text=True, timeout=WITHIN_S
        )
        found = json.loads(ran.stdout)["dependencies"]
    except (subprocess.TimeoutExpired, ValueError, KeyError):
        print(f"audit: no advisories could be read; {PINS} is not audited")
        return 0
    return report(found)


def report(found: list[Mapping[str, Any]]) -> int:
    """Print the vulnerable pins of pip-audit's answer, and how many were looked up. Returns 1 where there is one."""
    for pin in found:
        for known in pin.get("vulns", ()):
            mended = ", ".join(known["fix_versions"]) or "no version yet"
            print(f"audit: {pin['name']} {pin['version']} has {known['id']}, mended in {mended}")
    skipped = sum("skip_reason" in pin for pin in found)
    print(f"audit: {len(found) - skipped} of {len(found)} pins looked up, {skipped} unknown to the index")
    return int(any(pin.get("vulns") for pin in found))


if __name__ == "__main__":
    sys.exit(main())
