"""Who signs in to the pages."""

import click

from portal import clock
from portal.actions import staff
from portal.actions.staff import Invited
from portal.actions.who import COMMAND_LINE
from portal.commands.base import (
    Installation,
    installation,
    iso,
    json_option,
    pick_practice,
    practice_option,
    print_json,
    print_rows,
)
from portal.commands.host import HOST, WEB_PORT, port_type
from portal.core.phrases import plain
from portal.core.roles import Role
from portal.invitations import VALID_FOR, link_for
from portal.store.staff import User


@click.group()
def user() -> None:
    """Who signs in to the pages.

    Each gets a link, and chooses a password there.
    """


_port_option = click.option(
    "--port",
    type=port_type,
    default=WEB_PORT,
    show_default=True,
    help="Of the pages, for the link where PORTAL_PUBLIC_URL is not set.",
)


@user.command("add")
@click.argument("email")
@click.option("--name", help="Default: what stands before the @.")
@click.option("--role", type=click.Choice([role.value for role in Role]), default=Role.OWNER.value, show_default=True)
@click.option("--practitioner", metavar="ID", default="", help="For a practitioner: the id of the export.")
@practice_option
@_port_option
@json_option
def add(
    email: str, name: str | None, role: str, practitioner: str, practice: str | None, port: int, as_json: bool
) -> None:
    """Make an account, and print its link."""
    name = name or email.split("@")[0]
    with installation() as here:
        if role == Role.SYSADMIN:
            if practice or practitioner:
                raise click.UsageError("A sysadmin belongs to no practice.")
            invited = staff.invite_sysadmin(name, email, clock.now())
        else:
            id_ = pick_practice(practice)
            row = staff.find_practitioner_row(id_, practitioner) if practitioner else ""
            invited = staff.invite(id_, name, email, role, row, COMMAND_LINE, clock.now())
        _print_link(here, invited, port, as_json)


@user.command("list")
@practice_option
@json_option
def list_(practice: str | None, as_json: bool) -> None:
    """Every account, of one practice or of all."""
    with installation():
        found = staff.list_users(pick_practice(practice) if practice else None)
    if as_json:
        print_json([_as_json(one) for one in found])
        return
    rows = [(one.email, one.name, one.practice_id or "", one.role, _state(one)) for one in found]
    print_rows(("email", "name", "practice", "role", "signs in"), rows)
    if not found:
        click.echo("Nobody can sign in yet: `portal user add EMAIL`, or the set-up page.")


@user.command("link")
@click.argument("email")
@_port_option
@json_option
def link(email: str, port: int, as_json: bool) -> None:
    """Give a new link, e.g. for a lost password or phone.

    The old password and the second factor end at once.
    """
    with installation() as here:
        invited = staff.give_new_link_by_address(email, COMMAND_LINE, clock.now())
        _print_link(here, invited, port, as_json)


@user.command("off")
@click.argument("email")
@json_option
def off(email: str, as_json: bool) -> None:
    """Let somebody sign in no more; ends their sessions."""
    _switch(email, False, as_json)


@user.command("on")
@click.argument("email")
@json_option
def on(email: str, as_json: bool) -> None:
    """Let somebody sign in again."""
    _switch(email, True, as_json)


def _switch(email: str, active: bool, as_json: bool) -> None:
    with installation():
        found = staff.switch_by_address(email, active, COMMAND_LINE, clock.now())
    if as_json:
        print_json(_as_json(found))
    else:
        click.echo(f"{plain(found.name)} is switched {'on' if active else 'off, and signed out everywhere'}.")


def _print_link(here: Installation, invited: Invited, port: int, as_json: bool) -> None:
    now = clock.now()
    base = here.settings.public_url or f"http://{HOST}:{port}"
    address = link_for(here.app.config["SECRET_KEY"], base, invited.uniquifier, now)
    if as_json:
        print_json({"email": invited.email, "name": invited.name, "link": address, "until": iso(now + VALID_FOR)})
        return
    click.echo(f"Hand this link to {plain(invited.name)}. It works once, for {VALID_FOR.days} days:")
    click.echo(address)


def _as_json(one: User) -> dict[str, object]:
    return {
        "email": one.email,
        "name": one.name,
        "practice": one.practice_id,
        "role": one.role,
        "active": one.active,
        "joined_at": iso(one.joined_at),
        "second_factor": one.tf_primary_method is not None,
    }


def _state(one: User) -> str:
    if not one.active:
        return "switched off"
    if one.password is None:
        return "not yet: has a link"
    return "password and code" if one.tf_primary_method else "password"
