"""A session's folder: what is written is read again, one process has it, orders come in their sequence."""

import pytest

from streams.errors import NoSuchSession, SessionBusy
from streams.sessions import checkpoint
from streams.sessions.folder import Folder, SessionCommand, SessionManifest, adopt, every
from streams.sessions.spec import HOUR_MS, SessionAsset, Spec
from streams.sessions.state import Checkpointed, Paused, Started, UnitsPlanned, advance

SPEC = Spec(
    "s-1", "custom", HOUR_MS, (SessionAsset("AAPL"), SessionAsset("BTC-USD", "crypto")), ("polygon",), ("bars",), "me"
)


def folder(path, spec=SPEC):
    return Folder.create(path, SessionManifest(spec, 4711, sandbox=True, rate=60, anchor=5))


def later(found, *events):
    session = found.session()
    for event in (*events, Checkpointed()):
        session = advance(session, event, session.at + 1)
    checkpoint.write(found.path, session)
    return session


def test_what_a_session_is_can_be_read_again_with_its_changes(tmp_path):
    found = folder(tmp_path)
    found.change(SessionCommand(what="add", symbol="IBM"))
    found.change(SessionCommand(what="remove", symbol="AAPL"))

    manifest = Folder.find(tmp_path, "last").manifest()

    assert (manifest.spec, manifest.pid, manifest.rate, manifest.anchor, manifest.sandbox) == (SPEC, 4711, 60, 5, True)
    assert manifest.assets == (SessionAsset("BTC-USD", "crypto"), SessionAsset("IBM"))
    assert found.session().spec == SPEC


def test_sessions_are_found_by_id_and_the_last_is_the_newest(tmp_path):
    for name in ("20240603-1", "20240604-1"):
        folder(tmp_path, Spec(name, "custom", HOUR_MS, SPEC.symbols, SPEC.sources, SPEC.datasets))

    assert [found.id for found in every(tmp_path)] == ["20240603-1", "20240604-1"]
    assert Folder.find(tmp_path, "last").id == "20240604-1"
    assert Folder.find(tmp_path, "20240603-1").id == "20240603-1"
    with pytest.raises(NoSuchSession, match="there is no session nothing"):
        Folder.find(tmp_path, "nothing")
    with pytest.raises(NoSuchSession, match="there is no session last"):
        Folder.find(tmp_path / "empty", "last")


def test_one_process_has_a_session_and_a_running_one_that_none_has_was_interrupted(tmp_path):
    found = folder(tmp_path)
    session = later(found, UnitsPlanned(1), Started())

    assert found.state(session) == "interrupted"
    with found.owning():
        assert found.owned()
        assert found.state(session) == "running"
        with pytest.raises(SessionBusy, match="session s-1 is running in process 4711"), found.owning():
            pass
    assert not found.owned()
    assert found.state(later(found, Paused())) == "paused"


def test_orders_are_taken_once_and_in_their_sequence(tmp_path):
    found = folder(tmp_path)
    given = [
        SessionCommand(what="pause"),
        SessionCommand(what="add", symbol="IBM"),
        SessionCommand(what="resume"),
        SessionCommand(what="stop"),
    ]
    for order in given:
        found.order(order)
    (found.path / "orders" / "9.json").write_text("{")

    assert found.orders() == given
    assert found.orders() == []


def test_a_card_that_cannot_be_used_is_named(tmp_path):
    found = folder(tmp_path)
    (found.path / "session.json").write_text('{"spec": 3}')

    with pytest.raises(NoSuchSession, match=r"session\.json cannot be used: spec: "):
        found.manifest()


def test_a_checkpoint_from_elsewhere_gets_a_folder_of_its_own(tmp_path):
    there, here = tmp_path / "there", tmp_path / "here"
    session = later(folder(there), UnitsPlanned(3), Started())

    found = adopt(here, there / "sessions" / "s-1" / checkpoint.CURRENT)

    assert found.path == here / "sessions" / "s-1"
    assert found.session().planned == session.planned
    assert found.manifest().spec == SPEC


def test_a_session_goes_back_to_its_own_earlier_checkpoint_only_as_far_as_it_may(tmp_path):
    found = folder(tmp_path)
    later(found, UnitsPlanned(3), Started())
    later(found)

    assert adopt(tmp_path, found.path / checkpoint.PREVIOUS) == found
