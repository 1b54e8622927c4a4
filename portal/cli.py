"""The command `portal`."""

import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import click
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from portal import __version__
from portal.actions.credits import CreditsRefused
from portal.actions.diagnose import NoSuchAppointment
from portal.actions.import_practice import CannotImport
from portal.actions.staff import NoSuchColleague, StaffRefused
from portal.commands import doctor, host, log, practice, together, user
from portal.config import ConfigError
from portal.embedded import RedisUnavailable
from portal.enqueue import Refused
from portal.errors import describe
from portal.sms.gateway import AccountError
from portal.store.practices import NoSuchPractice
from portal.supervisor import SupervisorError

# Their texts are words for people.
SAID_IN_WORDS = (
    AccountError,
    CannotImport,
    ConfigError,
    CreditsRefused,
    NoSuchAppointment,
    NoSuchColleague,
    NoSuchPractice,
    RedisUnavailable,
    Refused,
    StaffRefused,
    SupervisorError,
)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="portal")
def cli() -> None:
    """SMS appointment reminders: every due appointment is texted once, or there is a reason why not."""


for command in (
    host.init,
    practice.import_,
    host.enqueue_,
    host.worker,
    log.passes,
    practice.credits,
    practice.sending,
    user.user,
    log.log,
    log.why,
    log.preview_,
    host.simulator,
    together.up,
    together.demo_,
    together.down,
    doctor.doctor,
    host.web,
    host.clock_,
):
    cli.add_command(command)


def main(arguments: Sequence[str] | None = None) -> None:
    """Ends the process: 0 done, 1 refused or failed, 2 wrong usage. Errors go to standard error in words."""
    os.umask(0o077)  # whatever we write is our user's only
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError):
            stream.reconfigure(errors="replace")  # type: ignore[union-attr]  # a terminal without our signs
    sys.exit(_in_words(lambda: cli.main(arguments, prog_name="portal", standalone_mode=False)))


def _in_words(run: Callable[[], Any]) -> int:
    try:
        run()
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except SAID_IN_WORDS as error:
        return _failed(str(error))
    except (KeyboardInterrupt, click.Abort):
        return _failed("Interrupted.")
    except BrokenPipeError:  # e.g. into head
        with suppress(OSError):
            sys.stdout.close()
        return 1
    except OperationalError as error:
        # Not the whole text: it ends with the statement and its values.
        return _failed(f"The database cannot be used: {' '.join(str(error.orig).split())}")
    except SQLAlchemyError as error:
        return _failed(f"The database refused something: {describe(error)}")
    except Exception as error:
        return _failed(f"Something failed that should not: {describe(error)}")
    return 0


def _failed(sentence: str) -> int:
    click.echo(sentence, err=True)
    return 1
