"""The setup sheet of a trunk as a client sees it."""

import strawberry

from gql.sip_trunk_enums import SipTransport
from trunkline.setup_sheets import Entry, Sheet


@strawberry.type(description="One thing to enter at the carrier.")
class SetupStep:
    """Source: trunkline.setup_sheets.Entry."""

    where: str = strawberry.field(description="The place in its console, in its own words.")
    what: str = strawberry.field(description="What to do there.")
    value: str | None = strawberry.field(description="The text to paste; never the password.")

    @classmethod
    def is_type_of(cls, source: object, _info: object) -> bool:
        """Served as it is."""
        return isinstance(source, Entry)


@strawberry.type(description="What to enter at the carrier so that calls arrive and are taken.")
class SetupSheet:
    """Source: trunkline.setup_sheets.Sheet."""

    markdown: str = strawberry.field(description="The whole sheet as a page.")
    sip_uri: str | None = strawberry.field(
        description="Where the carrier sends calls to; null while TRUNKLINE_SIP_HOST is not set."
    )
    transport: SipTransport = strawberry.field(description="The trunk's transport.")
    steps: list[SetupStep] = strawberry.field(description="The same, step by step.")

    @classmethod
    def is_type_of(cls, source: object, _info: object) -> bool:
        """Served as it is."""
        return isinstance(source, Sheet)
