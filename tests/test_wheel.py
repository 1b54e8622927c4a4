"""An installed wheel works too: templates, static files and migrations are inside it."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.processes import ROOT


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the wheel was installed into, apart from the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    run = {"check": True, "capture_output": True, "text": True, "timeout": 300}
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder / "dist")]
    subprocess.run([*build, str(ROOT)], **run)
    (wheel,) = (folder / "dist").glob("*.whl")
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target"]
    subprocess.run([*install, str(folder / "site"), str(wheel)], **run)
    return folder


def in_the_wheel(installed: Path, *arguments: str) -> str:
    """What a program prints that finds the portal in the installed wheel, in an empty folder."""
    here = installed / "empty"
    here.mkdir(exist_ok=True)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PORTAL_", "VONAGE_"))}
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=here,
        env=kept | {"PYTHONPATH": str(installed / "site")},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_practice_is_imported_and_shown_from_an_installed_wheel(installed: Path) -> None:
    assert str(installed / "site") in in_the_wheel(installed, "-c", "import portal; print(portal.__file__)")
    in_the_wheel(installed, "-m", "portal", "init")
    in_the_wheel(installed, "-m", "portal", "import", str(ROOT / "tests" / "practices" / "northgate"))
    assert "Northgate" in in_the_wheel(installed, "-m", "portal", "preview", "--date", "2031-03-09")
    page = """
import re
import portal
from portal.config import load_settings
from portal.set_up_code import set_up_code

here = "http://127.0.0.1:8080"
client = portal.create_app().test_client()
page = client.get("/communications", base_url=here, follow_redirects=True)
print(page.request.path)
typed = {
    "csrf_token": re.search(r'name="csrf_token" value="([^"]+)"', page.text)[1],
    "code": set_up_code(load_settings()),
    "whose": re.search(r'<option value="([^"]+)"', page.text)[1],
    "name": "Dana",
    "email": "dana@northgate.example",
    "password": "thrifty lamp over sea",
    "again": "thrifty lamp over sea",
}
assert client.post("/set-up", base_url=here, data=typed).status_code == 303
page = client.get("/communications", base_url=here)
assert page.status_code == 200, page.status_code
print(page.text)
for path in sorted(set(re.findall(r'(?:href|src)="(/static/[^"?]+)', page.text))):
    print(path, client.get(path, base_url=here).status_code)
contents = client.get("/help", base_url=here).text
for path in sorted(set(re.findall(r'href="(/help/[^"#]+)', contents))):
    page = client.get(path, base_url=here)
    print(path, page.status_code)
    for picture in re.findall(r'(?:src|srcset)="([^"]+)', page.text.partition("<article")[2]):
        print(picture, client.get(picture, base_url=here).status_code)
"""
    shown = in_the_wheel(installed, "-c", page)
    assert shown.startswith("/set-up\n")
    assert "Communications" in shown
    statics = [line for line in shown.splitlines() if line.startswith("/static/")]
    assert len(statics) >= 2
    assert all(line.endswith(" 200") for line in statics)
    helps = [line for line in shown.splitlines() if re.match(r"/help/[\w/.-]+ \d+$", line)]
    assert len(helps) >= 50
    assert all(line.endswith(" 200") for line in helps), helps
