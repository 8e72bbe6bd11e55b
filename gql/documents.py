"""Documents parsed and validated once: a bounded cache by text, and the Strawberry schema that works through it."""

from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import aclosing
from copy import copy
from dataclasses import dataclass
from typing import Any, cast

import strawberry
from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
    parse,
    specified_rules,
    validate,
)
from strawberry.extensions import SchemaExtension
from strawberry.schema.config import StrawberryConfig
from strawberry.schema.validation_rules.maybe_null import MaybeNullValidationRule
from strawberry.schema.validation_rules.one_of import OneOfInputValidationRule
from strawberry.types.execution import PreExecutionError

from gql.executor import Executor
from gql.limits import MAX_TOKENS, refuse_costly, refuse_long
from gql.observed import observe_operations
from gql.request_errors import RequestErrors, refuse
from gql.trusted import NO_IDS, SETTING, TrustedDocuments, document_id_in
from trunkline.observation import current
from trunkline.settings import SettingError

RULES = (*specified_rules, MaybeNullValidationRule, OneOfInputValidationRule)
MAX_ERRORS = 5  # each looks for similar names in the schema, which is what takes time
MAX_DOCUMENTS = 512
MAX_CACHED_TOKENS = 64_000  # about 600 bytes of memory each


@dataclass(slots=True)
class Document:
    """A document that was parsed, and what is known of it."""

    text: str
    node: DocumentNode
    valid: bool = False
    weighed: bool = False  # and found bearable, whatever its variables

    @property
    def tokens(self) -> int:
        """How large it is in memory, in tokens; the parser notes it where no type tells."""
        return int(getattr(self.node, "token_count", MAX_TOKENS))


class Shelf:
    """Documents by their text, bounded in number and in size, least recently used first out."""

    def __init__(self, documents: int, tokens: int) -> None:
        self.most_documents, self.most_tokens = documents, tokens
        self.tokens = 0
        self.kept: OrderedDict[str, Document] = OrderedDict()

    def put(self, text: str, document: Document) -> None:
        """Keep a document as the most recently used one."""
        self.take(text)
        self.kept[text] = document
        self.tokens += document.tokens
        while len(self.kept) > self.most_documents or self.tokens > self.most_tokens:
            self.take(next(iter(self.kept)))

    def take(self, text: str) -> Document | None:
        """Take a document out, if it is there."""
        document = self.kept.pop(text, None)
        self.tokens -= document.tokens if document else 0
        return document


class Documents:
    """Valid documents by their text, on two shelves.

    A text is new until it is sent again; then it is proven. So a client that sends a new text each time pushes out
    nothing but other new texts. What was refused is not kept at all. With `trusted` no other document is even parsed.
    """

    def __init__(
        self,
        schema: GraphQLSchema,
        documents: int = MAX_DOCUMENTS,
        tokens: int = MAX_CACHED_TOKENS,
        trusted: TrustedDocuments | None = None,
    ) -> None:
        self.schema, self.trusted = schema, trusted
        self.parsed = self.validated = 0  # how often: what tests and metrics count
        self._proven = Shelf(documents * 3 // 4, tokens * 3 // 4)
        self._new = Shelf(documents // 4, tokens // 4)

    def open(self, text: str, variables: Mapping[str, Any] | None) -> Document:
        """Give the document of a text, bearable with these variables; raise the GraphQLError that refuses it."""
        if self.trusted:
            text = self.trusted.as_listed(text)
        document = self._recall(text)
        if document is None:
            refuse_long(text)
            self.parsed += 1
            document = Document(text, parse(text, max_tokens=MAX_TOKENS))
        if not document.weighed:
            document.weighed = not refuse_costly(self.schema, document.node, variables)
        return document

    def text_of(self, members: Mapping[str, object]) -> str | None:
        """Give the text that a request's members mean: `query`, else what an id stands for; None without either."""
        query, document_id = members.get("query"), document_id_in(members)
        if isinstance(query, str) and query.strip():
            return query
        if document_id is None:
            return None
        return self.trusted.by_id(document_id) if self.trusted else refuse(NO_IDS)

    def problems_in(self, document: Document) -> list[GraphQLError]:
        """Validate a document unless that was done before; keep it when it is valid."""
        if document.valid:
            return []
        self.validated += 1
        problems = validate(self.schema, document.node, RULES, MAX_ERRORS)
        if not problems:
            document.valid = True
            self._new.put(document.text, document)
        return problems

    def _recall(self, text: str) -> Document | None:
        document = self._proven.take(text) or self._new.take(text)
        if document is not None:
            self._proven.put(text, document)
        return document


class OpenDocument(SchemaExtension):
    """Puts the cache in the place of Strawberry's parsing and validation."""

    document: Document

    def on_parse(self) -> Iterator[None]:
        """Refuse or open the document before Strawberry would parse it."""
        context = self.execution_context
        if context.query:
            self.document = _documents(context.schema).open(context.query, context.variables)
            context.graphql_document = self.document.node
            if _documents(context.schema).trusted:  # then its name is the operator's, and may be told
                current().document = _name_in(self.document.node, context._provided_operation_name)  # noqa: SLF001  # as below
            if context._provided_operation_name is None:  # noqa: SLF001  # there is no public way to it
                _refuse_choice_of_operations(self.document.node)
        yield

    def on_validate(self) -> Iterator[None]:
        """Hand over the result, so that Strawberry does not validate again."""
        context = self.execution_context
        context.pre_execution_errors = _documents(context.schema).problems_in(self.document)
        yield


class Schema(strawberry.Schema):
    """A Strawberry schema with bounds, a document cache, and errors and logs that hold nothing of the client's."""

    def __init__(  # noqa: PLR0913  # each by its name
        self,
        query: type,
        mutation: type | None = None,
        subscription: type | None = None,
        *,
        types: Iterable[type] = (),
        config: StrawberryConfig | None = None,
        extensions: Iterable[type[SchemaExtension]] = (),
        prepare: Callable[[GraphQLSchema], None] = lambda _schema: None,
    ) -> None:
        super().__init__(
            query,
            mutation,
            subscription,
            types=types,
            config=config,
            extensions=[*extensions, OpenDocument],
            execution_context_class=Executor,
        )
        prepare(self._schema)
        observe_operations(self._schema)  # last, so that it sees what the others refuse
        self.documents = Documents(self._schema)
        self.request_errors = RequestErrors(self._schema)

    def _get_custom_context_kwargs(self, *args: Any, **options: Any) -> dict[str, Any]:  # noqa: ANN401  # as Strawberry's
        """Bound the errors of variables, too: there is no public way to it."""
        return {**super()._get_custom_context_kwargs(*args, **options), "max_coercion_errors": MAX_ERRORS}

    def trusting(self, trusted: TrustedDocuments) -> "Schema":
        """Give this schema for one app that runs the listed documents only; SettingError for one that cannot run."""
        own = copy(self)
        own.documents = Documents(self._schema, trusted=trusted)
        for name, text in trusted.listed.items():
            try:
                problems = own.documents.problems_in(own.documents.open(text, None))
            except GraphQLError as error:
                problems = [error]
            if problems:
                why = " ".join(problems[0].message.split())
                raise SettingError(SETTING, f"the document {name} does not fit the schema: {why}")
        return own

    async def execute(self, *args: Any, **options: Any) -> Any:  # noqa: ANN401  # as Strawberry declares it
        """Run an operation; its errors are rebuilt."""
        result = await super().execute(*args, **options)
        if result.errors:
            result.errors = [self.request_errors.rebuilt(error) for error in result.errors]
        return result

    async def stream(self, *args: Any, **options: Any) -> Any:  # noqa: ANN401  # as Strawberry declares it
        """Run a subscription; the errors of each result are rebuilt."""
        return self._rebuilt(await super().stream(*args, **options))

    async def _rebuilt(self, results: Any) -> AsyncIterator[Any]:  # noqa: ANN401  # as above
        try:
            async with aclosing(results):
                async for result in results:
                    if result.errors:
                        result.errors = [self.request_errors.rebuilt(error) for error in result.errors]
                    yield result
        except GraphQLError as error:  # raised by what refuses a document before it is run
            self.process_errors([error])
            yield PreExecutionError(data=None, errors=[self.request_errors.rebuilt(error)])

    def process_errors(self, errors: list[GraphQLError], execution_context: object = None) -> None:  # noqa: ARG002
        """Log errors without the source excerpt and the values that Strawberry would log."""
        for error in errors:
            self.request_errors.log(error)


def _documents(schema: strawberry.Schema) -> Documents:
    return cast("Schema", schema).documents


def _name_in(document: DocumentNode, chosen: str | None) -> str | None:
    names = [
        node.name.value for node in document.definitions if isinstance(node, OperationDefinitionNode) and node.name
    ]
    return chosen if chosen in names else next(iter(names), None)


def _refuse_choice_of_operations(document: DocumentNode) -> None:
    """Strawberry would run the first; the specification wants to be told (GraphQL, 6.1, GetOperation)."""
    if sum(isinstance(node, OperationDefinitionNode) for node in document.definitions) > 1:
        refuse("The document has several operations: operationName must say which one to run.")
