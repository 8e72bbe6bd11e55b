"""The enums of a SIP trunk, as a client writes them."""

from enum import Enum

import strawberry

from models.sip_trunk import (
    InboundAuthorizationType,
    MediaEncryption,
    SipCallingFormat,
    SipTransport,
    SipTrunkType,
)

__all__ = [
    "InboundAuthorizationType",
    "MediaEncryption",
    "SipCallingFormat",
    "SipTransport",
    "SipTrunkStatus",
    "SipTrunkType",
]

strawberry.enum(
    SipTrunkType,
    description="What phoneNumber holds: an extension of a PBX, or a telephone number.",
)
strawberry.enum(
    SipCallingFormat,
    description="How numbers are written towards the carrier: PLUS_E164 +12025550123, E164 12025550123, NATIONAL as "
    "dialled within the country (0741926265).",
)
strawberry.enum(
    InboundAuthorizationType,
    description="How the carrier's calls prove where they come from: AUTH by digest credentials, IP by source address.",
)
strawberry.enum(SipTransport, description="How SIP messages travel.")
strawberry.enum(
    MediaEncryption,
    description="SRTP (SDES). AUTO: inbound as offered, outbound plain. ALLOWED: inbound as offered; outbound offers "
    "SRTP only, so that a callee without it refuses with 488. REQUIRED: nothing else both ways.",
)


@strawberry.enum(description="Where a trunk stands.")
class SipTrunkStatus(Enum):
    """The visible part of models.sip_trunk.TrunkStatus."""

    PROVISIONING = strawberry.enum_value("PROVISIONING", description="Wanted, not there yet.")
    ACTIVE = strawberry.enum_value("ACTIVE", description="Both legs are in place and match what is wanted.")
    DEGRADED = strawberry.enum_value("DEGRADED", description="Was ACTIVE; a leg is missing or differs: being repaired.")
    FAILED = strawberry.enum_value("FAILED", description="Refused for good; correct it or reprovision.")
    DELETING = strawberry.enum_value("DELETING", description="Being removed from the voice backend.")
