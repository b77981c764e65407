# Targets, dead letters, and who lets EventBridge in. The provider is a mock.

mock_provider "aws" {
  mock_data "aws_caller_identity" {
    defaults = { account_id = "111122223333" }
  }

  mock_data "aws_region" {
    defaults = { region = "ap-northeast-2" }
  }

  mock_resource "aws_sqs_queue" {
    defaults = { arn = "arn:aws:sqs:ap-northeast-2:111122223333:mocked" }
  }
}

variables {
  service_role_arn = "arn:aws:iam::111122223333:role/traffic-tacos-reservation-api-service-role"
}

run "dead_letters_are_kept_as_the_document_says" {
  command = plan

  assert {
    condition     = aws_sqs_queue.dlq.name == "traffic-tacos-reservation-events-dlq"
    error_message = "Section 2.3."
  }

  assert {
    condition     = aws_sqs_queue.dlq.message_retention_seconds == 14 * 24 * 3600 && aws_sqs_queue.dlq.visibility_timeout_seconds == 300 && aws_sqs_queue.dlq.sqs_managed_sse_enabled
    error_message = "Section 2.3: 14 days, 300 seconds, SQS managed SSE."
  }

  assert {
    condition     = jsondecode(aws_sqs_queue.dlq.redrive_allow_policy) == { redrivePermission = "denyAll" }
    error_message = "No queue of another's sends its dead letters here."
  }

  assert {
    condition = jsondecode(aws_sqs_queue.dlq.policy).Statement == jsondecode(<<-EOT
      [
        {
          "Sid": "LetTheRulesSend", "Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"},
          "Action": "sqs:SendMessage", "Resource": "arn:aws:sqs:ap-northeast-2:111122223333:traffic-tacos-reservation-events-dlq",
          "Condition": {"ArnEquals": {"aws:SourceArn": [
            "arn:aws:events:ap-northeast-2:111122223333:rule/traffic-tacos-reservation-events/traffic-tacos-reservation-created",
            "arn:aws:events:ap-northeast-2:111122223333:rule/traffic-tacos-reservation-events/traffic-tacos-reservation-status-changed",
            "arn:aws:events:ap-northeast-2:111122223333:rule/traffic-tacos-reservation-expiry-scheduler"
          ]}}
        },
        {
          "Sid": "DenyWithoutTls", "Effect": "Deny", "Principal": "*",
          "Action": "sqs:*", "Resource": "arn:aws:sqs:ap-northeast-2:111122223333:traffic-tacos-reservation-events-dlq",
          "Condition": {"Bool": {"aws:SecureTransport": "false"}}
        }
      ]
    EOT
    )
    error_message = "EventBridge, for the rules here, by TLS. Without this policy dead letters are lost."
  }
}

run "the_audit_is_what_there_is_without_functions" {
  command = plan

  assert {
    condition     = keys(aws_cloudwatch_event_target.this) == ["created/audit", "status_changed/audit"]
    error_message = "Both rules write to the log group."
  }

  assert {
    condition     = aws_cloudwatch_log_group.audit["log"].name == "/aws/events/traffic-tacos-reservation-events" && aws_cloudwatch_log_group.audit["log"].retention_in_days == 30
    error_message = "Section 7.3: 30 days."
  }

  assert {
    condition = jsondecode(aws_cloudwatch_log_resource_policy.audit["log"].policy_document).Statement == jsondecode(<<-EOT
      [
        {
          "Sid": "LetEventBridgeMakeStreams", "Effect": "Allow", "Principal": {"Service": ["events.amazonaws.com", "delivery.logs.amazonaws.com"]},
          "Action": "logs:CreateLogStream", "Resource": "arn:aws:logs:ap-northeast-2:111122223333:log-group:/aws/events/traffic-tacos-reservation-events:*"
        },
        {
          "Sid": "LetTheRulesWrite", "Effect": "Allow", "Principal": {"Service": ["events.amazonaws.com", "delivery.logs.amazonaws.com"]},
          "Action": "logs:PutLogEvents", "Resource": "arn:aws:logs:ap-northeast-2:111122223333:log-group:/aws/events/traffic-tacos-reservation-events:*:*",
          "Condition": {"ArnEquals": {"aws:SourceArn": [
            "arn:aws:events:ap-northeast-2:111122223333:rule/traffic-tacos-reservation-events/traffic-tacos-reservation-created",
            "arn:aws:events:ap-northeast-2:111122223333:rule/traffic-tacos-reservation-events/traffic-tacos-reservation-status-changed"
          ]}}
        }
      ]
    EOT
    )
    error_message = "A log group is no target without a policy of CloudWatch Logs."
  }
}

run "the_audit_may_be_left_out" {
  command = plan

  variables {
    audit = { enabled = false }
  }

  assert {
    condition     = length(aws_cloudwatch_event_target.this) == 0 && length(aws_cloudwatch_log_group.audit) == 0 && length(aws_cloudwatch_log_resource_policy.audit) == 0
    error_message = "Nothing of it is left."
  }
}

run "functions_are_targets_and_let_their_rules_in" {
  command = plan

  variables {
    audit                    = { enabled = false }
    event_processor_function = { arn = "arn:aws:lambda:ap-northeast-2:111122223333:function:processor:live" }
    expiry_function          = { arn = "arn:aws:lambda:ap-northeast-2:111122223333:function:expiry" }
  }

  assert {
    condition     = jsonencode({ for key, target in aws_cloudwatch_event_target.this : key => [target.rule, target.event_bus_name, target.target_id, target.arn, target.role_arn] }) == jsonencode({ "created/event-processor" = ["traffic-tacos-reservation-created", "traffic-tacos-reservation-events", "event-processor", "arn:aws:lambda:ap-northeast-2:111122223333:function:processor:live", null], "status_changed/event-processor" = ["traffic-tacos-reservation-status-changed", "traffic-tacos-reservation-events", "event-processor", "arn:aws:lambda:ap-northeast-2:111122223333:function:processor:live", null] })
    error_message = "The processor gets what both rules match."
  }

  assert {
    condition     = aws_cloudwatch_event_rule.expiry.state == "ENABLED" && aws_cloudwatch_event_target.expiry["expiry"].rule == "traffic-tacos-reservation-expiry-scheduler" && aws_cloudwatch_event_target.expiry["expiry"].arn == "arn:aws:lambda:ap-northeast-2:111122223333:function:expiry"
    error_message = "With its function the schedule runs."
  }

  assert {
    condition = jsonencode({ for key, it in aws_lambda_permission.this : key => [it.statement_id, it.action, it.function_name, it.qualifier, it.principal, it.source_arn, it.source_account] }) == jsonencode({
      created        = ["eventbridge-created", "lambda:InvokeFunction", "processor", "live", "events.amazonaws.com", "arn:aws:events:ap-northeast-2:111122223333:rule/traffic-tacos-reservation-events/traffic-tacos-reservation-created", "111122223333"]
      expiry         = ["eventbridge-expiry", "lambda:InvokeFunction", "expiry", null, "events.amazonaws.com", "arn:aws:events:ap-northeast-2:111122223333:rule/traffic-tacos-reservation-expiry-scheduler", "111122223333"]
      status_changed = ["eventbridge-status-changed", "lambda:InvokeFunction", "processor", "live", "events.amazonaws.com", "arn:aws:events:ap-northeast-2:111122223333:rule/traffic-tacos-reservation-events/traffic-tacos-reservation-status-changed", "111122223333"]
    })
    error_message = "Each rule is let in by its own ARN, to the alias if there is one."
  }
}

# Applied, against the mock, because queues get their ARNs then.
run "every_target_retries_and_then_leaves_a_dead_letter" {
  command = apply

  variables {
    event_processor_function = { arn = "arn:aws:lambda:ap-northeast-2:111122223333:function:processor" }
    expiry_function          = { arn = "arn:aws:lambda:ap-northeast-2:111122223333:function:expiry" }
    events_queue             = {}
    forward                  = { bus_arn = "arn:aws:events:ap-northeast-1:111122223333:event-bus/traffic-tacos-reservation-events" }
  }

  override_resource {
    target = aws_sqs_queue.dlq
    values = { arn = "arn:aws:sqs:ap-northeast-2:111122223333:dead" }
  }

  override_resource {
    target = aws_cloudwatch_log_group.audit
    values = { arn = "arn:aws:logs:ap-northeast-2:111122223333:log-group:audit" }
  }

  override_resource {
    target = aws_iam_role.forward
    values = { arn = "arn:aws:iam::111122223333:role/forward" }
  }

  assert {
    condition = jsonencode({ for key, target in aws_cloudwatch_event_target.this : key => target.arn }) == jsonencode({
      "created/audit"                  = "arn:aws:logs:ap-northeast-2:111122223333:log-group:audit"
      "created/event-processor"        = "arn:aws:lambda:ap-northeast-2:111122223333:function:processor"
      "created/queue"                  = "arn:aws:sqs:ap-northeast-2:111122223333:mocked"
      "forward/bus"                    = "arn:aws:events:ap-northeast-1:111122223333:event-bus/traffic-tacos-reservation-events"
      "status_changed/audit"           = "arn:aws:logs:ap-northeast-2:111122223333:log-group:audit"
      "status_changed/event-processor" = "arn:aws:lambda:ap-northeast-2:111122223333:function:processor"
      "status_changed/queue"           = "arn:aws:sqs:ap-northeast-2:111122223333:mocked"
    })
    error_message = "Up to three targets for a rule, and the other region."
  }

  assert {
    condition     = alltrue([for target in aws_cloudwatch_event_target.this : target.retry_policy[0].maximum_event_age_in_seconds == 3600 && target.retry_policy[0].maximum_retry_attempts == 185])
    error_message = "An hour of tries."
  }

  assert {
    condition     = alltrue([for target in concat(values(aws_cloudwatch_event_target.this), values(aws_cloudwatch_event_target.expiry)) : target.dead_letter_config[0].arn == "arn:aws:sqs:ap-northeast-2:111122223333:dead"])
    error_message = "None is without dead letters."
  }

  assert {
    condition     = aws_cloudwatch_event_archive.this.event_source_arn == aws_cloudwatch_event_bus.this.arn
    error_message = "Section 2.1: what is archived are the events of this bus."
  }

  assert {
    condition     = aws_cloudwatch_event_target.expiry["expiry"].retry_policy[0].maximum_event_age_in_seconds == 60 && aws_cloudwatch_event_target.expiry["expiry"].retry_policy[0].maximum_retry_attempts == 2
    error_message = "The next minute starts it anew."
  }

  assert {
    condition     = [for key, target in aws_cloudwatch_event_target.this : key if target.role_arn != null] == ["forward/bus"] && aws_cloudwatch_event_target.this["forward/bus"].role_arn == "arn:aws:iam::111122223333:role/forward"
    error_message = "Only a bus is reached by a role."
  }

  assert {
    condition     = output.events_queue.arn == "arn:aws:sqs:ap-northeast-2:111122223333:mocked" && output.dead_letter_queue.arn == "arn:aws:sqs:ap-northeast-2:111122223333:dead" && output.forwarding_role_arn == "arn:aws:iam::111122223333:role/forward"
    error_message = "Outputs name them."
  }

  assert {
    condition     = jsondecode(aws_sqs_queue.events["queue"].redrive_policy) == { deadLetterTargetArn = "arn:aws:sqs:ap-northeast-2:111122223333:dead", maxReceiveCount = 5 }
    error_message = "What a consumer fails at five times is a dead letter too."
  }
}

run "the_queue_is_for_consumers_other_than_lambda" {
  command = plan

  variables {
    events_queue = {}
  }

  assert {
    condition     = aws_sqs_queue.events["queue"].name == "traffic-tacos-reservation-events-queue" && aws_sqs_queue.events["queue"].sqs_managed_sse_enabled
    error_message = "It is named, and encrypted like the dead letters."
  }

  assert {
    condition     = jsondecode(aws_sqs_queue.events["queue"].policy).Statement[0].Resource == "arn:aws:sqs:ap-northeast-2:111122223333:traffic-tacos-reservation-events-queue" && jsondecode(aws_sqs_queue.events["queue"].policy).Statement[1].Effect == "Deny"
    error_message = "Its policy is about itself."
  }

  assert {
    condition = jsondecode(aws_sqs_queue.events["queue"].policy).Statement[0].Condition == { ArnEquals = { "aws:SourceArn" = [
      "arn:aws:events:ap-northeast-2:111122223333:rule/traffic-tacos-reservation-events/traffic-tacos-reservation-created",
      "arn:aws:events:ap-northeast-2:111122223333:rule/traffic-tacos-reservation-events/traffic-tacos-reservation-status-changed",
    ] } }
    error_message = "From the two rules that it is a target of."
  }

  assert {
    condition     = jsondecode(aws_sqs_queue.dlq.redrive_allow_policy) == { redrivePermission = "byQueue", sourceQueueArns = ["arn:aws:sqs:ap-northeast-2:111122223333:traffic-tacos-reservation-events-queue"] }
    error_message = "This queue, and no other, may have its dead letters there."
  }
}

run "events_do_not_outlive_the_dead_letters" {
  command = plan

  variables {
    events_queue = { retention_seconds = 1209600 }
  }

  expect_failures = [aws_sqs_queue.events]
}

run "critical_events_go_to_the_other_region_and_not_back" {
  command = plan

  variables {
    forward = { bus_arn = "arn:aws:events:ap-northeast-1:111122223333:event-bus/traffic-tacos-reservation-events" }
  }

  assert {
    condition = jsondecode(aws_cloudwatch_event_rule.this["forward"].event_pattern) == {
      source      = ["reservation.service"]
      detail-type = ["Reservation Status Changed"]
      region      = ["ap-northeast-2"]
    }
    error_message = "Section 8.2: critical events, of this region only."
  }

  assert {
    condition = jsondecode(aws_iam_role.forward["bus"].assume_role_policy).Statement[0].Condition.StringEquals == {
      "aws:SourceAccount" = "111122223333"
      "aws:SourceArn"     = "arn:aws:events:ap-northeast-2:111122223333:rule/traffic-tacos-reservation-events/traffic-tacos-reservation-events-forward"
    }
    error_message = "EventBridge takes the role for that rule."
  }

  assert {
    condition     = jsondecode(aws_iam_role_policy.forward["bus"].policy).Statement == [{ Sid = "PutEvents", Effect = "Allow", Action = "events:PutEvents", Resource = "arn:aws:events:ap-northeast-1:111122223333:event-bus/traffic-tacos-reservation-events" }]
    error_message = "It puts events on that bus and does nothing else."
  }

  assert {
    condition     = contains(jsondecode(aws_sqs_queue.dlq.policy).Statement[0].Condition.ArnEquals["aws:SourceArn"], "arn:aws:events:ap-northeast-2:111122223333:rule/traffic-tacos-reservation-events/traffic-tacos-reservation-events-forward")
    error_message = "Its dead letters are let in."
  }
}

run "the_same_region_is_no_other_region" {
  command = plan

  variables {
    forward = { bus_arn = "arn:aws:events:ap-northeast-2:111122223333:event-bus/another" }
  }

  expect_failures = [aws_iam_role.forward]
}

run "retries_are_within_what_eventbridge_takes" {
  command = plan

  variables {
    retry = { seconds = 30 }
  }

  expect_failures = [var.retry]
}
