"""The manifests of deploy/kubernetes: confined, probed where something answers, told what they take."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest
import yaml  # type: ignore[import-untyped]
from click import Context

from reservation_api.config.loading import load
from reservation_api.entrypoints.cli import main
from reservation_api.entrypoints.http.routes import OPERATIONS

ROOT: Final = Path(__file__).parents[2]
FOLDER: Final = ROOT / "deploy" / "kubernetes"
KUSTOMIZATION: Final[Mapping[str, Any]] = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())
PREFIX: Final = "traffic-tacos-reservation"
LAST_SECONDS: Final = 5
"""Of a pod's grace, for what Kubernetes itself does between the stages."""

Resource = dict[str, Any]
RESOURCES: Final[list[Resource]] = [
    document
    for name in KUSTOMIZATION["resources"]
    for document in yaml.safe_load_all((FOLDER / name).read_text())
]


def of(kind: str) -> dict[str, Resource]:
    return {it["metadata"]["name"]: it for it in RESOURCES if it["kind"] == kind}


DEPLOYMENTS: Final = of("Deployment")


def pod(deployment: str) -> dict[str, Any]:
    found: dict[str, Any] = DEPLOYMENTS[deployment]["spec"]["template"]["spec"]
    return found


def container(deployment: str) -> dict[str, Any]:
    [found] = pod(deployment)["containers"]
    assert isinstance(found, dict)
    return found


def environment() -> dict[str, str]:
    found: dict[str, str] = of("ConfigMap")["reservation-api"]["data"]
    return found


def unrestricted(spec: Mapping[str, Any]) -> Iterator[str]:
    """Yield what the Pod Security Standard "restricted" refuses, and a root that can be written to."""
    of_pod = spec.get("securityContext", {})
    if of_pod.get("runAsNonRoot") is not True or of_pod.get("runAsUser", 0) == 0:
        yield "may run as root"
    if of_pod.get("seccompProfile", {}).get("type") != "RuntimeDefault":
        yield "has no seccomp profile"
    if any(spec.get(name) for name in ("hostNetwork", "hostPID", "hostIPC")):
        yield "shares something of its node's"
    if any("hostPath" in volume for volume in spec.get("volumes", [])):
        yield "has a folder of its node's"
    for one in spec["containers"]:
        security = one.get("securityContext", {})
        if security.get("allowPrivilegeEscalation") is not False:
            yield "may get more privileges"
        if security.get("capabilities") != {"drop": ["ALL"]}:
            yield "has capabilities"
        if security.get("readOnlyRootFilesystem") is not True:
            yield "may write to its root"
        if security.get("privileged"):
            yield "is privileged"


def test_every_manifest_is_applied() -> None:
    files = {path.name for path in FOLDER.glob("*.yaml")} - {"kustomization.yaml"}
    assert files == set(KUSTOMIZATION["resources"])
    assert set(DEPLOYMENTS) == {"reservation-api", "reservation-worker"}


@pytest.mark.parametrize("deployment", DEPLOYMENTS)
def test_pods_are_confined(deployment: str) -> None:
    assert list(unrestricted(pod(deployment))) == []
    [user] = re.findall(r"^USER (\d+):\d+$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert pod(deployment)["securityContext"]["runAsUser"] == int(user)
    assert pod(deployment)["automountServiceAccountToken"] is False
    assert container(deployment)["resources"]["limits"]["memory"]
    assert "cpu" not in container(deployment)["resources"]["limits"], "throttling costs more than it saves"


@pytest.mark.parametrize("deployment", DEPLOYMENTS)
def test_kubernetes_adds_no_variables_of_its_own(deployment: str) -> None:
    assert pod(deployment)["enableServiceLinks"] is False


@pytest.mark.parametrize("deployment", DEPLOYMENTS)
def test_each_container_runs_a_command_of_ours(deployment: str) -> None:
    command, *options = container(deployment)["args"]
    found = main.get_command(Context(main), command)
    assert found is not None
    context = found.make_context(command, list(options))
    assert context.args == []
    assert "command" not in container(deployment), "the image's entry point is the program"


@pytest.mark.parametrize("deployment", DEPLOYMENTS)
@pytest.mark.parametrize(
    ("probe", "path"),
    [
        ("startupProbe", "/actuator/health/readiness"),
        ("livenessProbe", "/actuator/health/liveness"),
        ("readinessProbe", "/actuator/health/readiness"),
    ],
)
def test_probes_ask_where_something_answers(deployment: str, probe: str, path: str) -> None:
    asked = container(deployment)[probe]["httpGet"]
    assert asked["path"] == path
    assert path in {operation.template for operation in OPERATIONS}
    ports = {port["name"]: port["containerPort"] for port in container(deployment)["ports"]}
    config = load(environment())
    serves = {"reservation-api": config.http.port, "reservation-worker": config.http.management_port}
    assert ports[asked["port"]] == serves[deployment]


@pytest.mark.parametrize("deployment", DEPLOYMENTS)
def test_a_pod_has_the_time_that_its_end_takes(deployment: str) -> None:
    before = container(deployment).get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
    shutdown = load(environment()).process.shutdown_seconds
    assert shutdown == 30, "section 9.1"
    assert pod(deployment)["terminationGracePeriodSeconds"] >= before + shutdown + LAST_SECONDS
    rolling = DEPLOYMENTS[deployment]["spec"]["strategy"]["rollingUpdate"]
    assert rolling["maxUnavailable"] == 0, "zero downtime"
    if deployment == "reservation-api":
        assert before > 0, "the balancer has to hear of it first"


def test_the_settings_are_the_documents_and_whole() -> None:
    config = load(environment())
    assert config.aws is not None
    assert config.aws.region == "ap-northeast-2"
    tables = config.aws.tables
    assert {tables.reservations, tables.orders, tables.idempotency, tables.outbox} == {
        f"{PREFIX}-{table}" for table in ("reservations", "orders", "idempotency", "outbox")
    }
    assert config.aws.bus_name == f"{PREFIX}-events"
    assert "prod" in config.profiles
    names = environment().keys()
    assert {"INVENTORY_GRPC_ADDRESS", "JWT_ISSUER_URI", "OTLP_ENDPOINT"} <= names
    assert names.isdisjoint({"DYNAMODB_ENDPOINT", "EVENTBRIDGE_ENDPOINT", "JVM_OPTS", "JWT_JWKS"})
    for deployment in DEPLOYMENTS:
        [settings, keys] = container(deployment)["envFrom"]
        assert settings == {"configMapRef": {"name": "reservation-api"}}
        assert keys == {"secretRef": {"name": "reservation-api-jwks", "optional": True}}


def test_what_selects_selects_something() -> None:
    labels = {name: it["spec"]["template"]["metadata"]["labels"] for name, it in DEPLOYMENTS.items()}
    for name, it in DEPLOYMENTS.items():
        assert it["spec"]["selector"]["matchLabels"] == labels[name]
    assert labels["reservation-api"] != labels["reservation-worker"]
    budgets = of("PodDisruptionBudget")
    assert {name: it["spec"]["selector"]["matchLabels"] for name, it in budgets.items()} == labels
    assert of("Service")["reservation-api"]["spec"]["selector"] == labels["reservation-api"]
    scaled = of("HorizontalPodAutoscaler")["reservation-api"]["spec"]["scaleTargetRef"]
    assert (scaled["kind"], scaled["name"]) == ("Deployment", "reservation-api")
    assert "replicas" not in DEPLOYMENTS["reservation-api"]["spec"], "the autoscaler says how many"
    policed = of("NetworkPolicy")["reservation-api"]["spec"]["podSelector"]["matchLabels"].items()
    assert all(policed <= of_pods.items() for of_pods in labels.values())


def test_requests_come_in_on_one_port_only() -> None:
    policy = of("NetworkPolicy")["reservation-api"]["spec"]
    assert set(policy["policyTypes"]) == {"Ingress", "Egress"}
    let_in = {port["port"] for rule in policy["ingress"] for port in rule["ports"]}
    assert let_in == {8080, 8081}
    assert all(rule["from"] for rule in policy["ingress"])
    let_out = {port["port"] for rule in policy["egress"] for port in rule["ports"]}
    assert let_out == {53, 443, 9090, 4318}, "names, HTTPS, the inventory, the collector"


def test_pods_are_the_service_role() -> None:
    [account] = of("ServiceAccount").values()
    role = account["metadata"]["annotations"]["eks.amazonaws.com/role-arn"]
    assert role.endswith(f":role/{PREFIX}-api-service-role")
    iam = (ROOT / "infra/terraform/modules/iam/variables.tf").read_text()
    assert f'optional(string, "{account["metadata"]["name"]}")' in iam
    for deployment in DEPLOYMENTS:
        assert pod(deployment)["serviceAccountName"] == account["metadata"]["name"]


def test_images_are_known_by_their_digest() -> None:
    [image] = KUSTOMIZATION["images"]
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", image["digest"])
    assert "newTag" not in image
    assert {container(deployment)["image"] for deployment in DEPLOYMENTS} == {image["name"]}


CONTAINER: Final[Mapping[str, Any]] = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
POD: Final[Mapping[str, Any]] = {
    "runAsNonRoot": True,
    "runAsUser": 1,
    "seccompProfile": {"type": "RuntimeDefault"},
}
GOOD: Final[Mapping[str, Any]] = {"securityContext": POD, "containers": [{"securityContext": CONTAINER}]}


def with_container(**changes: Any) -> dict[str, Any]:
    return {"containers": [{"securityContext": {**CONTAINER, **changes}}]}


def test_what_is_restricted_is_not_reported() -> None:
    assert list(unrestricted(GOOD)) == []


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"securityContext": {**POD, "runAsUser": 0}}, "may run as root"),
        ({"securityContext": {**POD, "runAsNonRoot": False}}, "may run as root"),
        ({"securityContext": {**POD, "seccompProfile": {"type": "Unconfined"}}}, "has no seccomp profile"),
        ({"hostNetwork": True}, "shares something of its node's"),
        ({"volumes": [{"hostPath": {"path": "/"}}]}, "has a folder of its node's"),
        (with_container(allowPrivilegeEscalation=True), "may get more privileges"),
        (with_container(capabilities={"drop": ["ALL"], "add": ["NET_ADMIN"]}), "has capabilities"),
        (with_container(readOnlyRootFilesystem=False), "may write to its root"),
        (with_container(privileged=True), "is privileged"),
    ],
)
def test_what_is_not_restricted_is_reported(changes: Mapping[str, Any], found: str) -> None:
    assert list(unrestricted({**GOOD, **changes})) == [found]
