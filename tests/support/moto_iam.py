"""moto's server with IAM enforced as AWS does: each item of a transaction needs its own action on its table.

with moto_with_iam() as aws:
    credentials = aws.assume({"Version": "2012-10-17", "Statement": [...]})   # a role with this policy
    aws.denied()                                                              # what was refused so far

moto alone asks for TransactWriteItems on `*`, which no policy names. Run as a module it is the server.
"""

import json
import secrets
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from botocore.session import Session
from tests.support.moto_events import deliver_as_aws_does
from tests.support.ports import HOST, free_port
from tests.support.processes import wait_until

from reservation_api.adapters.aws_wire.signing import AwsCredentials

REGION = "ap-northeast-2"
_MANY = "1000000"
_ACTIONS = {
    "Put": "PutItem",
    "Update": "UpdateItem",
    "Delete": "DeleteItem",
    "ConditionCheck": "ConditionCheckItem",
}


class MotoIam:
    """A server that answers; it asks for permission between `enforce` and `relax`."""

    def __init__(self, port: int, log: Path) -> None:
        self.url = f"http://{HOST}:{port}"
        self._log = log

    def client(self, service: str) -> Any:
        """A client of botocore that may do anything while nothing is enforced."""
        return Session().create_client(
            service, REGION, endpoint_url=self.url, aws_access_key_id="any", aws_secret_access_key="any"
        )

    def assume(self, policy: Mapping[str, Any]) -> AwsCredentials:
        """Make a role with this policy, take it, and from now on ask everybody for permission."""
        self._unchecked_calls(_MANY)
        iam, name = self.client("iam"), f"role-{secrets.token_hex(4)}"
        trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole"}]}
        role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))["Role"]
        iam.put_role_policy(RoleName=name, PolicyName="only", PolicyDocument=json.dumps(policy))
        return self.take(role["Arn"])

    def take(self, role_arn: str) -> AwsCredentials:
        """Take a role that is there, and from now on ask everybody for permission."""
        taken = self.client("sts").assume_role(RoleArn=role_arn, RoleSessionName="test")["Credentials"]
        self._unchecked_calls("0")
        return AwsCredentials(taken["AccessKeyId"], taken["SecretAccessKey"], taken["SessionToken"])

    def relax(self) -> None:
        """Ask nobody any more."""
        self._unchecked_calls(_MANY)

    def denied(self) -> Sequence[str]:
        """Return `action resource` of each call that was refused, in their order."""
        return self._lines("denied ")

    def lost(self) -> Sequence[str]:
        """Return `rule target` of each event that reached neither its target nor a dead-letter queue."""
        return self._lines("lost ")

    def _lines(self, beginning: str) -> Sequence[str]:
        lines = self._log.read_text().splitlines()
        return [line.removeprefix(beginning) for line in lines if line.startswith(beginning)]

    def _unchecked_calls(self, count: str) -> None:
        plain = {"Content-Type": "text/plain"}
        request = urllib.request.Request(f"{self.url}/moto-api/reset-auth", count.encode(), plain)
        with urllib.request.urlopen(request, timeout=10):
            pass


@contextmanager
def moto_with_iam() -> Iterator[MotoIam]:
    """Run the server in a process of its own until the end of the block."""
    port = free_port()
    with TemporaryDirectory() as folder:
        log = Path(folder) / "moto.log"
        with log.open("w") as out:
            process = subprocess.Popen([sys.executable, "-m", __name__, str(port)], stdout=out, stderr=out)
        try:
            aws = MotoIam(port, log)
            wait_until(lambda: _answers(aws.url))
            yield aws
        finally:
            process.terminate()
            process.wait(10)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/moto-api/", timeout=1):
            return True
    except OSError:
        return False


def _serve(port: int) -> None:
    from moto.core import responses  # noqa: PLC0415 (moto takes a second to import)
    from moto.dynamodb.responses import DynamoHandler  # noqa: PLC0415
    from moto.events.responses import EventsHandler  # noqa: PLC0415
    from moto.server import ThreadedMotoServer  # noqa: PLC0415

    authenticator: Any = vars(responses)["ActionAuthenticatorMixin"]
    authorize = authenticator._authenticate_and_authorize_normal_action

    def authorize_each(handler: Any, resource: str = "*") -> None:
        if type(handler) not in {DynamoHandler, EventsHandler}:
            authorize(handler, resource)
            return
        get_action = handler._get_action
        for action, arn in _permissions(handler):
            handler._get_action = partial(str, action)
            try:
                authorize(handler, arn)
            except Exception:
                sys.stdout.write(f"denied {action} {arn}\n")
                sys.stdout.flush()
                raise
            finally:
                handler._get_action = get_action

    authenticator._authenticate_and_authorize_normal_action = authorize_each
    deliver_as_aws_does()
    _keep_who_may_redrive()
    ThreadedMotoServer(HOST, port, verbose=False).start()
    threading.Event().wait()


def _keep_who_may_redrive() -> None:
    """Answer an attribute of queues that moto takes and forgets: Terraform would see a difference."""
    from moto.sqs.models import Queue  # noqa: PLC0415

    queue: Any = Queue
    queue.redrive_allow_policy = None
    queue.BASE_ATTRIBUTES = [*queue.BASE_ATTRIBUTES, "RedriveAllowPolicy"]


def _permissions(handler: Any) -> Iterator[tuple[str, str]]:
    """Yield what AWS would ask for: an action and the resource it is done to."""
    body = handler.body if isinstance(handler.body, dict) else json.loads(handler.body or "{}")
    action, where = handler._get_action(), f"{handler.region}:{handler.current_account}"
    if action == "TransactWriteItems":
        for item in body["TransactItems"]:
            for kind, write in item.items():
                yield _ACTIONS[kind], f"arn:aws:dynamodb:{where}:table/{write['TableName']}"
    elif action in {"BatchGetItem", "BatchWriteItem"}:
        for table in body["RequestItems"]:
            yield action, f"arn:aws:dynamodb:{where}:table/{table}"
    elif action == "PutEvents":
        for entry in body["Entries"]:
            yield action, f"arn:aws:events:{where}:event-bus/{entry.get('EventBusName', 'default')}"
    elif "TableName" in body:
        index = f"/index/{body['IndexName']}" if "IndexName" in body else ""
        yield action, f"arn:aws:dynamodb:{where}:table/{body['TableName']}{index}"
    else:
        yield action, "*"


if __name__ == "__main__":
    _serve(int(sys.argv[1]))
