"""What the stand-ins have after the bus was applied, and which events its patterns let into its queue."""

import json
import os
from collections import Counter

from testkit.aws import ENDPOINTS, Aws

OUTPUTS = json.loads(os.environ["TESTKIT_OUTPUTS"])
BUS = "demo-reservation-events"
RULES = ("demo-reservation-created", "demo-reservation-status-changed")
CREATED = "Reservation Created"
CHANGED = "Reservation Status Changed"

aws = Aws.of_the_environment()
events, sqs, iam = aws.client("events"), aws.client("sqs"), aws.client("iam")

rules = {rule["Name"]: rule for rule in events.list_rules(EventBusName=BUS)["Rules"]}
assert set(RULES) <= set(rules)
scheduler = events.describe_rule(Name="demo-reservation-expiry-scheduler")
assert (scheduler["ScheduleExpression"], scheduler["State"]) == ("rate(1 minute)", "ENABLED")
assert events.describe_archive(ArchiveName="demo-reservation-events-archive")["RetentionDays"] == 365

dead = sqs.get_queue_attributes(QueueUrl=OUTPUTS["dead_letter_queue_url"], AttributeNames=["All"])[
    "Attributes"
]
assert (dead["MessageRetentionPeriod"], dead["VisibilityTimeout"]) == ("1209600", "300")

attached = iam.list_attached_role_policies(RoleName=OUTPUTS["service_role_name"])["AttachedPolicies"]
assert {policy["PolicyName"] for policy in attached} == {
    "demo-reservation-api-dynamodb",
    "demo-reservation-api-eventbridge",
    "demo-reservation-api-logs",
}

# The server that has the queue delivers to it; it gets a bus with the rules as they were applied.
urls = json.loads(os.environ[ENDPOINTS])
delivering = Aws({"*": urls.get("sqs", urls["*"])}).client("events")
queue_url = OUTPUTS["events_queue_url"]
queue = sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
delivering.create_event_bus(Name="delivering")
for name in RULES:
    delivering.put_rule(Name=name, EventBusName="delivering", EventPattern=rules[name]["EventPattern"])
    delivering.put_targets(Rule=name, EventBusName="delivering", Targets=[{"Id": "queue", "Arn": queue}])

for source, detail_type, status in (
    ("reservation.service", CREATED, "HOLD"),
    ("reservation.service", CHANGED, "CONFIRMED"),
    ("reservation.service", CHANGED, "CANCELLED"),
    ("reservation.service", CHANGED, "EXPIRED"),
    ("reservation.service", CHANGED, "HOLD"),
    ("reservation.service", CREATED, "CONFIRMED"),
    ("somebody.else", CREATED, "HOLD"),
):
    detail = json.dumps({"status": status})
    entry = {"EventBusName": "delivering", "Source": source, "DetailType": detail_type, "Detail": detail}
    assert delivering.put_events(Entries=[entry])["FailedEntryCount"] == 0

taken: Counter[tuple[str, str]] = Counter()
while messages := sqs.receive_message(QueueUrl=queue_url, MaxNumberOfMessages=10, WaitTimeSeconds=1).get(
    "Messages"
):
    for message in messages:
        event = json.loads(message["Body"])
        taken[event["detail-type"], event["detail"]["status"]] += 1
        sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=message["ReceiptHandle"])
assert taken == {
    (CREATED, "HOLD"): 1,
    (CHANGED, "CONFIRMED"): 1,
    (CHANGED, "CANCELLED"): 1,
    (CHANGED, "EXPIRED"): 1,
}, taken

for name in RULES:
    delivering.remove_targets(Rule=name, EventBusName="delivering", Ids=["queue"])
    delivering.delete_rule(Name=name, EventBusName="delivering")
delivering.delete_event_bus(Name="delivering")
