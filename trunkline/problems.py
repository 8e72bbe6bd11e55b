"""What can be wrong with a request, as values. Nothing here is raised and nothing here knows GraphQL or a database.

Problem             refuses the request                     -> GraphQL UserError
  code              one of Code
  message           a sentence for the person at the form; never quotes a secret
  field             path from the argument, or None for the whole request
  retryable         the very same request may succeed later
  retry_after       seconds, where a limit says so
Notice              lets the request pass, but tells something -> GraphQL Warning
  code, message, field
"""

from dataclasses import dataclass
from enum import StrEnum

Path = tuple[str, ...]


class Code(StrEnum):
    """Why a request was refused."""

    REQUIRED = "REQUIRED"
    TOO_SHORT = "TOO_SHORT"
    TOO_LONG = "TOO_LONG"
    INVALID_FORMAT = "INVALID_FORMAT"
    INVALID_PHONE_NUMBER = "INVALID_PHONE_NUMBER"
    INVALID_COUNTRY = "INVALID_COUNTRY"
    COUNTRY_MISMATCH = "COUNTRY_MISMATCH"
    ADDRESS_HAS_PORT = "ADDRESS_HAS_PORT"
    ADDRESS_IS_URI = "ADDRESS_IS_URI"
    INVALID_ADDRESS = "INVALID_ADDRESS"
    ADDRESS_NOT_ALLOWED = "ADDRESS_NOT_ALLOWED"
    INVALID_IP = "INVALID_IP"
    IP_REQUIRED = "IP_REQUIRED"
    IP_NOT_ALLOWED = "IP_NOT_ALLOWED"
    OUT_OF_RANGE = "OUT_OF_RANGE"
    CONFLICTING_FIELDS = "CONFLICTING_FIELDS"
    UNKNOWN_PROVIDER = "UNKNOWN_PROVIDER"
    ALREADY_EXISTS = "ALREADY_EXISTS"
    NUMBER_IN_USE = "NUMBER_IN_USE"
    NOT_FOUND = "NOT_FOUND"
    STALE_REVISION = "STALE_REVISION"
    IDEMPOTENCY_KEY_REUSED = "IDEMPOTENCY_KEY_REUSED"
    IN_USE = "IN_USE"
    LIMIT_REACHED = "LIMIT_REACHED"
    RATE_LIMITED = "RATE_LIMITED"
    FORBIDDEN = "FORBIDDEN"
    VOICE_UNAVAILABLE = "VOICE_UNAVAILABLE"
    VOICE_REFUSED = "VOICE_REFUSED"
    VOICE_MISCONFIGURED = "VOICE_MISCONFIGURED"
    OUTCOME_UNKNOWN = "OUTCOME_UNKNOWN"


class NoticeCode(StrEnum):
    """What is worth knowing although the request passed."""

    WEAK_PASSWORD = "WEAK_PASSWORD"  # noqa: S105  # a code, not a password
    WIDE_IP_RANGE = "WIDE_IP_RANGE"
    PUBLIC_IP_EXPECTED = "PUBLIC_IP_EXPECTED"
    PROVIDER_MISMATCH = "PROVIDER_MISMATCH"
    PROVIDER_NEEDS_REGISTRATION = "PROVIDER_NEEDS_REGISTRATION"
    SRTP_KEYS_EXPOSED = "SRTP_KEYS_EXPOSED"
    COUNTRY_DETECTED = "COUNTRY_DETECTED"
    ADDRESS_NOT_RESOLVED = "ADDRESS_NOT_RESOLVED"


@dataclass(frozen=True, slots=True)
class Problem:
    """One reason why a request was refused."""

    code: Code
    message: str
    field: Path | None = None
    retryable: bool = False
    retry_after: int | None = None


@dataclass(frozen=True, slots=True)
class Notice:
    """One thing worth knowing about a request that passed."""

    code: NoticeCode
    message: str
    field: Path | None = None
