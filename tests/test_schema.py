from __future__ import annotations

import inspect
import re

import pytest

from publisher import errors, schema
from publisher.errors import PublisherError, StorageError
from publisher.files import canonical_json
from tests.made import record, verdict


def test_a_record_survives_being_written_and_read() -> None:
    """What is decoded equals what was encoded, and encodes to the same bytes."""
    data = canonical_json(record())
    again = schema.decode(data, schema.Record, "record.json")
    assert again == record()
    assert canonical_json(again) == data


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ((b'"schema": 1', b'"schema": 2'), "newer publisher"),
        ((b'"schema": 1', b'"schema": 0'), "old schema 0"),
        ((b'"schema": 1', b'"scheme": 1'), "no schema version"),
        ((b'"kept"', b'"maybe"'), "does not fit"),
        ((b"{", b"["), "not readable"),
        ((b'"kept"', b"[" * 100_000), "nested too deeply"),
        ((b'"kept"', b"9" * 5000), "does not fit"),
        ((b'"schema": 1', b'"schema": ' + b"9" * 5000), "not readable"),
        ((b'"schema": 1', b'"schema": ' + b"9" * 4000), "newer publisher"),
        ((b'"kept"', b"NaN"), "not readable"),
        ((b'"rules": [', b'"rules": [null,'), "does not fit"),
    ],
)
def test_a_stored_file_that_does_not_fit_says_how(change: tuple[bytes, bytes], words: str) -> None:
    """Newer, older, absent and broken versions each have their own sentence, with the file's name."""
    data = canonical_json(verdict(record())).replace(*change, 1)
    with pytest.raises(StorageError, match=words) as caught:
        schema.decode(data, schema.Verdict, "verdict.json")
    assert "verdict.json" in caught.value.message


def test_the_error_tree_in_the_docstring_is_complete() -> None:
    """Every error class stands in the drawing with its exit code, below its parent."""
    drawn = dict(re.findall(r"(\w+Error) +(\d)", errors.__doc__ or ""))
    members: list[tuple[str, type[PublisherError]]] = inspect.getmembers(errors, inspect.isclass)
    classes = {name: kind for name, kind in members if kind.__module__ == errors.__name__}
    assert set(drawn) == set(classes) - {"PublisherError"}
    assert all(int(code) == classes[name].exit_code for name, code in drawn.items())
    assert all(issubclass(kind, PublisherError) for kind in classes.values())


def test_a_snapshots_identity_is_read_from_its_whole_file() -> None:
    """A reader needs only the identity, and a record of another version does not keep it from that."""
    whole = schema.SiteSnapshot(
        run_id="r",
        branch="snapshot-0123456789ab",
        snapshot="1" * 40,
        commit="2" * 40,
        record_sha256="3" * 64,
        record=record(),
        verdict=verdict(record()),
        links={},
    )
    data = canonical_json(whole).replace(b'"tokens_per_second"', b'"speed"')
    assert schema.decode(data, schema.SnapshotIdentity, "snapshot.json").snapshot == "1" * 40
