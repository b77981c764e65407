# The bus, its archive and its rules as the document has them. The provider is a mock with the real one's schema.

mock_provider "aws" {
  mock_data "aws_caller_identity" {
    defaults = { account_id = "111122223333" }
  }

  mock_data "aws_region" {
    defaults = { region = "ap-northeast-2" }
  }
}

variables {
  service_role_arn = "arn:aws:iam::111122223333:role/traffic-tacos-reservation-api-service-role"
}

run "the_bus_and_its_archive_are_the_documents" {
  command = plan

  assert {
    condition     = aws_cloudwatch_event_bus.this.name == "traffic-tacos-reservation-events"
    error_message = "Section 2.1."
  }

  assert {
    condition     = aws_cloudwatch_event_archive.this.name == "traffic-tacos-reservation-events-archive" && aws_cloudwatch_event_archive.this.retention_days == 365
    error_message = "Section 2.1: 365 days."
  }

  assert {
    condition     = jsondecode(aws_cloudwatch_event_archive.this.event_pattern) == { source = ["reservation.service"] }
    error_message = "Section 2.1: all events of the reservation service."
  }
}

run "the_patterns_are_the_documents_word_for_word" {
  command = plan

  assert {
    condition = jsonencode({ for rule in aws_cloudwatch_event_rule.this : rule.name => rule.event_bus_name }) == jsonencode({
      traffic-tacos-reservation-created        = "traffic-tacos-reservation-events"
      traffic-tacos-reservation-status-changed = "traffic-tacos-reservation-events"
    })
    error_message = "Section 2.2: two rules on the bus."
  }

  assert {
    condition = jsondecode(aws_cloudwatch_event_rule.this["created"].event_pattern) == jsondecode(<<-EOT
      {
        "source": ["reservation.service"],
        "detail-type": ["Reservation Created"],
        "detail": {
          "status": ["HOLD"]
        }
      }
    EOT
    )
    error_message = "Section 2.2, rule 1."
  }

  assert {
    condition = jsondecode(aws_cloudwatch_event_rule.this["status_changed"].event_pattern) == jsondecode(<<-EOT
      {
        "source": ["reservation.service"],
        "detail-type": ["Reservation Status Changed"],
        "detail": {
          "status": ["CONFIRMED", "CANCELLED", "EXPIRED"]
        }
      }
    EOT
    )
    error_message = "Section 2.2, rule 2."
  }
}

run "the_expiry_scheduler_is_there_and_rests_without_its_function" {
  command = plan

  assert {
    condition     = aws_cloudwatch_event_rule.expiry.name == "traffic-tacos-reservation-expiry-scheduler" && aws_cloudwatch_event_rule.expiry.schedule_expression == "rate(1 minute)"
    error_message = "Section 2.2, rule 3."
  }

  assert {
    condition     = aws_cloudwatch_event_rule.expiry.event_bus_name == "default" || aws_cloudwatch_event_rule.expiry.event_bus_name == null
    error_message = "A custom bus takes no schedule."
  }

  assert {
    condition     = aws_cloudwatch_event_rule.expiry.state == "DISABLED" && length(aws_cloudwatch_event_target.expiry) == 0
    error_message = "The workers expire holds."
  }
}

run "only_the_service_puts_its_own_events" {
  command = plan

  assert {
    condition = jsondecode(aws_cloudwatch_event_bus_policy.this.policy).Statement == jsondecode(<<-EOT
      [
        {
          "Sid": "LetTheServicePutItsEvents", "Effect": "Allow",
          "Principal": {"AWS": ["arn:aws:iam::111122223333:role/traffic-tacos-reservation-api-service-role"]},
          "Action": "events:PutEvents", "Resource": "arn:aws:events:ap-northeast-2:111122223333:event-bus/traffic-tacos-reservation-events",
          "Condition": {"StringEquals": {"events:source": "reservation.service"}}
        },
        {
          "Sid": "DenyEverybodyElse", "Effect": "Deny", "Principal": "*",
          "Action": "events:PutEvents", "Resource": "arn:aws:events:ap-northeast-2:111122223333:event-bus/traffic-tacos-reservation-events",
          "Condition": {
            "ArnNotEquals": {"aws:PrincipalArn": ["arn:aws:iam::111122223333:role/traffic-tacos-reservation-api-service-role"]},
            "Bool": {"aws:PrincipalIsAWSService": "false"}
          }
        },
        {
          "Sid": "DenyOtherSources", "Effect": "Deny", "Principal": "*",
          "Action": "events:PutEvents", "Resource": "arn:aws:events:ap-northeast-2:111122223333:event-bus/traffic-tacos-reservation-events",
          "Condition": {"StringNotEquals": {"events:source": "reservation.service"}}
        },
        {
          "Sid": "DenyWithoutTls", "Effect": "Deny", "Principal": "*",
          "Action": "events:PutEvents", "Resource": "arn:aws:events:ap-northeast-2:111122223333:event-bus/traffic-tacos-reservation-events",
          "Condition": {"Bool": {"aws:SecureTransport": "false"}}
        }
      ]
    EOT
    )
    error_message = "Section 6.3: this role, this source, by TLS; nobody else."
  }
}

run "others_are_let_in_by_their_role" {
  command = plan

  variables {
    publisher_role_arns = ["arn:aws:iam::111122223333:role/traffic-tacos-reservation-events-forward-ap-northeast-1"]
  }

  assert {
    condition = jsondecode(aws_cloudwatch_event_bus_policy.this.policy).Statement[1].Condition.ArnNotEquals == { "aws:PrincipalArn" = [
      "arn:aws:iam::111122223333:role/traffic-tacos-reservation-api-service-role",
      "arn:aws:iam::111122223333:role/traffic-tacos-reservation-events-forward-ap-northeast-1",
    ] }
    error_message = "Beside the service, and with the same source only."
  }
}

run "a_role_of_another_account_is_refused" {
  command = plan

  variables {
    service_role_arn = "arn:aws:iam::999988887777:role/traffic-tacos-reservation-api-service-role"
  }

  expect_failures = [aws_cloudwatch_event_bus_policy.this]
}

run "a_role_is_no_pattern" {
  command = plan

  variables {
    service_role_arn = "arn:aws:iam::111122223333:role/*"
  }

  expect_failures = [var.service_role_arn]
}

run "names_begin_with_env" {
  command = plan

  variables {
    env = "demo"
  }

  assert {
    condition = jsonencode(output.rules) == jsonencode({
      created        = { name = "demo-reservation-created", event_bus_name = "demo-reservation-events" }
      expiry         = { name = "demo-reservation-expiry-scheduler", event_bus_name = null }
      status_changed = { name = "demo-reservation-status-changed", event_bus_name = "demo-reservation-events" }
    })
    error_message = "Rules, and on which bus their metrics count."
  }

  assert {
    condition     = output.service_environment == { AWS_EVENTBRIDGE_BUS_NAME = "demo-reservation-events" } && aws_sqs_queue.dlq.name == "demo-reservation-events-dlq"
    error_message = "Bus and dead letters."
  }
}

run "env_fits_into_every_name" {
  command = plan

  variables {
    env = "an-environment-with-a-name"
  }

  expect_failures = [var.env]
}
