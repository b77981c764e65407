"""What `dev` prints when it is ready: where to look, and lines to paste."""

from reservation_api.bootstrap import EmbeddedIssuer, Service

TOKEN_SECONDS = 8 * 3600
"""A day's work."""

_WELCOME = """
The reservation API is ready.

  API    {url}
  docs   {url}/docs
  health {url}/actuator/health
  gRPC   {grpc}
  data   {data_dir}
{trial}
"""

_TRIAL = """
A token for alice, good for {hours} hours:

  TOKEN={token}

Hold two seats, see them, and pay (put the id from the first answer into the others):

  curl -si {url}/v1/reservations -H "Authorization: Bearer $TOKEN" -H "Idempotency-Key: hold-$(date +%s)" \\
    -H "Content-Type: application/json" -d '{{"event_id": "evt_demo", "qty": 2}}'
  curl -s {url}/v1/reservations -H "Authorization: Bearer $TOKEN"
  curl -si {url}/v1/reservations/RESERVATION_ID/confirm -H "Authorization: Bearer $TOKEN" \\
    -H "Idempotency-Key: pay-$(date +%s)" -H "Content-Type: application/json" \\
    -d '{{"payment_intent_id": "pay_1"}}'
  curl -s {url}/v1/events/evt_demo/availability -H "Authorization: Bearer $TOKEN"

More tokens: reservation-api token --sub bob. What is published: reservation-api events tail --follow"""

_ELSEWHERE = """
Tokens come from {issuer}."""


_ON_AWS = """
On a stand-in for AWS at {url} (any credentials will do, Region ap-northeast-2):

  aws --endpoint-url {url} dynamodb scan --table-name dev-reservation-reservations
  aws --endpoint-url {url} sqs receive-message --queue-url {queue}
"""


def on_aws(url: str, queue: str) -> str:
    """Return where to look on a stand-in for AWS."""
    return _ON_AWS.format(url=url, queue=queue)


def welcome(service: Service, issuer: EmbeddedIssuer | None = None) -> str:
    """Return the text, with a token of the service's own issuer or this one."""
    http = service.config.http
    host = f"[{http.host}]" if ":" in http.host else http.host
    url = f"http://{host}:{http.port}"
    grpc = service.config.grpc
    return _WELCOME.format(
        url=url,
        grpc="none" if grpc is None else f"{host}:{grpc.port}",
        data_dir=service.config.store.data_dir.resolve(),
        trial=_trial(service, issuer or service.issuer, url),
    )


def _trial(service: Service, issuer: EmbeddedIssuer | None, url: str) -> str:
    if issuer is None:
        return _ELSEWHERE.format(issuer="JWT_ISSUER_URI")
    audience = service.config.identity.audience
    token = issuer.issue("alice", (), TOKEN_SECONDS, service.clock.now(), audience)
    return _TRIAL.format(url=url, hours=TOKEN_SECONDS // 3600, token=token)
