"""What the stand-in has after the functions were applied: their handlers, and where failures go."""

import importlib
import json
import os

from testkit.aws import Aws

OUTPUTS = json.loads(os.environ["TESTKIT_OUTPUTS"])
functions = Aws.of_the_environment().client("lambda")

for name, retries in (("demo-reservation-event-processor", 2), ("demo-reservation-expiry", 0)):
    found = functions.get_function_configuration(FunctionName=name)
    module, _, attribute = found["Handler"].rpartition(".")
    assert callable(getattr(importlib.import_module(module), attribute)), "the handler is in our code"
    assert found["Environment"]["Variables"] == {"AWS_EVENTBRIDGE_BUS_NAME": "demo-reservation-events"}
    assert found["LoggingConfig"]["LogGroup"] == f"/aws/lambda/{name}"
    how = functions.get_function_event_invoke_config(FunctionName=name)
    assert how["MaximumRetryAttempts"] == retries

processor = functions.get_function_event_invoke_config(FunctionName="demo-reservation-event-processor")
assert processor["DestinationConfig"]["OnFailure"] == {"Destination": OUTPUTS["dead_letter_queue_arn"]}
