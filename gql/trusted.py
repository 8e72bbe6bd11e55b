"""Trusted documents: the ones that the operator has listed in a file. Whatever is not listed is refused unread.

The file is a JSON object, id → document: what GraphQL Code Generator's client preset writes.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from graphql import GraphQLSyntaxError, Source, TokenKind
from graphql.language import Lexer

from gql.limits import MAX_TOKENS, refuse_long
from gql.request_errors import refuse
from trunkline.settings import SettingError

SETTING = "TRUNKLINE_TRUSTED_DOCUMENTS"
SHA256 = "sha256:"  # the prefix that GraphQL over HTTP gives to such an id
UNKNOWN = "This document is not trusted here: only listed documents run, sent by their id or by their text."
NO_IDS = "Documents are not known by id here: send the text, in query."

Form = tuple[tuple[TokenKind, str | None], ...]


class TrustedDocuments:
    """The listed documents, found by id, by the SHA-256 of their text, by the text, or by its tokens."""

    def __init__(self, listed: Mapping[str, str]) -> None:
        self.listed = listed
        self._by_id = {_digest(text): text for text in listed.values()} | {
            name.removeprefix(SHA256): text for name, text in listed.items()
        }
        self._texts = frozenset(listed.values())
        self._by_form = {_form(text): text for text in self._texts}

    def by_id(self, document_id: str) -> str:
        """Give the text of an id."""
        return self._by_id.get(document_id.removeprefix(SHA256)) or refuse(UNKNOWN)

    def as_listed(self, text: str) -> str:
        """Give the listed text that this one is, but for blanks, commas and comments."""
        if text in self._texts:
            return text
        refuse_long(text)
        return self._by_form.get(_form(text)) or refuse(UNKNOWN)


def read_trusted(path: Path) -> TrustedDocuments:
    """Read the file; SettingError in one line when it cannot be one."""
    try:
        listed = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise SettingError(SETTING, f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise SettingError(SETTING, f"{path} is not JSON in UTF-8") from None
    if not isinstance(listed, dict) or not listed or not all(isinstance(text, str) for text in listed.values()):
        raise SettingError(SETTING, f"{path} must hold one JSON object of ids and documents, at least one")
    return TrustedDocuments(listed)


def document_id_in(members: Mapping[str, object]) -> str | None:
    """Find the id in what a client sent: documentId (GraphQL over HTTP), or Apollo's persistedQuery extension."""
    extensions = members.get("extensions")
    persisted = extensions.get("persistedQuery") if isinstance(extensions, dict) else None
    given = members.get("documentId") or (persisted.get("sha256Hash") if isinstance(persisted, dict) else None)
    return given if isinstance(given, str) else None


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _form(text: str) -> Form:
    """Its tokens, as far as a document may go; of what is no GraphQL none, which is no listed document's form."""
    lexer, form = Lexer(Source(text)), list[tuple[TokenKind, str | None]]()
    try:
        while (token := lexer.advance()).kind is not TokenKind.EOF and len(form) <= MAX_TOKENS:
            form.append((token.kind, token.value))
    except GraphQLSyntaxError:
        return ()
    return tuple(form)
