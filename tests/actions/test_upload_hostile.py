"""Files that lie: refused in words, by a process whose memory stays flat, and nothing is imported."""

import io
import re
import resource
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask import Flask

from portal import store
from portal.actions.importing.problems import CannotImport
from portal.actions.upload_receive import receive
from portal.actions.upload_zip import MOST_UNPACKED, look_at_zip, unpack
from portal.actions.uploads import MOST_BYTES, NoSuchUpload, UploadRefused, discard, read_rejects
from portal.config import Settings
from portal.embedded import ensure_redis, stop_redis
from portal.store.uploads import PIECE, Upload, UploadKind, UploadPart, UploadState
from tests.builders import a_practice
from tests.processes import ROOT, environment_of

from .exports import NOW, everything_stored
from .test_upload_list import HEADINGS, MATCHING
from .uploads import DANA, PRACTICE, a_zip_of, look, upload, work

MEGABYTE = 1024 * 1024
ROOM = 60 * MEGABYTE  # above what the process has without the file
HEADER = "id,first_name,last_name,date_of_birth,email,automated_reminder,archived\n"


def packed(write: Callable[[zipfile.ZipFile], None]) -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        write(archive)
    return written.getvalue()


def a_link(archive: zipfile.ZipFile) -> None:
    entry = zipfile.ZipInfo("patients.csv")
    entry.external_attr = 0o120777 << 16
    archive.writestr(entry, "/etc/passwd")


def bomb(archive: zipfile.ZipFile, size: int = MOST_UNPACKED + 1, name: str = "patients.csv") -> None:
    zeros = b"0" * MEGABYTE
    with archive.open(name, "w", force_zip64=True) as file:
        for _ in range(size // MEGABYTE + 1):
            file.write(zeros)


def lying(content: bytes) -> bytes:
    """Its list says of each file that it unpacks to ten bytes."""
    at = content.index(b"PK\x01\x02")
    return content[: at + 24] + struct.pack("<I", 10) + content[at + 28 :]


def flagged(content: bytes, flags: int) -> bytes:
    at = content.index(b"PK\x01\x02")
    return content[: at + 8] + struct.pack("<H", flags) + content[at + 10 :]


def too_early(content: bytes) -> bytes:
    """It says that its list stands further on than it does, so that its first file would begin before the zip."""
    at = content.index(b"PK\x05\x06") + 16
    return content[:at] + struct.pack("<I", struct.unpack_from("<I", content, at)[0] + 50) + content[at + 4 :]


GOOD = a_zip_of(patients_csv=HEADER)
ZIPS: dict[str, tuple[bytes, str]] = {
    "unpacks to much": (packed(bomb), "unpacks to more than 256 MB"),
    "several unpack to much": (
        packed(
            lambda a: [bomb(a, MOST_UNPACKED // 2, f"{name}.csv") for name in ("patients", "appointments")] and None
        ),
        "unpacks to more than 256 MB",
    ),
    "lies about its size": (lying(packed(bomb)), "damaged"),
    "leads up": (packed(lambda a: a.writestr("../patients.csv", HEADER)), "outside its own folder"),
    "leads to the root": (packed(lambda a: a.writestr("/patients.csv", HEADER)), "outside its own folder"),
    "leads to a drive": (packed(lambda a: a.writestr("C:\\patients.csv", HEADER)), "outside its own folder"),
    "is a link": (packed(a_link), "a link in the place of a file"),
    "holds another": (packed(lambda a: a.writestr("export.zip", GOOD)), "another zip file: unpack it"),
    "is locked": (flagged(GOOD, 0x1), "locked with a password"),
    "is a patch of another": (flagged(GOOD, 0x20), "damaged"),
    "is locked otherwise": (flagged(GOOD, 0x40), "damaged"),
    "begins before itself": (too_early(GOOD), "damaged"),
    "is cut off": (GOOD[:-30], "damaged"),
    "has a hole": (GOOD[:35] + b"\0" * 20 + GOOD[55:], "damaged"),
    "is empty": (packed(lambda _: None), "holds no export"),
    "holds something else": (packed(lambda a: a.writestr("holiday.jpg", b"x")), "holds no export"),
    "holds a list": (
        packed(lambda a: a.writestr("May/list.csv", HEADER)),
        "is uploaded as it is, as CSV, not zipped",
    ),
    "lies too deep": (packed(lambda a: a.writestr("a/b/patients.csv", HEADER)), "in a folder at its top.$"),
    "holds two exports": (
        packed(lambda a: [a.writestr(f"{name}.csv", HEADER) for name in ("a/patients", "b/appointments")] and None),
        "more than one folder",
    ),
    "holds a file twice": (
        packed(lambda a: [a.writestr(f"{name}/patients.csv", HEADER) for name in "ab"] and None),
        "more than once",
    ),
}


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("what", ZIPS)
def test_a_zip_that_lies_is_refused_in_words(what: str, tmp_path: Path) -> None:
    content, says = ZIPS[what]
    (tmp_path / "uploaded").write_bytes(content)
    with (tmp_path / "uploaded").open("rb") as file, pytest.raises(CannotImport, match=says):
        look_at_zip(file)
        unpack(file, tmp_path)


def test_an_odd_packing_is_refused() -> None:
    for method in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):  # whose unpacking cannot be bounded
        written = io.BytesIO()
        with zipfile.ZipFile(written, "w", method) as archive:
            archive.writestr("patients.csv", HEADER)
        with pytest.raises(CannotImport, match="unusual way"):
            look_at_zip(written)


def test_what_a_mac_adds_is_no_matter(tmp_path: Path) -> None:
    content = packed(
        lambda a: [a.writestr(f"{name}patients.csv", HEADER) for name in ("export/", "__MACOSX/export/._")] and None
    )
    unpack(io.BytesIO(content), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["patients.csv"]


def test_names_in_capitals_are_the_same_names(tmp_path: Path) -> None:
    unpack(io.BytesIO(packed(lambda a: a.writestr("EXPORT/Patients.CSV", HEADER))), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["patients.csv"]


def a_million_entries() -> bytes:
    """A zip's list of a million files, of which none is there."""
    name = b"x.csv"
    entry = struct.pack("<4s6H3L5H2L", b"PK\x01\x02", 20, 20, 0, 0, 0, 0, 0, 0, 0, len(name), *[0] * 4, 0, 0) + name
    listed = entry * 1_000_000
    return b"PK\x03\x04" + listed + struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 65535, 65535, len(listed), 4, 0)


def test_a_million_entries_are_not_even_listed() -> None:
    content = a_million_entries()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(CannotImport, match="more than 1,000 files"):
        look_at_zip(io.BytesIO(content))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20 * 1024  # kilobytes


def test_a_file_above_the_limit_is_refused(app: Flask, tmp_path: Path) -> None:
    a_practice(PRACTICE)
    with (tmp_path / "large").open("w+b") as file:
        file.write(b"a,b\n" * 2000)
        file.truncate(MOST_BYTES + 1)
        file.seek(0)
        with pytest.raises(UploadRefused, match="larger than 64 MB"):
            receive(PRACTICE, "large.csv", file, DANA, NOW)


def in_a_zip(rows: str) -> bytes:
    return a_zip_of(patients_csv=HEADER + rows)


def as_a_list(rows: str) -> bytes:
    return f"{HEADINGS}\n{rows}".encode("cp1252")


@pytest.mark.parametrize("as_file", [in_a_zip, as_a_list])
def test_a_file_of_faults_only_is_refused_before_they_fill_the_disk(
    app: Flask, as_file: Callable[[str], bytes]
) -> None:
    a_practice(PRACTICE)
    for rows, state in ((10_000, UploadState.CHECKED), (10_001, UploadState.REFUSED)):
        kind = UploadKind.LIST if as_file is as_a_list else UploadKind.EXPORT
        id_ = keep(in_pieces_of(as_file("x\n" * rows)), kind, matching=MATCHING.as_json())
        done = work(id_)
        assert done.state is state
        if state is UploadState.CHECKED:
            assert len(b"".join(read_rejects(PRACTICE, id_)).splitlines()) == rows + 1
            discard(PRACTICE, id_, NOW)
        else:
            assert done.refusal
            assert done.refusal.startswith("It has more than 10,000 faults: is this the right file? The first, in ")
            assert "line 2: it has 1 value, and the first line names" in done.refusal
            with pytest.raises(NoSuchUpload):
                read_rejects(PRACTICE, id_)


# --- by the real worker's process ---


@pytest.fixture
def installed(app: Flask, settings: Settings) -> Iterator[Settings]:
    a_practice(PRACTICE)
    ensure_redis(settings)
    yield settings
    stop_redis(settings)


def highest_memory(status: str) -> int:
    """Of a process, from /proc: getrusage would count that of the process which began it, too."""
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found
    return int(found[1]) * 1024


def run_job(settings: Settings, upload_id: int) -> int:
    """Does the job as a worker's process does; its highest memory, in bytes."""
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            f"from portal.jobs import work_on_upload; work_on_upload({PRACTICE!r}, {upload_id});"
            "print(open('/proc/self/status').read())",
        ],
        cwd=ROOT,
        env=environment_of(settings),
        capture_output=True,
        text=True,
        timeout=400,
    )
    assert done.returncode == 0, done.stderr
    return highest_memory(done.stdout)


def keep(content: Iterator[bytes], kind: UploadKind = UploadKind.EXPORT, **values: object) -> int:
    """A file that came past the first look."""
    with store.transaction(PRACTICE) as session:
        one = Upload(kind=kind, name="x", size=0, state=UploadState.CHECKING, uploaded_at=NOW, uploaded_by="Dana")
        one.changed_at = NOW
        for name, value in values.items():
            setattr(one, name, value)
        session.add(one)
        session.flush()
        store.uploads.record_pieces(session, one, UploadPart.FILE, content)
    return one.id


def in_pieces_of(content: bytes) -> Iterator[bytes]:
    return (content[at : at + PIECE] for at in range(0, len(content), PIECE))


def one_long_line() -> Iterator[bytes]:
    """100 MB, packed."""

    def write(archive: zipfile.ZipFile) -> None:
        with archive.open("patients.csv", "w") as file:
            file.write(HEADER.encode())
            for _ in range(100):
                file.write(b"x" * MEGABYTE)

    return in_pieces_of(packed(write))


def many_bad_rows() -> Iterator[bytes]:
    """A million of them, packed; none has an id."""

    def write(archive: zipfile.ZipFile) -> None:
        with archive.open("patients.csv", "w") as file:
            file.write(HEADER.encode())
            for _ in range(300):
                file.write(b",=1+1,x,31/31/31,,perhaps,\n" * 1000)

    return in_pieces_of(packed(write))


@pytest.mark.parametrize("content", [one_long_line, many_bad_rows, lambda: in_pieces_of(packed(bomb))])
def test_memory_stays_flat_and_nothing_is_imported(
    installed: Settings, content: Callable[[], Iterator[bytes]]
) -> None:
    usual = run_job(installed, upload(GOOD))
    with store.transaction(PRACTICE) as session:
        session.delete(session.get_one(Upload, 1)) if not store.uploads.delete_pieces(session, 1) else None
    before = everything_stored()
    id_ = keep(content())
    used = run_job(installed, id_)
    print(f"{usual // MEGABYTE} MB for a small file, {used // MEGABYTE} MB for this one")
    done = look(id_)
    assert done.state in (UploadState.REFUSED, UploadState.CHECKED)
    assert done.refusal or (done.found or {})["problem_count"]
    assert used - usual < ROOM
    after = everything_stored()
    for table in ("uploads", "upload_pieces"):
        before.pop(table), after.pop(table)
    assert after == before
