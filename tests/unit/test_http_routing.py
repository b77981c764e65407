import pytest
from tests.support.api import Client, answering, make_api
from tests.support.clock import FakeClock

from reservation_api.domain.errors import NotFoundError
from reservation_api.entrypoints.http.refusals import MethodNotAllowedError, NoSuchPathError
from reservation_api.entrypoints.http.router import Router


@pytest.fixture
def router() -> Router[str]:
    return Router(
        [
            ("GET", "/v1/things", "list"),
            ("POST", "/v1/things", "make"),
            ("GET", "/v1/things/{thing_id}", "get"),
            ("POST", "/v1/things/{thing_id}/move", "move"),
        ]
    )


@pytest.fixture
def client() -> Client:
    """Its use cases find nothing: whatever else is answered comes from the HTTP layer."""
    return Client(make_api(answering(NotFoundError("no such thing")), FakeClock()))


@pytest.mark.parametrize(
    ("method", "path", "found"),
    [
        ("GET", "/v1/things", ("list", "")),
        ("POST", "/v1/things", ("make", "")),
        ("GET", "/v1/things/a-1", ("get", "a-1")),
        ("POST", "/v1/things/a-1/move", ("move", "a-1")),
    ],
)
def test_a_path_leads_to_its_route_and_parameter(
    router: Router[str], method: str, path: str, found: tuple[str, str]
) -> None:
    assert router.find(method, path) == found


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "v1/things",
        "/v1",
        "/v1/thing",
        "/v1/things/a/",
        "/v1/things/a/stop",
        "/v1/things/a/move/",
        "/v1/things/a/move/b",
        "//v1/things",
        "/v2/things/a",
        "*",
    ],
)
def test_any_other_path_is_not_found(router: Router[str], path: str) -> None:
    with pytest.raises(NoSuchPathError):
        router.find("GET", path)


def test_head_is_allowed_wherever_get_is(router: Router[str]) -> None:
    assert router.find("HEAD", "/v1/things/a") == ("get", "a")
    with pytest.raises(MethodNotAllowedError):
        router.find("HEAD", "/v1/things/a/move")


def test_another_method_is_told_which_are_allowed(router: Router[str]) -> None:
    with pytest.raises(MethodNotAllowedError) as refusal:
        router.find("DELETE", "/v1/things")
    assert refusal.value.allow == "GET, HEAD, POST"


@pytest.mark.parametrize("template", ["/v1/{id}", "/v1/things/move/{id}", "/v1/things/a{id}"])
def test_a_template_with_its_parameter_elsewhere_is_refused_at_once(template: str) -> None:
    with pytest.raises(ValueError, match="third segment"):
        Router([("GET", template, "route")])


async def test_an_unknown_path_is_a_problem_and_needs_no_token(client: Client) -> None:
    client.token = ""
    answer = await client.get("/v1/nothing")
    assert (answer.status, answer.code) == (404, "not_found")
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_wrong_method_is_a_problem_that_lists_the_right_ones(client: Client) -> None:
    answer = await client.send("DELETE", "/v1/reservations")
    assert (answer.status, answer.code) == (405, "method_not_allowed")
    assert answer.headers["allow"] == "POST, GET, HEAD"
    options = await client.send("OPTIONS", "/v1/orders")
    assert (options.status, options.headers["allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize(
    "parameter", ["", "a b", "a\x00", "é", "\ufffd", "a\n", "x" * 65, "%41", "a/b"], ids=repr
)
async def test_what_is_no_id_is_not_found(client: Client, parameter: str) -> None:
    answer = await client.get(f"/v1/reservations/{parameter}")
    assert (answer.status, answer.json["detail"]) == (404, "no such resource")


@pytest.mark.parametrize("parameter", ["a", "A-1_b.c:d", "x" * 64])
async def test_what_is_an_id_reaches_the_use_case(client: Client, parameter: str) -> None:
    assert (await client.get(f"/v1/reservations/{parameter}")).json["detail"] == "no such thing"


@pytest.mark.parametrize("path", ["/v1/reservations/rsv_1", "/v1/orders/ord_1", "/actuator/metrics"])
async def test_unknown_query_parameters_are_refused(client: Client, path: str) -> None:
    client.token = "user-1+reservation:ops"
    answer = await client.get(f"{path}?verbose=1")
    assert (answer.status, answer.code) == (400, "invalid_request")
    assert "verbose" in answer.json["errors"][0]


async def test_a_probe_may_have_any_query(client: Client) -> None:
    assert (await client.get("/actuator/health/liveness?from=balancer")).status == 200
