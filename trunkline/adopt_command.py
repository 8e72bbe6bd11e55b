"""The command `adopt`: shows what could be adopted, and takes over what is named. Runs beside a server that serves."""

import asyncio
import os
from typing import TYPE_CHECKING

import click

from trunkline.settings import read_settings

if TYPE_CHECKING:
    from trunkline.adoption import Offer, Wish
    from trunkline.services import Services


@click.command("adopt")
@click.argument("inbound_id", required=False)
@click.argument("outbound_id", required=False)
@click.option("--country", help="ISO 3166-1 alpha-2, where the number does not tell it.")
@click.option("--address", help="The carrier's host or host:port, for a trunk without an outbound one.")
@click.option("--accept-changes", default="", help="Changes that are meant, by their names, separated by commas.")
@click.option("--from-installation", help="Take objects of this other installation, whose database is lost.")
def adopt(inbound_id: str | None, outbound_id: str | None, **said: str | None) -> None:
    """Take over trunks that exist in the LiveKit project, in place. Without an id: show what there is."""
    from trunkline.adoption import Wish
    from trunkline.found_trunks import Said

    accepted = frozenset(filter(None, (said["accept_changes"] or "").replace(" ", "").split(",")))
    told = Said(said["country"], said["address"])
    wish = Wish(inbound_id or "", outbound_id, told, accepted, said["from_installation"])
    asyncio.run(_adopt(wish) if inbound_id else _show())


async def _show() -> None:
    from trunkline.adoption import offers
    from trunkline.asgi import services_of
    from trunkline.start import started

    settings = read_settings(os.environ)
    async with started(settings) as start, services_of(settings, start) as services:
        found, lonely = await offers(services, start.workspace_id)
        for offer in found:
            _tell(offer, services)
        for held in lonely:
            click.echo(f"{held.voice_id}: an outbound trunk of no inbound one")
        if not found and not lonely:
            click.echo("Nothing is left to adopt.")


def _tell(offer: "Offer", services: "Services") -> None:
    ids = " ".join(held.voice_id for held in offer.found.trunks)
    number = f"  {offer.wanted.phone_number}" if offer.wanted else ""
    click.echo(f"{ids}{number}  {offer.found.name}".rstrip())
    if offer.installation == services.installation_id:
        click.echo("  made by this installation, with a newer copy of its database")
    elif offer.installation:
        click.echo(f"  made by another installation: --from-installation {offer.installation}")
    for each in offer.missing:
        click.echo(f"  missing: {each}")
    for change in offer.changes:
        click.echo(f"  changes: {change.what} from {change.before!r} to {change.after!r}")
    for rule in offer.found.rules:
        fate = "comes along" if rule.marker else "stays as it is"
        click.echo(f"  rule {rule.voice_id} sends its calls; it {fate}")


async def _adopt(wish: "Wish") -> None:
    from trunkline.adoption import ADOPTER
    from trunkline.adoption import adopt as adopted
    from trunkline.asgi import services_of
    from trunkline.events import by_itself
    from trunkline.start import started
    from trunkline.trunks import converged_by

    settings = read_settings(os.environ)
    async with started(settings) as start, services_of(settings, start) as services:
        result = await adopted(services, start.workspace_id, wish)
        if isinstance(result, list):
            raise click.ClickException("\n".join(["Not adopted, and nothing is changed.", *result]))
        deadline = asyncio.get_running_loop().time() + settings.provision_timeout
        by = by_itself(start.workspace_id, ADOPTER)
        error = await converged_by(services, result, deadline, by=by)
        click.echo(f"Adopted as {result}.")
        if error:
            click.echo(f"It is not marked yet: {error.detail} A running server goes on with it.")
