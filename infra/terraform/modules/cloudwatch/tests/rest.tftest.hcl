# Log groups, the topic, the collector and the dashboard. The provider is a mock.

mock_provider "aws" {
  mock_data "aws_caller_identity" {
    defaults = { account_id = "111122223333" }
  }

  mock_data "aws_region" {
    defaults = { region = "ap-northeast-2" }
  }
}

variables {
  tables            = { outbox = { name = "traffic-tacos-reservation-outbox", indexes = ["status-created_at-index"] } }
  rules             = { created = { name = "traffic-tacos-reservation-created", event_bus_name = "traffic-tacos-reservation-events" } }
  dead_letter_queue = { name = "traffic-tacos-reservation-events-dlq" }
}

run "logs_are_kept_for_thirty_days" {
  command = plan

  assert {
    condition = jsonencode({ for key, group in aws_cloudwatch_log_group.this : key => group.name }) == jsonencode({
      metrics                                   = "/aws/ecs/reservation-api/metrics"
      service                                   = "/aws/ecs/reservation-api"
      traffic-tacos-reservation-event-processor = "/aws/lambda/traffic-tacos-reservation-event-processor"
      traffic-tacos-reservation-expiry          = "/aws/lambda/traffic-tacos-reservation-expiry"
    })
    error_message = "The service's group is the one that its role may write to."
  }

  assert {
    condition     = alltrue([for group in aws_cloudwatch_log_group.this : group.retention_in_days == 30])
    error_message = "Section 7.3."
  }
}

run "functions_may_be_others" {
  command = plan

  variables {
    function_names = ["one"]
  }

  assert {
    condition     = keys(aws_cloudwatch_log_group.this) == ["metrics", "one", "service"]
    error_message = "A group for each function."
  }
}

run "the_service_can_write_to_its_group" {
  command = plan

  variables {
    service_log_group_name = "/ecs/reservation-api"
  }

  expect_failures = [var.service_log_group_name]
}

run "only_alarms_publish" {
  command = plan

  assert {
    condition     = aws_sns_topic.alarms.name == "traffic-tacos-reservation-alarms" && aws_sns_topic.alarms.kms_master_key_id == null
    error_message = "CloudWatch can not use alias/aws/sns."
  }

  assert {
    condition = jsondecode(aws_sns_topic_policy.alarms.policy).Statement == jsondecode(<<-EOT
      [
        {
          "Sid": "LetTheAlarmsPublish", "Effect": "Allow", "Principal": {"Service": "cloudwatch.amazonaws.com"},
          "Action": "sns:Publish", "Resource": "arn:aws:sns:ap-northeast-2:111122223333:traffic-tacos-reservation-alarms",
          "Condition": {
            "StringEquals": {"aws:SourceAccount": "111122223333"},
            "ArnLike": {"aws:SourceArn": "arn:aws:cloudwatch:ap-northeast-2:111122223333:alarm:traffic-tacos-reservation-*"}
          }
        },
        {
          "Sid": "DenyEverybodyElse", "Effect": "Deny", "Principal": "*",
          "Action": "sns:Publish", "Resource": "arn:aws:sns:ap-northeast-2:111122223333:traffic-tacos-reservation-alarms",
          "Condition": {"Bool": {"aws:PrincipalIsAWSService": "false"}}
        },
        {
          "Sid": "DenyWithoutTls", "Effect": "Deny", "Principal": "*",
          "Action": "sns:Publish", "Resource": "arn:aws:sns:ap-northeast-2:111122223333:traffic-tacos-reservation-alarms",
          "Condition": {"Bool": {"aws:SecureTransport": "false"}}
        }
      ]
    EOT
    )
    error_message = "CloudWatch, for the alarms here, by TLS."
  }
}

run "whoever_subscribes_is_told" {
  command = plan

  variables {
    subscriptions = { oncall = { protocol = "email", endpoint = "oncall@example.com" } }
  }

  assert {
    condition     = aws_sns_topic_subscription.this["oncall"].protocol == "email" && aws_sns_topic_subscription.this["oncall"].endpoint == "oncall@example.com"
    error_message = "As asked."
  }
}

run "nobody_is_told_in_plain_text" {
  command = plan

  variables {
    subscriptions = { hook = { protocol = "http", endpoint = "http://example.com" } }
  }

  expect_failures = [var.subscriptions]
}

run "the_collector_writes_the_documents_metrics_and_no_others" {
  command = plan

  assert {
    condition = { for key in ["namespace", "region", "log_group_name", "dimension_rollup_option"] : key => yamldecode(output.collector_config).exporters.awsemf[key] } == {
      namespace               = "TrafficTacos/Reservation"
      region                  = "ap-northeast-2"
      log_group_name          = "/aws/ecs/reservation-api/metrics"
      dimension_rollup_option = "NoDimensionRollup"
    }
    error_message = "Section 4.1's namespace, and the group that the service role may write to."
  }

  assert {
    condition = jsonencode({ for it in yamldecode(output.collector_config).exporters.awsemf.metric_declarations : join(" ", it.metric_name_selectors) => it.dimensions }) == jsonencode({
      "^APILatency$"                                         = [["endpoint"], []]
      "^DynamoDBOperationLatency$"                           = [["table", "operation"]]
      "^OutboxOldestPendingAge$ ^HTTPRequests$ ^HTTPErrors$" = [[]]
      "^ReservationStatusCount$"                             = [["status"]]
      "^gRPCCallDuration$"                                   = [["method"]]
    })
    error_message = "Section 4.1: by status, endpoint, method, table and operation."
  }

  # The collector's regular expressions are Terraform's: both are RE2.
  assert {
    condition = [
      for endpoint in ["POST /v1/reservations", "/reservation.v1.ReservationService/GetReservation", "GET /actuator/health", "GET /docs"] :
      can(regex(one(flatten([for it in yamldecode(output.collector_config).exporters.awsemf.metric_declarations : it.label_matchers if can(it.label_matchers)])).regex, endpoint))
    ] == [true, true, false, false]
    error_message = "Health checks do not count as requests."
  }

  assert {
    condition = yamldecode(output.collector_config).service.pipelines == { metrics = {
      receivers  = ["otlp"]
      processors = ["memory_limiter", "cumulativetodelta", "batch"]
      exporters  = ["awsemf"]
    } }
    error_message = "One pipeline."
  }

  assert {
    condition     = keys(yamldecode(output.collector_config).receivers.otlp.protocols) == ["http"] && endswith(yamldecode(output.collector_config).receivers.otlp.protocols.http.endpoint, ":4318")
    error_message = "Section 5: OTLP_ENDPOINT is HTTP on 4318."
  }

  assert {
    condition     = jsondecode(output.collector_policy).Statement[0].Resource == "arn:aws:logs:ap-northeast-2:111122223333:log-group:/aws/ecs/reservation-api/metrics:*"
    error_message = "A collector with a role of its own writes there and nowhere else."
  }
}

run "metrics_may_have_other_names" {
  command = plan

  variables {
    metrics = { api_latency = "Latency", outbox_oldest_pending_age = "Age", namespace = "Tacos" }
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.high_latency.metric_name == "Latency" && aws_cloudwatch_metric_alarm.waiting["outbox-age"].metric_name == "Age" && aws_cloudwatch_metric_alarm.waiting["outbox-age"].namespace == "Tacos"
    error_message = "Alarms follow."
  }

  assert {
    condition     = strcontains(output.collector_config, "^Latency$") && yamldecode(output.collector_config).exporters.awsemf.namespace == "Tacos" && strcontains(aws_cloudwatch_dashboard.this.dashboard_body, "{Tacos,endpoint} MetricName=\\\"Latency\\\"")
    error_message = "So do the collector and the dashboard."
  }
}

run "the_dashboard_shows_every_alarm_and_metric" {
  command = plan

  assert {
    condition     = jsondecode(aws_cloudwatch_dashboard.this.dashboard_body).widgets[0].properties.alarms == [for name in output.alarm_names : "arn:aws:cloudwatch:ap-northeast-2:111122223333:alarm:${name}"]
    error_message = "All alarms at one look."
  }

  assert {
    condition = alltrue([for metric in ["ReservationStatusCount", "APILatency", "gRPCCallDuration", "DynamoDBOperationLatency"] :
    strcontains(aws_cloudwatch_dashboard.this.dashboard_body, "MetricName=\\\"${metric}\\\"")])
    error_message = "Section 4.1's metrics."
  }

  assert {
    condition     = length(distinct([for widget in jsondecode(aws_cloudwatch_dashboard.this.dashboard_body).widgets : "${widget.x},${widget.y}"])) == length(jsondecode(aws_cloudwatch_dashboard.this.dashboard_body).widgets) && alltrue([for widget in jsondecode(aws_cloudwatch_dashboard.this.dashboard_body).widgets : widget.x + widget.width <= 24])
    error_message = "No widget lies on another, none beyond the edge."
  }
}

run "env_fits_into_every_name" {
  command = plan

  variables {
    env = "an-environment-with-a-name"
  }

  expect_failures = [var.env]
}
