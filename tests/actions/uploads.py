"""Files to upload, and the way through an import as the pages and the workers go it."""

import io
import zipfile
from datetime import datetime
from pathlib import Path
from typing import Any

from portal import store
from portal.actions.upload_receive import receive
from portal.actions.upload_work import work_on
from portal.actions.uploads import confirm
from portal.actions.who import Who
from portal.store.uploads import Upload, UploadState

from .exports import NOW

DANA = Who(1, "Dana Owner")
RIVERSIDE = Path(__file__).parent.parent / "practices" / "riverside"
PRACTICE = "riverside"


def a_zip(folder: Path, inside: str = "") -> bytes:
    """Of a folder's files, at the top or within another."""
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.iterdir()):
            archive.write(path, inside + path.name)
    return written.getvalue()


def a_zip_of(**files: str | bytes) -> bytes:
    """`patients_csv="…"` is patients.csv."""
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name.replace("_csv", ".csv").replace("_json", ".json"), content)
    return written.getvalue()


def upload(content: bytes, name: str = "export.zip", practice_id: str = PRACTICE, now: datetime = NOW) -> int:
    return receive(practice_id, name, io.BytesIO(content), DANA, now).id


def work(upload_id: int, practice_id: str = PRACTICE, now: datetime = NOW) -> Upload:
    """As a worker does it; how it then stands."""
    work_on(practice_id, upload_id, lambda: now, lambda _done, _total: None)
    return look(upload_id, practice_id)


def look(upload_id: int, practice_id: str = PRACTICE) -> Upload:
    with store.reading(practice_id) as session:
        found = store.uploads.find_upload(session, upload_id)
    assert found
    return found


def agree(upload_id: int, practice_id: str = PRACTICE, now: datetime = NOW, **choices: Any) -> None:
    """To what is shown."""
    found = look(upload_id, practice_id).found or {}
    usual = {"accepts_valid": True, "withdraws_missing": False, "creates": True, "seen": found.get("fingerprint", "")}
    confirm(practice_id, upload_id, who=DANA, now=now, **usual | choices)


def import_all(content: bytes, name: str = "export.zip", **choices: Any) -> Upload:
    """Upload it, agree to whatever it does, import it."""
    id_ = upload(content, name)
    assert work(id_).state is UploadState.CHECKED, look(id_).refusal
    agree(id_, **choices)
    return work(id_)
