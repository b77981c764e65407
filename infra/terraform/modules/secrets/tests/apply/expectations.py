"""What the stand-in has after the secret was applied: no value, and a policy that is whole."""

import json
import os

from testkit.aws import Aws

OUTPUTS = json.loads(os.environ["TESTKIT_OUTPUTS"])
NAME = "demo-reservation-jwt-jwks"
KEYS = json.dumps({"keys": []})

secrets = Aws.of_the_environment().client("secretsmanager")

assert OUTPUTS["jwks"]["name"] == NAME
assert not secrets.list_secret_version_ids(SecretId=NAME).get("Versions"), "Terraform puts no value"

policy = json.loads(secrets.get_resource_policy(SecretId=NAME)["ResourcePolicy"])
denied = {statement["Sid"]: statement for statement in policy["Statement"]}
assert denied.keys() == {"DenyOtherReaders", "DenyWithoutTls"}
assert denied["DenyOtherReaders"]["Condition"]["ArnNotEquals"] == {"aws:PrincipalArn": [OUTPUTS["reader"]]}

# The step that README.md tells of.
secrets.put_secret_value(SecretId=NAME, SecretString=KEYS)
assert secrets.get_secret_value(SecretId=OUTPUTS["jwks"]["arn"])["SecretString"] == KEYS
