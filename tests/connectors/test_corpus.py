"""Every recorded answer of the corpus becomes what its oracle says."""

import importlib.util
import json
from pathlib import Path

import pytest

from connectors import connectors
from streams.processing import replay as stored

CORPUS = next(filter(Path.is_dir, (above / "shared" / "corpus" for above in Path(__file__).parents)), Path())

if not CORPUS.name:
    pytest.skip("the corpus of recorded answers is not on this machine", allow_module_level=True)

spec = importlib.util.spec_from_file_location("compare", CORPUS / "compare.py")
compare = importlib.util.module_from_spec(spec)
spec.loader.exec_module(compare)
ANSWERS = [
    f"{path.parent.name}/{path.stem}"
    for path in sorted((CORPUS / "expected").glob("*/*.json"))
    if path.parent.name in connectors()
]


@pytest.mark.parametrize("name", ANSWERS)
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
