"""The OpenAPI document tells what the daemon does."""

import json
import re
from collections.abc import Iterator
from fnmatch import fnmatch
from typing import Any, Final

import pytest
from jsonschema import Draft202012Validator

from daemon.api.routes import ROUTES
from tests.support.daemons import Api, Daemon, node_path
from tests.support.malformed import EXAMPLES, malformed, right

METHODS: Final = {"get", "put", "post", "patch", "delete"}


@pytest.fixture(scope="module")
def document(daemon: Daemon) -> Any:
    """Read the document from the module's daemon."""
    return daemon.api.get("/v1/openapi.json")


@pytest.fixture
def edge(api: Api) -> str:
    """Make what the examples need; return the id of an edge."""
    for key in ("a", "b", "doomed", "trashed"):
        api.put_node(key, metadata={"n": [1, None]})
    api.request("DELETE", node_path("trashed"))
    api.request("POST", node_path("a", "/pulse"), {"energy": 1})
    return str(api.put_edge("a", "b").document["id"])


def operations(document: Any) -> Iterator[tuple[str, str, Any]]:
    """Yield (path, method in lower case, operation)."""
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield path, method, operation


def faults(document: Any, schema: Any, instance: Any) -> list[str]:
    """Return how a document breaks a schema that refers to the document's parts."""
    whole = {"components": document["components"], **schema}
    found = Draft202012Validator(whole).iter_errors(instance)
    return [f"{error.json_path}: {error.message}" for error in found]


def test_it_is_an_openapi_document(document: Any) -> None:
    """It has the parts of OpenAPI 3.1, each name once and every reference met."""
    assert document["openapi"].startswith("3.1.")
    assert document["info"].keys() >= {"title", "version"}
    schemas = document["components"]["schemas"]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+", name) for name in schemas)
    for schema in schemas.values():
        Draft202012Validator.check_schema(schema)
    references = set(re.findall(r'"\$ref": "([^"]*)"', json.dumps(document)))
    assert references <= {f"#/components/schemas/{name}" for name in schemas}
    names = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(names) == len(set(names))


def test_every_operation_is_complete(document: Any) -> None:
    """Each tells its parameters, its answers, and whether it needs the token."""
    for path, method, operation in operations(document):
        assert method in METHODS
        assert operation["summary"]
        assert operation["responses"].keys() > {"default"}
        assert all(each["description"] for each in operation["responses"].values())
        parameters = operation["parameters"]
        places = [(each["name"], each["in"]) for each in parameters]
        assert len(places) == len(set(places))
        in_path = {each["name"] for each in parameters if each["in"] == "path"}
        assert in_path == set(re.findall(r"\{(\w+)\}", path))
        assert all(each["required"] for each in parameters if each["in"] == "path")
        is_open = path in {"/healthz", "/metrics"}
        takes_ticket = path in {"/v1/events", "/v1/bodies/{key}"}
        needed = [] if is_open else ["token", "ticket"] if takes_ticket else ["token"]
        assert operation["security"] == [{each: []} for each in needed]
        for each in parameters:
            Draft202012Validator.check_schema(each["schema"])


def test_every_route_is_in_it(document: Any) -> None:
    """The document and the table of routes have the same routes."""
    found = {(path, method.upper()) for path, method, _ in operations(document)}
    assert found == {(route.path, str(route.method)) for route in ROUTES}


@pytest.mark.parametrize("name", EXAMPLES)
def test_answers_are_as_promised(api: Api, document: Any, edge: str, name: str) -> None:
    """What a route answers is what its schema says, problems as well."""
    route = next(r for r in ROUTES if f"{r.method} {r.path}" == name)
    operation = document["paths"][route.path][route.method.lower()]
    if not route.takes_ticket:
        request = right(route, edge)
        answer = api.request(request.method, request.target, content=request.content)
        responses = operation["responses"]
        told = responses.get(str(answer.status), responses["default"])
        promised = told.get("content", {})
        kind = answer.headers.get("content-type", "").partition(";")[0]
        assert any(fnmatch(kind, each) for each in promised) or answer.status == 204
        if schema := promised.get("application/json", {}).get("schema"):
            assert faults(document, schema, answer.document) == []

    spoilt = next(malformed(route, edge)).request
    refused = api.request(
        spoilt.method, spoilt.target, headers=dict(spoilt.headers)
    ).document
    problem = operation["responses"]["default"]["content"]["application/problem+json"]
    assert faults(document, problem["schema"], refused) == []


def test_bodies_are_as_the_document_says(document: Any) -> None:
    """The examples fit the schemas of the bodies; an unknown field does not."""
    for name, example in EXAMPLES.items():
        if example.document is None:
            continue
        method, _, path = name.partition(" ")
        body = document["paths"][path][method.lower()]["requestBody"]
        schema = body["content"]["application/json"]["schema"]
        assert faults(document, schema, example.document) == []
        assert faults(document, schema, {**example.document, "colour": 1}) != []
