"""Every error of ours is a problem with its status; none tells more than it should."""

from http import HTTPStatus

import msgspec
import pytest

from crdt import errors
from daemon.api.problems import Problem, ProblemError, problem_of, problem_response
from daemon.faults import NotJsonError


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (NotJsonError("x"), 400),
        (errors.InvalidError("label", "must not be empty"), 422),
        (errors.NotFoundError("x"), 404),
        (errors.ConflictError("x"), 409),
        (errors.SearchBudgetError("x"), 503),
        (errors.DiskFullError("x"), 507),
        (errors.DamagedError("x"), 503),
        (errors.StoreError("x"), 503),
        (ProblemError(HTTPStatus.GONE, "x"), 410),
        (ValueError("x"), 500),
    ],
)
def test_an_error_has_a_status(error: Exception, status: int) -> None:
    """The document and the response have the same status, and say what it is."""
    problem = problem_of(error)
    response = problem_response(error)

    assert (problem.status, response.status) == (status, status)
    assert response.content_type == "application/problem+json"
    assert problem.title == HTTPStatus(status).phrase
    assert isinstance(response.body, bytes)
    assert msgspec.json.decode(response.body, type=Problem) == problem
    assert ("Retry-After" in response.headers) == (status == 503)


def test_a_field_at_fault_is_told_once() -> None:
    """The detail does not repeat the name that `field` has."""
    problem = problem_of(errors.InvalidError("label", "must not be empty"))

    assert (problem.field, problem.detail) == ("label", "must not be empty")


def test_a_bug_tells_nothing_of_itself() -> None:
    """The text of an unforeseen error stays out of the answer."""
    assert "a secret" not in problem_of(ValueError("a secret")).detail
