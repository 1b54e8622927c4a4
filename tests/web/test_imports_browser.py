"""The import in a real browser, with a real worker: an export again after staff mended, a list, a large practice."""

import csv
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import func, select

from portal import store
from portal.config import Settings
from portal.core.roles import Role
from portal.store.patients import Patient
from tests.actions.uploads import a_zip

from .browsing import SCREENS, WIDTHS, assert_accessible, assert_fits, browsing
from .conftest import sign_in_browser
from .journeys.stack import PRACTICE, RIVERSIDE, Stack, at, standing
from .test_imports import LIST

pytestmark = pytest.mark.browser

MANY = int(os.environ.get("PORTAL_TEST_PATIENTS", "2000"))  # 50000 for a large practice
MENDED = 10
# 300 rows, of which two cannot be read; with the month first, most of the days are none.
MANY_ROWS = "Termin;um;Kundin;Händi\n" + "".join(
    f"{5 + number % 20:02}/06/2031;{'soon' if number in (100, 200) else '9:30'};Zoë {number};0491 570 006\n"
    for number in range(300)
)


@pytest.fixture
def database() -> str:
    return "sqlite"


@pytest.fixture
def stack(settings: Settings) -> Iterator[Stack]:
    with standing(settings) as stack:
        stack.import_practice(at("09:00"))
        stack.start_workers(at("09:00"))
        yield stack


@pytest.fixture
def page(browser: Browser, stack: Stack) -> Iterator[Page]:
    with browsing(browser) as windows:
        context = windows.window(stack.url)
        sign_in_browser(context, stack.host.app, stack.url, f"{Role.OWNER}@{PRACTICE}.example")
        yield windows.page(context)


def picture(page: Page, name: str) -> None:
    """At both widths, light and dark."""
    for width, pixels in WIDTHS.items():
        page.set_viewport_size({"width": pixels, "height": 900})
        for scheme in ("dark", "light"):
            page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            assert_accessible(page, (name, width, scheme))
        assert_fits(page, (name, width))
        page.screenshot(path=SCREENS / f"{name}-{width}.png", full_page=True)


def send(page: Page, path: Path) -> None:
    page.goto("/settings/import")
    page.get_by_label("File, at most 64 MB").set_input_files(path)
    page.get_by_role("button", name="Upload and check").click()


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8-sig") as stream:
        return list(csv.DictReader(stream))


def write_rows(path: Path, rows: list[dict[str, str]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def test_an_export_again_after_staff_mended_ten_and_the_export_changed_five_of_them_and_five_others(
    page: Page, stack: Stack, tmp_path: Path
) -> None:
    folder = tmp_path / "riverside"
    shutil.copytree(RIVERSIDE, folder)
    rows = rows_of(folder / "patients.csv")
    mended = [row["id"] for row in rows[:MENDED]]
    with store.transaction(PRACTICE) as session:
        for one in session.scalars(select(Patient).where(Patient.external_id.in_(mended))):
            one.last_name = "Mended"
    for row in rows[5:15]:
        row["last_name"] = "Exported"
    write_rows(folder / "patients.csv", rows)
    path = tmp_path / "riverside.zip"
    path.write_bytes(a_zip(folder, "riverside/"))

    page.goto("/settings/import")
    expect(page.get_by_role("heading", level=1)).to_have_text("Import")
    picture(page, "import")
    send(page, path)
    expect(page.locator("#lead")).to_contain_text("Checked; nothing is changed yet.")
    expect(page.locator("#conflicts")).to_have_text("Changed here and in the file: 5 values")
    picture(page, "import-checked")
    page.get_by_role("button", name="Import it").click()
    expect(page.locator("#lead")).to_contain_text("Imported")
    expect(page.locator("section[aria-labelledby=conflicts] tbody tr")).to_have_count(5)
    picture(page, "import-done")
    page.goto("/settings/import")
    page.get_by_role("link", name="5 values").click()
    expect(page.locator("tbody tr").first).to_contain_text("Mended")
    expect(page.locator("tbody tr").first).to_contain_text("Exported")
    picture(page, "import-kept")
    page.locator("tbody tr a").first.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Mended")
    with store.reading(PRACTICE) as session:
        names = dict(session.execute(select(Patient.external_id, Patient.last_name)).all())
    assert [names[row["id"]] for row in rows[:15]] == ["Mended"] * 10 + ["Exported"] * 5


def test_a_list_with_odd_headings_is_matched_once(page: Page, tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text(LIST, encoding="utf-8")
    send(page, path)
    expect(page.locator("#lead")).to_contain_text("What do its columns hold?")
    page.get_by_label("Dates are written").select_option(label="Day first: 31/12/2031")
    for label, heading in (
        ("Date of the appointment", "Termin"),
        ("Start time", "um"),
        ("Patient’s full name", "Kundin"),
        ("Mobile number", "Händi"),
    ):
        page.get_by_label(label).select_option(label=heading)
    picture(page, "import-columns")
    for place, name in (("business", "North"), ("practitioner", "Dr Marsh"), ("appointment type", "Massage")):
        page.get_by_label(f"or the {place} of all rows").fill(name)
    page.get_by_role("button", name="Show the first rows").click()
    expect(page.locator("#understood")).to_be_visible()
    expect(page.locator("#upload")).to_contain_text("Thursday 8 May 2031, 9:30am")
    picture(page, "import-understood")
    page.get_by_role("button", name="That is right").click()
    expect(page.locator("#lead")).to_contain_text("Checked; nothing is changed yet.")
    page.get_by_label("Yes, create these").check()
    page.get_by_label("Import the good rows only").check()
    page.get_by_role("button", name="Import it").click()
    expect(page.locator("#lead")).to_contain_text("Imported")
    send(page, path)
    expect(page.locator("#lead")).to_contain_text("Its columns are matched.")


def test_without_scripts_on_a_phone_columns_are_matched_otherwise_after_the_check(
    browser: Browser, stack: Stack, tmp_path: Path
) -> None:
    path = tmp_path / "list.csv"
    path.write_text(MANY_ROWS, encoding="utf-8")
    with browsing(browser) as windows:
        context = windows.window(stack.url, 390, scripts=False)
        sign_in_browser(context, stack.host.app, stack.url, f"{Role.OWNER}@{PRACTICE}.example")
        page = windows.page(context)
        send(page, path)
        columns = {"date": "Termin", "start": "um", "name": "Kundin", "mobile": "Händi"}
        for field, heading in columns.items():
            page.locator(f"#column-{field}").select_option(label=heading)
        for place, name in (("business", "North"), ("practitioner", "Dr Marsh"), ("type", "Massage")):
            page.locator(f"#same-{place}").fill(name)
        page.get_by_label("Dates are written").select_option(label="Month first: 12/31/2031")
        check_all(page)
        expect(page.locator("#problems")).to_have_text("What is wrong in the file: 182 problems")
        page.get_by_role("button", name="Match the columns otherwise").click()
        page.get_by_label("Dates are written").select_option(label="Day first: 31/12/2031")
        check_all(page)
        expect(page.locator("#problems")).to_have_text("What is wrong in the file: 2 problems")
        expect(page.locator("section[aria-labelledby=problems]")).to_contain_text("Left out: 2 of its 300 rows.")
        page.get_by_label("Yes, create these").check()
        page.get_by_label("Import the good rows only").check()
        page.get_by_role("button", name="Import it").click()
        wait_for_the_worker(page)
        expect(page.locator("#lead")).to_contain_text("Imported")
        page.get_by_role("button", name="Import another file").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Import")


def check_all(page: Page) -> None:
    page.get_by_role("button", name="Show the first rows").click()
    page.get_by_role("button", name="That is right").click()
    wait_for_the_worker(page)


def wait_for_the_worker(page: Page) -> None:
    """Without scripts."""
    again = page.get_by_role("link", name="Look again")
    for _ in range(200):
        page.wait_for_load_state()
        if not again.count():
            return
        page.wait_for_timeout(150)
        again.click()


def large_practice(folder: Path) -> None:
    folder.mkdir()
    for name in ("patients.csv", "phone_numbers.csv"):
        some = rows_of(RIVERSIDE / name)[0]
        key = "id" if name == "patients.csv" else "patient_id"
        own = [some | {key: f"many-{number}"} for number in range(MANY)]
        write_rows(folder / name, own)


def test_a_large_practice_with_its_progress(page: Page, stack: Stack, tmp_path: Path) -> None:
    large_practice(tmp_path / "large")
    path = tmp_path / "large.zip"
    path.write_bytes(a_zip(tmp_path / "large"))
    send(page, path)
    expect(page.locator("#lead")).to_contain_text("Checked; nothing is changed yet.", timeout=300_000)
    page.get_by_role("button", name="Import it").click()
    if MANY > 20_000:  # fewer may be done before anybody looks
        expect(page.locator("#bar")).to_have_attribute("value", re.compile(r"^[1-9]\d$"), timeout=120_000)
    expect(page.locator("#lead")).to_contain_text("Imported", timeout=600_000)
    with store.reading(PRACTICE) as session:
        found = session.scalar(select(func.count()).where(Patient.external_id.startswith("many-")))
    assert found == MANY
