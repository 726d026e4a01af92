"""Every recorded answer of the corpus becomes what its oracle says."""

import importlib.util
import json
from pathlib import Path

import pytest

from connectors import connectors
from streams.processing import replay as stored

CORPUS = next(
    (found for parent in Path(__file__).parents if (found := parent / "shared" / "corpus").is_dir()), Path("no corpus")
)
MISREAD = {  # case -> what is not read right yet
    "brightdata/bloomberg_quote--NPN_SJ-minor-unit": "ZAr is not known as a minor unit",
    "eodhd/symbols--CO-class-shares": "class shares outside the US keep EODHD's hyphen",
    "polygon/dividends--stocks-v1-2026": "the endpoint of 2026 is not known",
}

if not CORPUS.is_dir():
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
