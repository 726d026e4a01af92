"""Every recorded answer of the corpus becomes what its oracle says."""

import importlib.util
import json
from pathlib import Path

import pytest

from connectors import connectors
from streams.processing import replay as stored

CORPUS = next(filter(Path.is_dir, (above / "shared" / "corpus" for above in Path(__file__).parents)), Path())
MISREAD = {  # case -> what is not read right yet
    **dict.fromkeys(
        (
            "alpaca/error--401-html-page",
            "alpaca/error--403-html-of-a-firewall",
            "fmp/error--200-html-page",
            "fmp/error--403-html-of-a-firewall",
            "polygon/error--403-html-of-a-firewall",
        ),
        "a web page is taken for the provider's own refusal",
    ),
    **dict.fromkeys(
        (
            "alphavantage/error--200-note-higher-call-volume",
            "alphavantage/error--200-optimizing-call-frequency",
            "alphavantage/quote--delayed-entitlement-decorated-key",
        ),
        "words of Alpha Vantage that are not known",
    ),
    "brightdata/error--200-status-header-407-auth": "the status header is not read beside a code",
}

if not CORPUS.name:
    pytest.skip("the corpus of recorded answers is not on this machine", allow_module_level=True)

spec = importlib.util.spec_from_file_location("compare", CORPUS / "compare.py")
compare = importlib.util.module_from_spec(spec)
spec.loader.exec_module(compare)


def recorded():
    for path in sorted((CORPUS / "expected").glob("*/*.json")):
        if path.parent.name in connectors():
            name = f"{path.parent.name}/{path.stem}"
            reason = MISREAD.get(name)
            marks = [pytest.mark.xfail(reason=reason, strict=True)] if reason else []
            yield pytest.param(name, id=name, marks=marks)


@pytest.mark.parametrize("name", list(recorded()))
def test_answer_becomes_what_its_oracle_says(name):
    oracle = json.loads((CORPUS / "expected" / f"{name}.json").read_text())
    case = stored.Case.from_recording(json.loads((CORPUS / f"{name}.json").read_text()), oracle["call"])
    result = stored.run(case)

    found = compare.problems(
        oracle,
        result.outcome,
        result.records(),
        {symbol: refusal.name for symbol, refusal in result.missing.items()},
        result.next is not None,
    )

    assert found == []
