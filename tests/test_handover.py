"""A run that one machine measured and another publishes: what is checked, and by whose rules it is judged."""

from __future__ import annotations

import os
import sys
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import msgspec
import pytest

from publisher import schema
from publisher.config import parse
from publisher.errors import StorageError
from publisher.files import canonical_json, sha256_hex
from publisher.git import Repository
from publisher.host import HostInfo, HostOptions, running
from publisher.publishing import handover
from publisher.publishing.extend import as_measured
from publisher.publishing.project import Project as Opened
from publisher.publishing.trust import TrustedBranch
from publisher.samples import pack_samples, unpack_samples
from publisher.schema import Record, Sample
from tests import made
from tests.made import GitFolder
from tests.project import QUICK, Project, config

pytestmark = pytest.mark.model


@dataclass(frozen=True)
class Measured:
    """A project whose HEAD was measured, and the archive of that run."""

    project: Project
    archive: Path
    folder: Path

    def parts(self) -> tuple[Record, list[Sample]]:
        """Return the record and the samples of the archive."""
        with tarfile.open(self.archive) as tar:
            record, samples = (tar.extractfile(member).read() for member in tar)  # type: ignore[union-attr]
        return schema.decode(record, Record, "record"), list(unpack_samples(samples))

    def write(self, record: Record, samples: list[Sample]) -> Path:
        """Write another archive, as a hostile bench machine would."""
        path = self.folder / "other.tar"
        with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
            for name, data in [("record.json", canonical_json(record)), ("samples.jsonl.gz", pack_samples(samples))]:
                info = tarfile.TarInfo(name)
                info.size = len(data)
                tar.addfile(info, BytesIO(data))
        return path

    def read(self, path: Path) -> Any:
        """Take in an archive as the machine that publishes does."""
        opened = Opened.open(self.project.folder.path, {})
        return handover.read_run(opened, opened.target("HEAD", ""), path, lambda _: None)


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Measured:
    """Measure a commit once; one of its answers is wrong."""
    folder = tmp_path_factory.mktemp("handover")
    project = Project.create(folder)
    project.folder.commit({"publisher.toml": config(source="builtin:abacus@early")}, "Early")
    archive = folder / "run.tar"
    done = project.run("bench", "--out", str(archive))
    assert done.code == 0, done.err
    return Measured(project, archive, folder)


def test_an_untouched_run_is_taken_as_it_is(measured: Measured) -> None:
    """Everything that is recomputed comes out as it was measured."""
    record, samples = measured.parts()
    checked = measured.read(measured.archive)
    assert (checked.record, checked.samples, checked.regraded) == (record, samples, 0)


def test_claimed_grades_do_not_count(measured: Measured) -> None:
    """Outcomes, score and intervals that somebody raised come out as the answers make them."""
    record, samples = measured.parts()
    raised = [msgspec.structs.replace(one, outcome="right") for one in samples]
    result = msgspec.structs.replace(record.results[0], score=100.0, right_by_problem={"x": 1})
    checked = measured.read(measured.write(msgspec.structs.replace(record, results=[result]), raised))
    assert checked.record.results == record.results
    assert checked.regraded == sum(one.outcome != "right" for one in samples) > 0


def changed(**values: Any) -> Callable[[Record, list[Sample]], tuple[Record, list[Sample]]]:
    """Return a change of the record."""
    return lambda record, samples: (msgspec.structs.replace(record, **values), samples)


def sample(**values: Any) -> Callable[[Record, list[Sample]], tuple[Record, list[Sample]]]:
    """Return a change of the first sample."""
    return lambda record, samples: (record, [msgspec.structs.replace(samples[0], **values), *samples[1:]])


def with_conditions(record: Record, samples: list[Sample]) -> tuple[Record, list[Sample]]:
    """Claim another temperature, with a generation that fits the claim."""
    claimed = dict(record.conditions)
    claimed["mode"] = '"fast"'
    values = {name: msgspec.json.decode(text) for name, text in claimed.items()}
    parts = {"model": record.model.sha256, "prompt": record.prompt.sha256, **values}
    digest = sha256_hex(canonical_json(parts))
    return msgspec.structs.replace(record, conditions=claimed, generation=digest), samples


def of_another_day(record: Record, samples: list[Sample]) -> tuple[Record, list[Sample]]:
    """Claim a start that would stand last for ever."""
    run_id = f"99991231T235959Z{record.run_id[16:]}"
    return msgspec.structs.replace(record, run_id=run_id, started="9999-12-31T23:59:59Z"), samples


def with_slots(record: Record, samples: list[Sample]) -> tuple[Record, list[Sample]]:
    """Claim a number of slots that would raise tokens per second."""
    return msgspec.structs.replace(record, engine=msgspec.structs.replace(record.engine, slots=10**12)), samples


def with_further_condition(record: Record, samples: list[Sample]) -> tuple[Record, list[Sample]]:
    """Claim a condition that no other run has, so that there would be no baseline, with digests that fit the claim."""
    claimed = record.conditions | {"weather": '"fine"'}
    parts = {"model": record.model.sha256, "prompt": record.prompt.sha256}
    parts |= {name: msgspec.json.decode(text) for name, text in claimed.items()}
    return msgspec.structs.replace(record, conditions=claimed, generation=sha256_hex(canonical_json(parts))), samples


def with_long_salt(record: Record, samples: list[Sample]) -> tuple[Record, list[Sample]]:
    """Claim a salt that the ledger could not hold."""
    return msgspec.structs.replace(record, salt="x" * 101), samples


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (changed(tier="quick"), "no run of the tier 'full'; it has 'quick'"),
        (changed(run_id="../../../etc"), "the run's id"),
        (changed(config_sha256="0" * 64), "digest of publisher.toml"),
        (changed(salt="other"), "another seed"),
        (changed(fingerprint="0" * 64), "the fingerprint"),
        (changed(generation="0" * 64), "the generation"),
        (with_conditions, "the condition mode"),
        (lambda record, samples: (record, samples[:-1]), "1 of 48 samples are missing"),
        (lambda record, samples: (record, [*samples, samples[0]]), "is there twice"),
        (lambda record, _: (record, []), "there are no samples"),
        (sample(problem="other"), "is not a sample of this run"),
        (sample(seed=1), "another seed"),
        (sample(tokens=10**9), "token counts"),
        (sample(latency=1e300), "times that cannot be"),
        (sample(latency=5e-324, prompt_time=0.0), "times that cannot be"),
        (sample(prompt_time=9000.0), "times that cannot be"),
        (sample(clipped=1, measures={"completeness": 1.5}), "measures or times that cannot be"),
        (sample(answer="7" * 5000, finish="error"), "a longer answer"),
        (changed(run_id="99999999T999999Z"), "the run's id"),
        (changed(started="soon"), "did not start when its id says"),
        (changed(finished="later"), "times are not written as times are"),
        (changed(statistics={"decode_tokens": 5e-324}), "a figure of the run"),
        (changed(statistics={"energy_cpu_joules": -1.0}), "a figure of the run"),
        (changed(statistics={"<img src=x>": 1.0}), "a figure of the run"),
        (changed(reused={"../../x": 1}), "cannot have reused"),
        (changed(versions={"x": "y" * (1 << 20)}), "longer than any machine's description"),
        (of_another_day, "which is not yet"),
        (with_slots, "so many slots"),
        (with_further_condition, "its conditions are not those"),
        (with_long_salt, "its salt is longer"),
        (sample(text="x" * 10**6), "longer text"),
        (sample(withheld=True, text=""), "withheld though it is public"),
        (sample(redacted=3), "there are no patterns"),
        (
            lambda record, samples: (
                record,
                [msgspec.structs.replace(one, outcome="error", finish="error") for one in samples],
            ),
            "too many to score",
        ),
    ],
)
def test_a_run_that_its_commit_does_not_ask_for_is_rejected(
    measured: Measured, change: Callable[[Record, list[Sample]], tuple[Record, list[Sample]]], said: str
) -> None:
    """Each difference between the claim and git ends in one message that names it."""
    with pytest.raises(StorageError, match=said):
        measured.read(measured.write(*change(*measured.parts())))


def test_claimed_errors_with_words_are_graded(measured: Measured) -> None:
    """A wrong answer that is called an error would be left out of the score."""
    record, samples = measured.parts()
    wrong = next(one for one in samples if one.outcome == "wrong")
    called = [msgspec.structs.replace(one, outcome="error") if one is wrong else one for one in samples]
    checked = measured.read(measured.write(record, called))
    assert (checked.record.results, checked.regraded) == (record.results, 1)


def test_what_the_commit_says_of_prompt_and_sampling_is_not_claimed(measured: Measured) -> None:
    """The record names the commit's own prompt file, notes and options, whatever the archive says."""
    record, samples = measured.parts()
    prompt = msgspec.structs.replace(record.prompt, name="other", notes="better", stop=["x"])
    told = msgspec.structs.replace(record, prompt=prompt, sampling_given={"temperature": 9})
    checked = measured.read(measured.write(told, samples)).record
    assert (checked.prompt, checked.sampling_given) == (record.prompt, record.sampling_given)


def test_seeds_of_its_own_are_taken_only_where_they_are_asked_for(tmp_path: Path) -> None:
    """Otherwise a bench machine could measure until it is lucky."""
    project = Project.create(tmp_path)
    archive = tmp_path / "run.tar"
    assert project.run("bench", "--fresh", "--out", str(archive)).code == 0
    opened = Opened.open(project.folder.path, {})
    target = opened.target("HEAD", "")
    with pytest.raises(StorageError, match="nobody asked for that"):
        handover.take_over(opened, target, archive, lambda _: None)
    assert handover.take_over(opened, target, archive, lambda _: None, fresh=True).salt


def headers(data: bytes) -> Iterator[bytes]:
    """Yield archives with other headers."""
    changes: list[dict[str, Any]] = [
        {"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"},
        {"name": "../record.json"},
        {"size": 1 << 40},
        {"type": tarfile.XHDTYPE},
        {"type": tarfile.GNUTYPE_SPARSE},
    ]
    for change in changes:
        info = tarfile.TarInfo("record.json")
        info.size = len(data)
        for name, value in change.items():
            setattr(info, name, value)
        yield info.tobuf(tarfile.GNU_FORMAT) + data


def test_an_archive_of_another_form_is_one_message(measured: Measured, tmp_path: Path) -> None:
    """Links, other names, huge sizes, extension headers, cut and empty files are no runs."""
    whole = measured.archive.read_bytes()
    for data in [b"", whole[:100], whole[:2000], whole[:-4000], bytes(5000), *headers(whole[512:2000])]:
        path = tmp_path / "bad.tar"
        path.write_bytes(data)
        with pytest.raises(StorageError, match=r"not a run that publisher wrote|not readable"):
            measured.read(path)


def test_a_machine_without_the_model_publishes(tmp_path: Path) -> None:
    """One clone measures; another, which has the secrets, checks, records, publishes and shows it live."""
    bench = Project.create(tmp_path)
    bench.folder.commit({"netlify.toml": QUICK}, "Quick build")
    bench.folder.git("push", "-q", "origin", "main")
    with running(host_options(tmp_path)) as info:
        archive = tmp_path / "run.tar"
        assert bench.run("bench", "--out", str(archive)).code == 0
        assert bench.folder.git("branch", "--list", "ledger") == ""
        desk = clone(tmp_path, info)
        done = desk.run("--policy-ref", "main", "publish", "--run", str(archive))
        assert done.code == 0, done.err
        (run,) = desk.log()
        assert run["address"]
        again = desk.run("--policy-ref", "main", "publish", "--run", str(archive))
        assert (again.code, len(desk.log())) == (0, 1)


def test_a_cascade_is_handed_over_tier_by_tier(tmp_path: Path) -> None:
    """One archive holds the runs that a commit came to; the cheap tier passes, the dear one is published."""
    project = Project.create(tmp_path)
    tiers = "[tiers.quick.suites.small]\nsamples = 1\n[tiers.full]\npublish = true\n"
    tiers += "[tiers.full.suites.small]\nsamples = 2\n"
    text = config(temperature=0.7).replace('[tiers.full]\nsuites = ["small"]\npublish = true\n', "")
    text = text.replace("[gate]", f"{tiers}[gate]", 1)
    project.folder.commit({"netlify.toml": QUICK, "publisher.toml": text}, "Two tiers")
    project.folder.git("push", "-q", "origin", "main")
    archive = tmp_path / "run.tar"
    with running(host_options(tmp_path)) as info:
        project.connect(info)
        done = project.run("bench", "--tier", "auto", "--out", str(archive))
        assert done.code == 0, done.err
        done = project.run("publish", "--tier", "auto", "--run", str(archive), "--json")
        assert done.code == 0, done.err
        assert [one["verdict"]["verdict"] for one in done.json["tiers"]] == ["passed", "kept"]


def host_options(path: Path) -> HostOptions:
    """Return a host that builds the origin with the publisher of these tests."""
    environment = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    return HostOptions(
        state=path / "host", site="demo", repository=str(path / "origin.git"), port=0, environment=environment
    )


def clone(path: Path, info: HostInfo) -> Project:
    """Return another machine's clone, which reaches the site."""
    folder = GitFolder(path / "desk")
    GitFolder(path / "work").git("clone", "-q", str(path / "origin.git"), str(folder.path))
    for key, value in [("user.name", "desk"), ("user.email", "desk@example.org")]:
        folder.git("config", key, value)
    project = Project(folder)
    project.connect(info)
    return project


def test_a_commit_elsewhere_is_judged_by_the_trusted_branch(tmp_path: Path) -> None:
    """A branch that lowers its own bar and changes its own suite is measured and judged as main says."""
    project = Project.create(tmp_path)
    folder = project.folder
    folder.git("push", "-q", "origin", "main")
    folder.git("checkout", "-q", "-b", "feature")
    easy = '{"id": "easy", "problem": "1+1", "answer": "2"}\n'
    toml = config(source="builtin:abacus@early").replace("min = 40.0", 'min = 40.0, effect = "note"')
    folder.commit({"publisher.toml": toml, "small.jsonl": easy}, "Make it easy")
    archive = tmp_path / "run.tar"
    assert project.run("bench").code == 0
    own = project.run("gate", "--json")
    assert own.json["verdict"] == "kept"
    measured = project.run("--policy-ref", "main", "bench", "--out", str(archive), "--json")
    assert measured.json["suites"][0]["problems"] == 48
    assert measured.json["model"]["source"] == "builtin:abacus@early"
    verdict = project.run("--policy-ref", "main", "gate", "--run", str(archive), "--json")
    assert (verdict.code, verdict.json["verdict"]) == (1, "rejected")
    done = project.run("--policy-ref", "main", "publish", "--run", str(archive))
    assert done.code == 2
    assert "is not on main" in done.err
    assert project.log() == []


def test_a_commit_elsewhere_is_graded_by_the_trusted_branch(tmp_path: Path) -> None:
    """A branch whose own grader calls everything right is graded by main's, on both machines."""
    project = Project.create(tmp_path)
    folder = project.folder
    own = config().replace('source = "small.jsonl"', 'source = "small.jsonl"\ngrader = "python:grader.py:grade"')
    never = "def grade(answer, expected):\n    return False\n"
    folder.commit({"publisher.toml": own, "grader.py": never}, "Nothing is right")
    folder.git("push", "-q", "origin", "main")
    folder.git("checkout", "-q", "-b", "feature")
    folder.commit({"grader.py": never.replace("False", "True")}, "Everything is right")
    archive = tmp_path / "run.tar"
    measured = project.run("--policy-ref", "main", "bench", "--out", str(archive), "--json")
    assert measured.json["results"][0]["score"] == 0
    verdict = project.run("--policy-ref", "main", "gate", "--run", str(archive), "--json")
    assert (verdict.code, verdict.json["verdict"]) == (1, "rejected")


def test_a_release_branch_is_published_and_pinned(tmp_path: Path) -> None:
    """By main's rules, where main's [branches] says so and the branch has the commit; others are not recorded."""
    project = Project.create(tmp_path)
    folder = project.folder
    rules = '[branches."release/*"]\npublish = true\npin = true\n[branches."experiment/*"]\n'
    folder.commit({"netlify.toml": QUICK, "publisher.toml": config(more=rules)}, "Conventions")
    folder.git("push", "-q", "origin", "main")
    folder.git("checkout", "-q", "-b", "release/1.2")
    folder.commit({"publisher.toml": config(), "notes": "1.2"}, "Release")
    folder.git("push", "-q", "origin", "release/1.2")
    with running(host_options(tmp_path)) as info:
        project.connect(info)
        for branch in ("", "main", "experiment/x", "release/other"):
            done = project.run("--policy-ref", "main", "publish", "--branch", branch)
            assert (done.code, project.log()) == (2, []), done.err
        done = project.run("--policy-ref", "main", "publish", "--branch", "release/1.2")
        assert done.code == 0, done.err
        (pin,) = project.run("pin", "--json").json
        assert (pin["name"], pin["run_id"]) == ("release-1-2", project.log()[0]["run_id"])


def test_a_trusted_branch_that_is_not_there_is_named(tmp_path: Path) -> None:
    """A wrong name is found before anything is measured."""
    project = Project.create(tmp_path)
    done = project.run("--policy-ref", "mian", "bench")
    assert done.code == 2
    assert "no branch 'mian'" in done.err


def test_only_numbers_of_samples_that_extensions_reach_are_taken() -> None:
    """Between two doublings nothing is tested, so a number there was picked after the answers."""
    text = config(temperature=0.7).replace(
        '{ rule = "threshold", min = 40.0 }', '{ rule = "regression", max_samples = 7 }'
    )
    configuration = parse(text.encode(), "publisher.toml")

    def taken(samples: int) -> int:
        base = made.record()
        suite = msgspec.structs.replace(base.suites[0], name="small", samples=samples)
        told = msgspec.structs.replace(base, suites=[suite])
        return as_measured(configuration, "full", told).tier("full")["small"]

    assert [taken(samples) for samples in range(1, 9)] == [1, 2, 1, 4, 1, 1, 7, 1]


def test_a_tag_does_not_stand_for_the_trusted_branch(tmp_path: Path) -> None:
    """Without a remote as well: git itself would take the tag of that name first."""
    folder = GitFolder.create(tmp_path / "work")
    wanted = folder.commit({"a": "1"}, "Trusted")
    folder.git("checkout", "-q", "-b", "other")
    folder.commit({"a": "2"}, "Not trusted")
    folder.git("tag", "main")
    trusted = TrustedBranch(Repository(folder.path), None, "main")
    assert trusted.tip == wanted == folder.git("rev-parse", "refs/heads/main").strip()
