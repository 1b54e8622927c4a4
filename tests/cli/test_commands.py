"""Each command prints for people or as JSON, says errors in words, and ends with the status that scripts rely on."""

import stat
from pathlib import Path

import pytest
from flask import Flask

from portal.actions.remind import run_pass
from portal.config import Settings
from portal.core.reasons import Reason
from portal.core.reminders import POLICY
from tests.builders import PASS_AT, Clinic, a_practice
from tests.cli.conftest import Portal

PRACTICES = Path(__file__).parent.parent / "practices"


def test_help_lists_every_command_and_none_of_the_inner_ones(portal: Portal) -> None:
    shown = portal("--help").out
    for name in (
        *("init", "import", "enqueue", "worker", "passes", "credits", "sending", "log", "why", "preview"),
        *("simulator", "up", "demo", "down", "doctor"),
    ):
        assert f"\n  {name} " in shown
    assert "\n  web" not in shown
    assert "..." not in shown.partition("Commands:")[2]  # every short help fits


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_init_makes_the_database_its_owners_only_and_then_finds_it_up_to_date(
    portal: Portal, settings: Settings
) -> None:
    (settings.data_dir / "portal.db").unlink()
    refused = portal("log")
    assert (refused.code, refused.out) == (1, "")
    assert refused.err == "The database is not set up yet: run `portal init`.\n"
    made = portal("init", "--json").json
    assert (made["database"], made["before"]) == ("sqlite", None)
    assert portal("init").out == "The database is up to date.\n"
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in settings.data_dir.iterdir()}
    assert set(modes.values()) == {0o600}, modes
    assert stat.S_IMODE(settings.data_dir.stat().st_mode) == 0o700


@pytest.mark.parametrize("command", [["log"], ["why", "1"], ["preview"], ["credits", "show"], ["sending", "on"]])
def test_without_a_practice_it_says_how_to_get_one(portal: Portal, command: list[str]) -> None:
    result = portal(*command)
    assert (result.code, result.out) == (1, "")
    assert result.err == "There is no practice yet: `portal import DIR` makes one, or you do in the browser.\n"


def test_with_several_practices_one_is_picked_by_name(app: Flask, portal: Portal) -> None:
    a_practice("northgate", credits=3)
    a_practice("riverside", credits=4)
    for unclear in (portal("credits", "show"), portal("credits", "show", "--practice", "elsewhere")):
        assert (unclear.code, unclear.out) == (2, "")
        assert "northgate, riverside" in unclear.err
    assert portal("credits", "show", "--practice", "northgate", "--json").json["balance"] == 3
    assert portal("credits", "show", "--practice", "riverside", "--json").json["balance"] == 4


def test_an_export_is_imported_once_and_the_second_time_changes_nothing(portal: Portal) -> None:
    first = portal("import", str(PRACTICES / "riverside"), "--json")
    assert first.code == 0
    assert first.json["counts"]["patients.csv"]["added"] == 320
    second = portal("import", str(PRACTICES / "riverside"))
    assert second.code == 0
    assert "Practice riverside is up to date" in second.out
    assert portal("log", "--json").out == ""


def test_a_bad_row_is_named_on_standard_error_and_nothing_is_imported(portal: Portal, tmp_path: Path) -> None:
    for file in (PRACTICES / "riverside").iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    with (tmp_path / "businesses.csv").open("a") as file:
        file.write("77,Olympus,Mars/Olympus,,On\n")
    result = portal("import", str(tmp_path))
    assert result.code == 1
    assert "businesses.csv:6: timezone:" in result.err
    assert "1 problem: nothing was imported." in result.err
    assert portal("log").err == "There is no practice yet: `portal import DIR` makes one, or you do in the browser.\n"
    nowhere = portal("import", str(tmp_path / "nowhere"))
    assert (nowhere.code, nowhere.out) == (1, "")
    assert nowhere.err


def test_credits_are_topped_up_and_shown(app: Flask, portal: Portal) -> None:
    a_practice(credits=5)
    topped_up = portal("credits", "top-up", "7", "--reference", "invoice 12")
    assert topped_up.out == "7 credits added; the balance of riverside is 12.\n"
    shown = portal("credits", "show", "--json").json
    assert shown["balance"] == 12
    assert [(entry["amount"], entry["kind"], entry["reference"]) for entry in shown["entries"]] == [
        (7, "top-up", "invoice 12"),
        (5, "opening", ""),
    ]
    assert [entry["amount"] for entry in portal("credits", "show", "--most", "1", "--json").json["entries"]] == [7]
    assert "invoice 12" in portal("credits", "show").out


@pytest.mark.parametrize("amount", ["0", "-5", "1000001", "99999999999999999999"])
def test_a_senseless_top_up_is_refused(app: Flask, portal: Portal, amount: str) -> None:
    a_practice(credits=5)
    result = portal("credits", "top-up", "--", amount)
    assert (result.code, result.err) == (1, "A top-up is a whole number from 1 to 1,000,000.\n")
    assert portal("credits", "show", "--json").json["balance"] == 5


def test_what_is_no_number_is_wrong_usage(app: Flask, portal: Portal) -> None:
    a_practice()
    assert portal("credits", "top-up", "many").code == 2
    assert portal("sending", "off").code == 2
    assert portal("log", "--status", "lost").code == 2
    assert portal("preview", "--date", "8 May").code == 2
    assert portal("enqueue", "--at", "2031-05-07 10:00").code == 2
    assert portal("nonsense").code == 2


def test_the_main_switch_is_turned_and_stays_the_staffs(app: Flask, portal: Portal) -> None:
    portal("import", str(PRACTICES / "riverside"))
    assert portal("sending", "paused", "--json").json == {
        "practice": "riverside",
        "sending": "paused",
        "before": "on",
    }
    portal("import", str(PRACTICES / "riverside"))  # its practice.json says on
    assert portal("sending", "rehearsal", "--json").json["before"] == "paused"


def test_the_log_is_printed_as_the_interface_has_it(app: Flask, portal: Portal) -> None:
    clinic = Clinic(credits=1)
    clinic.book("a")
    clinic.book("b", starts="2031-05-08 10:00")
    clinic.book("c", patient={"mobile": None})
    run_pass(clinic.id, PASS_AT, PASS_AT)
    result = portal("log", "--json")
    log = {message["appointment"]: message for message in result.json_lines}
    assert [message["id"] for message in result.json_lines] == sorted(message["id"] for message in log.values())
    sent = log["a"]
    assert sent == {
        "id": sent["id"],
        "practice": "riverside",
        "direction": "outbound",
        "kind": "reminder",
        "appointment": "a",
        "patient": "a",
        "to": "+61491570006",
        "body": "Hi Mia, see you 08/05/2031 9:30am.",
        "segments": 1,
        "status": "queued",
        "reasons": [],
        "provider_id": None,
        "attempts": 0,
        "created_at": "2031-05-07T00:00:00Z",
        "revision": 0,
        "pass_at": "2031-05-07T00:00:00Z",
        "sent_at": None,
        "events": [{"at": "2031-05-07T00:00:00Z", "event": "queued", "detail": ""}],
    }
    assert (log["b"]["status"], log["b"]["reasons"], log["b"]["segments"]) == ("failed", ["no-credits"], 1)
    nobody = log["c"]
    assert (nobody["status"], nobody["reasons"]) == ("not-sent", ["no-mobile-number"])
    assert (nobody["to"], nobody["body"], nobody["segments"]) == (None, None, None)

    assert [m["appointment"] for m in portal("log", "--json", "--status", "failed").json_lines] == ["b"]
    assert [m["appointment"] for m in portal("log", "--json", "--appointment", "c").json_lines] == ["c"]
    newest = [m["id"] for m in portal("log", "--json", "--most", "2").json_lines]
    assert newest == sorted(m["id"] for m in log.values())[1:]
    unknown = portal("log", "--appointment", "nix")
    assert (unknown.code, unknown.err) == (1, "There is no appointment 'nix'.\n")

    shown = portal("log").out
    assert "0491 570 006" in shown
    assert "⊘ Not sent" in shown
    assert "No mobile number on file" in shown
    assert "There are older ones" in portal("log", "--most", "1").out


def test_a_diagnosis_is_printed_as_the_interface_has_it(app: Flask, portal: Portal) -> None:
    clinic = Clinic()
    clinic.book("a", patient={"mobile": None})
    run_pass(clinic.id, PASS_AT, PASS_AT)
    now = PASS_AT.replace(minute=5)
    why = portal("why", "a", "--json", at=now).json
    assert (why["appointment"], why["status"], why["reasons"]) == ("a", "not-sent", ["no-mobile-number"])
    assert [check["code"] for check in why["checks"]] == [rule.reason for rule in POLICY] + [Reason.NO_CREDITS]
    (crossed,) = [check for check in why["checks"] if not check["ok"]]
    assert (crossed["code"], crossed["detail"], crossed["fix"], crossed["place"]) == (
        "no-mobile-number",
        "Mia has no phone number.",
        "Add a mobile",
        "/patients/1",
    )
    assert why["recorded"] == [{"at": "2031-05-07T00:00:00Z", "status": "not-sent", "reasons": ["no-mobile-number"]}]
    assert why["next_pass_at"] == "2031-05-07T01:00:00Z"

    shown = portal("why", "a", at=now).out
    assert "Why didn't Mia Nguyen get a reminder for tomorrow, 9:30am?" in shown
    assert "✕ Mobile number" in shown
    assert "✓ Credits" in shown
    assert "Next try: today at 11am, if nothing above is crossed." in shown
    unknown = portal("why", "nix")
    assert (unknown.code, unknown.out, unknown.err) == (1, "", "There is no appointment 'nix'.\n")


def test_a_preview_says_who_is_reached_and_what_it_costs(app: Flask, portal: Portal) -> None:
    clinic = Clinic(credits=1)
    clinic.book("a")
    clinic.book("b", patient={"mobile": None})
    before = PASS_AT.replace(hour=23, day=6)
    found = portal("preview", "--json", at=before).json
    assert (found["date"], found["credits"], found["credits_needed"]) == ("2031-05-08", 1, 1)
    assert [(line["appointment"], line["status"], line["reasons"]) for line in found["appointments"]] == [
        ("a", "queued", []),
        ("b", "not-sent", ["no-mobile-number"]),
    ]
    assert {line["pass_at"] for line in found["appointments"]} == {"2031-05-07T00:00:00Z"}
    shown = portal("preview", "--date", "2031-05-08", at=before).out
    assert "1 will be texted" in shown
    assert "1 will not, unless mended" in shown
    assert "There are none." in portal("preview", "--date", "2031-06-08", at=before).out


def test_passes_are_listed_the_newest_first(app: Flask, portal: Portal) -> None:
    assert "No pass has run yet" in portal("passes").out
    clinic = Clinic()
    clinic.book("a")
    run_pass(clinic.id, PASS_AT, PASS_AT)
    run_pass(clinic.id, PASS_AT.replace(hour=1), PASS_AT)
    passes = portal("passes", "--json").json_lines
    assert [(one["at"], one["considered"], one["queued"]) for one in passes] == [
        ("2031-05-07T01:00:00Z", 0, 0),
        ("2031-05-07T00:00:00Z", 1, 1),
    ]
    assert passes[0]["practice"] == "riverside"
    assert passes[0]["businesses"] == ["1"]
    assert passes[0].keys() >= {"not_sent", "failed", "seconds"}
    assert len(portal("passes", "--json", "--most", "1").json_lines) == 1


def test_the_script_enqueues_what_is_due(app: Flask, portal: Portal) -> None:
    clinic = Clinic()
    clinic.book("a")
    done = portal("enqueue", "--at", "2031-05-07T10:00:00+10:00", "--json")
    assert done.code == 0
    assert done.json.keys() == {"practices", "requeued", "swept", "seconds"}
    assert done.json["practices"] == 1
    assert "1 practice due" in portal("enqueue", "--at", "2031-05-07T10:00:00+10:00").out


def test_hostile_names_reach_a_terminal_as_text(app: Flask, portal: Portal) -> None:
    clinic = Clinic()
    clinic.book("a", patient={"first_name": "[red]\x1b[31m", "last_name": "{x}\u202e", "mobile": None})
    run_pass(clinic.id, PASS_AT, PASS_AT)
    for command in (["log"], ["why", "a"], ["preview", "--date", "2031-05-08"]):
        shown = portal(*command, at=PASS_AT).out
        assert "[red]" in shown
        assert "\x1b" not in shown
        assert "\u202e" not in shown
