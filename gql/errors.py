"""Domain problems as a client sees them: errors are data. The only such mapping."""

import strawberry

from trunkline.problems import Code, Notice, NoticeCode, Problem

strawberry.enum(Code, name="UserErrorCode", description="Why a request was refused.")
strawberry.enum(NoticeCode, name="WarningCode", description="What is worth knowing although the request passed.")


@strawberry.type(description="One reason why a request was refused.")
class UserError:
    """Source: trunkline.problems.Problem."""

    code: Code = strawberry.field(description="The cause, for programs.")
    message: str = strawberry.field(description="A sentence for the person at the form; it never quotes a secret.")
    field: list[str] | None = strawberry.field(
        description='Path from the argument, such as ["input", "allowedInboundIps", "1"]; null: the whole request.'
    )
    retryable: bool = strawberry.field(description="Whether the very same request may succeed later.")
    retry_after: int | None = strawberry.field(description="Seconds to wait, where a limit says so.")

    @classmethod
    def is_type_of(cls, source: object, _info: object) -> bool:
        """Problems are served as they are."""
        return isinstance(source, Problem)


@strawberry.type(description="One thing worth knowing about a request that passed.")
class Warning:  # noqa: A001  # its name in the schema
    """Source: trunkline.problems.Notice."""

    code: NoticeCode = strawberry.field(description="What it is about, for programs.")
    message: str = strawberry.field(description="A sentence for the person at the form.")
    field: list[str] | None = strawberry.field(
        description='Path from the argument, such as ["input", "sipPassword"]; null: the whole request.'
    )

    @classmethod
    def is_type_of(cls, source: object, _info: object) -> bool:
        """Notices are served as they are."""
        return isinstance(source, Notice)
