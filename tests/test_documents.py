"""Each document is parsed and validated once, in bounded memory, and nobody can push out what others use."""

import asyncio

import pytest
from graphql import GraphQLError

from gql.documents import Documents
from tests.tiny_api import ask, tiny_app, tiny_schema


def run(documents: Documents, text: str) -> None:
    assert documents.problems_in(documents.open(text, None)) == []


def new_documents(documents: int = 8, tokens: int = 1000) -> Documents:
    return Documents(tiny_schema().documents.schema, documents, tokens)


async def test_second_identical_request_neither_parses_nor_validates() -> None:
    schema = tiny_schema()
    app = tiny_app(schema)
    answers = [await ask("query ($t: String!) { echo(text: $t) }", {"t": text}, app=app) for text in "abc"]
    assert [answer.json()["data"]["echo"] for answer in answers] == ["a", "b", "c"]
    assert (schema.documents.parsed, schema.documents.validated) == (1, 1)


async def test_concurrent_requests_share_a_document() -> None:
    schema = tiny_schema()
    app = tiny_app(schema)
    await ask("{ echo }", app=app)
    await asyncio.gather(*(ask("{ echo }", app=app) for _ in range(20)))
    assert (schema.documents.parsed, schema.documents.validated) == (1, 1)


async def test_refused_documents_are_not_kept() -> None:
    schema = tiny_schema()
    app = tiny_app(schema)
    for _ in range(2):
        assert (await ask("{ nope }", app=app)).status_code == 400
    assert (schema.documents.parsed, schema.documents.validated) == (2, 2)


async def test_operations_of_one_document_are_told_apart() -> None:
    app = tiny_app()
    both = 'query A { echo(text: "a") } query B { echo(text: "b") }'
    answers = [await ask(both, app=app, operationName=name) for name in "ABA"]
    assert [answer.json()["data"]["echo"] for answer in answers] == ["a", "b", "a"]


async def test_several_operations_without_a_choice_are_refused() -> None:
    answer = await ask("query A { echo } query B { echo }")
    assert answer.status_code == 400
    assert "operationName" in answer.json()["errors"][0]["message"]


def test_new_texts_push_out_only_new_texts() -> None:
    documents = new_documents()
    for _ in range(2):
        run(documents, "{ echo }")
    for number in range(1000):
        run(documents, f"{{ a{number}: echo }}")
    before = documents.parsed
    run(documents, "{ echo }")
    run(documents, "{ a999: echo }")
    assert documents.parsed == before
    run(documents, "{ a0: echo }")
    assert documents.parsed == before + 1


def test_proven_texts_are_bounded_too() -> None:
    documents = new_documents()
    texts = [f"{{ a{number}: echo }}" for number in range(100)]
    for text in texts:
        run(documents, text)
        run(documents, text)
    before = documents.parsed
    for text in reversed(texts):
        run(documents, text)
    assert documents.parsed - before == 100 - 6


def test_large_documents_count_by_their_tokens() -> None:
    documents = new_documents(documents=400, tokens=200)
    for number in range(10):
        text = f"{{ a{number}: trunk {{{' name' * 40}}} }}"
        run(documents, text)
        run(documents, text)
    before = documents.parsed
    for number in reversed(range(10)):
        run(documents, f"{{ a{number}: trunk {{{' name' * 40}}} }}")
    assert documents.parsed - before == 7  # 150 tokens hold three


def test_document_larger_than_the_cache_is_still_answered() -> None:
    documents = new_documents(documents=4, tokens=4)
    for _ in range(2):
        run(documents, "{ echo trunk { name } }")
    assert documents.parsed == 2


def test_unreadable_document_is_an_error_and_not_kept() -> None:
    documents = new_documents()
    for _ in range(2):
        with pytest.raises(GraphQLError):
            documents.open("{", None)
    assert documents.parsed == 2
