"""The day's line by mail: to whom wants it, once, after the first pass. On both databases."""

from datetime import timedelta
from typing import Any

from flask import Flask

from portal import store
from portal.actions.daily_line import mail_lines
from portal.actions.remind import run_pass
from portal.actions.staff import choose_daily_line
from portal.core.reminders import Sending
from portal.mail import MailFailed
from tests.builders import PASS_AT, Clinic

HOUR = timedelta(hours=1)
PORTAL = "https://reminders.example.com"


class Post(list[tuple[str, str, str]]):
    """A mail server. `is_away`: takes nothing."""

    is_away = False

    def __call__(self, to: str, subject: str, text: str) -> None:
        if self.is_away:
            raise MailFailed("The mail server did not take it.")
        self.append((to, subject, text))


def want(email: str, *, names: bool = False) -> None:
    with store.everything() as session:
        user = store.staff.find_by(session, "email", email)
        assert user
    choose_daily_line(user.id, True, names, PASS_AT)


def a_clinic(**practice: Any) -> Clinic:
    clinic = Clinic(**practice)
    clinic.book("a")
    clinic.book("b", patient={"mobile": None, "first_name": "Ada", "last_name": "Byron"})
    return clinic


def test_it_goes_once_after_the_first_pass_and_to_whom_wants_it(app: Flask) -> None:
    clinic, post = a_clinic(), Post()
    want("owner@riverside.example")
    want("reception@riverside.example", names=True)
    assert mail_lines(post, PORTAL, PASS_AT) == 0  # no pass has run
    run_pass(clinic.id, PASS_AT, PASS_AT)
    assert mail_lines(post, PORTAL, PASS_AT + timedelta(minutes=5)) == 2
    assert mail_lines(post, PORTAL, PASS_AT + timedelta(minutes=10)) == 0
    subject = "Riverside: 1 of 2 patients with appointments tomorrow will be texted"
    said = "1 of 2 patients with appointments tomorrow will be texted.\n\n1 will not:\n- No mobile number on file: "
    assert post == [
        ("owner@riverside.example", subject, f"{said}1\n\n{PORTAL}/"),
        ("reception@riverside.example", subject, f"{said}Ada Byron (9:30am)\n\n{PORTAL}/"),
    ]
    tomorrow = PASS_AT + timedelta(days=1)
    run_pass(clinic.id, tomorrow, tomorrow)
    assert mail_lines(post, None, tomorrow) == 2
    assert post[2][1] == "Riverside: No appointment tomorrow needs a reminder"


def test_where_all_is_well_it_is_one_sentence(app: Flask) -> None:
    clinic, post = Clinic(), Post()
    clinic.book("a")
    clinic.book("b")
    want("owner@riverside.example")
    run_pass(clinic.id, PASS_AT, PASS_AT)
    mail_lines(post, None, PASS_AT)
    assert [text for *_, text in post] == ["All 2 patients with appointments tomorrow will be texted."]


def test_it_does_not_go_when_the_days_passes_are_over(app: Flask) -> None:
    clinic, post = a_clinic(), Post()
    want("owner@riverside.example")
    run_pass(clinic.id, PASS_AT, PASS_AT)
    assert mail_lines(post, None, PASS_AT + 6 * HOUR) == 0


def test_a_mail_server_that_was_away_is_tried_again(app: Flask) -> None:
    clinic, post = a_clinic(), Post()
    want("owner@riverside.example")
    run_pass(clinic.id, PASS_AT, PASS_AT)
    post.is_away = True
    assert mail_lines(post, None, PASS_AT) == 0
    post.is_away = False
    assert mail_lines(post, None, PASS_AT + timedelta(minutes=5)) == 1


def test_while_the_practice_rehearses_the_line_says_so(app: Flask) -> None:
    clinic, post = a_clinic(sending=Sending.REHEARSAL), Post()
    want("owner@riverside.example")
    run_pass(clinic.id, PASS_AT, PASS_AT)
    mail_lines(post, None, PASS_AT)
    assert post[0][1] == "Riverside: Sending is off: nobody is texted about appointments tomorrow"
    assert "1 of 2 patients" in post[0][2]


def test_each_practice_is_told_of_its_own_only(app: Flask) -> None:
    post = Post()
    for name in ("riverside", "northgate"):
        run_pass(a_clinic(id=name).id, PASS_AT, PASS_AT)
    want("owner@northgate.example", names=True)
    assert mail_lines(post, None, PASS_AT) == 1
    assert post[0][:2] == (
        "owner@northgate.example",
        "Northgate: 1 of 2 patients with appointments tomorrow will be texted",
    )


def test_who_has_left_is_not_mailed(app: Flask) -> None:
    clinic, post = a_clinic(), Post()
    want("owner@riverside.example")
    with store.everything(write=True) as session:
        store.staff.find_by(session, "email", "owner@riverside.example").active = False
    run_pass(clinic.id, PASS_AT, PASS_AT)
    assert mail_lines(post, None, PASS_AT) == 0
