# The document's alarms, and those on events that do not get where they should. The provider is a mock.

mock_provider "aws" {
  mock_data "aws_caller_identity" {
    defaults = { account_id = "111122223333" }
  }

  mock_data "aws_region" {
    defaults = { region = "ap-northeast-2" }
  }
}

variables {
  tables = {
    idempotency  = { name = "traffic-tacos-reservation-idempotency", indexes = [] }
    orders       = { name = "traffic-tacos-reservation-orders", indexes = ["event-created-index", "user-created-index"] }
    outbox       = { name = "traffic-tacos-reservation-outbox", indexes = ["status-created_at-index"] }
    reservations = { name = "traffic-tacos-reservation-reservations", indexes = ["status-created-index", "user-status-index"] }
  }

  rules = {
    created        = { name = "traffic-tacos-reservation-created", event_bus_name = "traffic-tacos-reservation-events" }
    status_changed = { name = "traffic-tacos-reservation-status-changed", event_bus_name = "traffic-tacos-reservation-events" }
    expiry         = { name = "traffic-tacos-reservation-expiry-scheduler" }
  }

  dead_letter_queue = { name = "traffic-tacos-reservation-events-dlq" }
}

run "high_error_rate_is_the_documents" {
  command = plan

  assert {
    condition = [
      aws_cloudwatch_metric_alarm.high_error_rate.alarm_name, aws_cloudwatch_metric_alarm.high_error_rate.comparison_operator, aws_cloudwatch_metric_alarm.high_error_rate.treat_missing_data
    ] == ["traffic-tacos-reservation-high-error-rate", "GreaterThanThreshold", "notBreaching"]
    error_message = "Section 4.2: above."
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.high_error_rate.threshold == 1 && aws_cloudwatch_metric_alarm.high_error_rate.evaluation_periods == 2
    error_message = "Section 4.2: 1 %, 2 periods."
  }

  assert {
    condition     = alltrue([for query in aws_cloudwatch_metric_alarm.high_error_rate.metric_query : query.metric[0].period == 300 && query.metric[0].stat == "Sum" if length(query.metric) > 0])
    error_message = "Section 4.2: of 5 minutes."
  }

  assert {
    condition = jsonencode({ for query in aws_cloudwatch_metric_alarm.high_error_rate.metric_query : query.id => [query.metric[0].namespace, query.metric[0].metric_name, query.metric[0].dimensions] if length(query.metric) > 0 }) == jsonencode({
      errors   = ["TrafficTacos/Reservation", "HTTPErrors", {}]
      requests = ["TrafficTacos/Reservation", "HTTPRequests", {}]
    })
    error_message = "Without a balancer the service counts."
  }

  assert {
    condition = jsonencode({ for query in aws_cloudwatch_metric_alarm.high_error_rate.metric_query : query.id => [query.expression, query.return_data] if length(query.metric) == 0 }) == jsonencode({
      all    = ["MAX([asked, failed])", false]
      asked  = ["FILL(requests, 0)", false]
      failed = ["SUM(FILL(METRICS(\"errors\"), 0))", false]
      rate   = ["IF(all > 0, 100 * failed / all, 0)", true]
    })
    error_message = "A rate, and the one thing that the alarm looks at."
  }
}

run "the_balancer_counts_what_never_reached_a_task" {
  command = plan

  variables {
    load_balancer = { arn_suffix = "app/reservation/50dc6c495c0c9188" }
  }

  assert {
    condition = jsonencode({ for query in aws_cloudwatch_metric_alarm.high_error_rate.metric_query : query.id => [query.metric[0].namespace, query.metric[0].metric_name, query.metric[0].dimensions] if length(query.metric) > 0 }) == jsonencode({
      errors_of_its_own = ["AWS/ApplicationELB", "HTTPCode_ELB_5XX_Count", { LoadBalancer = "app/reservation/50dc6c495c0c9188" }]
      errors_of_targets = ["AWS/ApplicationELB", "HTTPCode_Target_5XX_Count", { LoadBalancer = "app/reservation/50dc6c495c0c9188" }]
      requests          = ["AWS/ApplicationELB", "RequestCount", { LoadBalancer = "app/reservation/50dc6c495c0c9188" }]
    })
    error_message = "Both kinds of 5xx; ids that METRICS(\"errors\") finds."
  }
}

run "high_latency_is_the_documents" {
  command = plan

  assert {
    condition = [
      aws_cloudwatch_metric_alarm.high_latency.alarm_name, aws_cloudwatch_metric_alarm.high_latency.namespace, aws_cloudwatch_metric_alarm.high_latency.metric_name,
      aws_cloudwatch_metric_alarm.high_latency.extended_statistic, aws_cloudwatch_metric_alarm.high_latency.comparison_operator, aws_cloudwatch_metric_alarm.high_latency.treat_missing_data
    ] == ["traffic-tacos-reservation-high-latency", "TrafficTacos/Reservation", "APILatency", "p95", "GreaterThanThreshold", "notBreaching"]
    error_message = "Section 4.2: P95 of APILatency."
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.high_latency.threshold == 120 && aws_cloudwatch_metric_alarm.high_latency.evaluation_periods == 3 && aws_cloudwatch_metric_alarm.high_latency.period == 300
    error_message = "Section 4.2: 120 ms, 3 periods of 5 minutes."
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.high_latency.evaluate_low_sample_count_percentiles == "evaluate"
    error_message = "Few requests are slow, too: the document leaves out none."
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.high_latency.dimensions == null && aws_cloudwatch_metric_alarm.high_latency.statistic == null && aws_cloudwatch_metric_alarm.high_latency.unit == null
    error_message = "All endpoints together; a unit would leave out what comes with another."
  }
}

run "throttling_is_summed_over_tables_and_indexes" {
  command = plan

  assert {
    condition = jsonencode({ for table, alarm in aws_cloudwatch_metric_alarm.throttling : table => sort([
      for query in alarm.metric_query : "${query.metric[0].metric_name} ${query.metric[0].dimensions.TableName} ${lookup(query.metric[0].dimensions, "GlobalSecondaryIndexName", "-")}" if length(query.metric) > 0
      ]) }) == jsonencode({
      idempotency = [
        "ReadThrottleEvents traffic-tacos-reservation-idempotency -",
        "WriteThrottleEvents traffic-tacos-reservation-idempotency -",
      ]
      orders = [
        "ReadThrottleEvents traffic-tacos-reservation-orders -",
        "ReadThrottleEvents traffic-tacos-reservation-orders event-created-index",
        "ReadThrottleEvents traffic-tacos-reservation-orders user-created-index",
        "WriteThrottleEvents traffic-tacos-reservation-orders -",
        "WriteThrottleEvents traffic-tacos-reservation-orders event-created-index",
        "WriteThrottleEvents traffic-tacos-reservation-orders user-created-index",
      ]
      outbox = [
        "ReadThrottleEvents traffic-tacos-reservation-outbox -",
        "ReadThrottleEvents traffic-tacos-reservation-outbox status-created_at-index",
        "WriteThrottleEvents traffic-tacos-reservation-outbox -",
        "WriteThrottleEvents traffic-tacos-reservation-outbox status-created_at-index",
      ]
      reservations = [
        "ReadThrottleEvents traffic-tacos-reservation-reservations -",
        "ReadThrottleEvents traffic-tacos-reservation-reservations status-created-index",
        "ReadThrottleEvents traffic-tacos-reservation-reservations user-status-index",
        "WriteThrottleEvents traffic-tacos-reservation-reservations -",
        "WriteThrottleEvents traffic-tacos-reservation-reservations status-created-index",
        "WriteThrottleEvents traffic-tacos-reservation-reservations user-status-index",
      ]
    })
    error_message = "A table's metric leaves out its indexes, so each is named."
  }

  assert {
    condition = alltrue(flatten([for alarm in aws_cloudwatch_metric_alarm.throttling : [
      alarm.threshold == 0, alarm.comparison_operator == "GreaterThanThreshold", alarm.evaluation_periods == 1, alarm.treat_missing_data == "notBreaching",
      [for query in alarm.metric_query : query.metric[0].period == 300 && query.metric[0].stat == "Sum" if length(query.metric) > 0],
      [for query in alarm.metric_query : query.expression == "SUM(FILL(METRICS(), 0))" if query.return_data] == [true],
    ]]))
    error_message = "Section 4.2: above 0, 1 period of 5 minutes."
  }

  assert {
    condition     = length(flatten([for alarm in aws_cloudwatch_metric_alarm.throttling : [for query in alarm.metric_query : query.id]])) == 18 + 4 && alltrue([for alarm in aws_cloudwatch_metric_alarm.throttling : alltrue([for query in alarm.metric_query : can(regex("^[a-z][a-z0-9_]*$", query.id))])])
    error_message = "CloudWatch's ids begin with a lower-case letter and have no hyphens."
  }

  assert {
    condition = aws_cloudwatch_composite_alarm.throttling.alarm_name == "traffic-tacos-reservation-dynamodb-throttling" && aws_cloudwatch_composite_alarm.throttling.alarm_rule == join(" OR ", [
      "ALARM(\"traffic-tacos-reservation-dynamodb-throttling-idempotency\")",
      "ALARM(\"traffic-tacos-reservation-dynamodb-throttling-orders\")",
      "ALARM(\"traffic-tacos-reservation-dynamodb-throttling-outbox\")",
      "ALARM(\"traffic-tacos-reservation-dynamodb-throttling-reservations\")",
    ])
    error_message = "One alarm for all of them."
  }
}

run "one_alarm_takes_ten_metrics" {
  command = plan

  variables {
    tables = { wide = { name = "wide", indexes = ["a", "b", "c", "d", "e"] } }
  }

  expect_failures = [aws_cloudwatch_metric_alarm.throttling]
}

run "what_waits_too_long_is_said" {
  command = plan

  variables {
    events_queue = { name = "traffic-tacos-reservation-events-queue" }
  }

  assert {
    condition = jsonencode({ for key, alarm in aws_cloudwatch_metric_alarm.waiting : alarm.alarm_name => [
      alarm.namespace, alarm.metric_name, alarm.dimensions, alarm.statistic, alarm.comparison_operator, alarm.threshold, alarm.period, alarm.evaluation_periods, alarm.treat_missing_data
      ] }) == jsonencode({
      traffic-tacos-reservation-dead-letters     = ["AWS/SQS", "ApproximateNumberOfMessagesVisible", { QueueName = "traffic-tacos-reservation-events-dlq" }, "Maximum", "GreaterThanThreshold", 0, 60, 1, "notBreaching"]
      traffic-tacos-reservation-events-queue-age = ["AWS/SQS", "ApproximateAgeOfOldestMessage", { QueueName = "traffic-tacos-reservation-events-queue" }, "Maximum", "GreaterThanThreshold", 900, 60, 3, "notBreaching"]
      traffic-tacos-reservation-outbox-age       = ["TrafficTacos/Reservation", "OutboxOldestPendingAge", null, "Maximum", "GreaterThanThreshold", 60, 60, 3, "breaching"]
    })
    error_message = "The outbox, whose silence is an outage; the dead letters; the queue."
  }
}

run "a_queue_that_is_not_there_is_not_watched" {
  command = plan

  assert {
    condition     = keys(aws_cloudwatch_metric_alarm.waiting) == ["dead-letters", "outbox-age"]
    error_message = "Only what there is."
  }
}

run "what_eventbridge_does_not_deliver_is_said" {
  command = plan

  assert {
    condition = jsonencode({ for alarm in aws_cloudwatch_metric_alarm.undelivered : alarm.alarm_name => distinct([for query in alarm.metric_query : "${query.metric[0].namespace} ${query.metric[0].metric_name} ${query.metric[0].stat} ${query.metric[0].period}" if length(query.metric) > 0]) }) == jsonencode({
      traffic-tacos-reservation-failed-invocations = ["AWS/Events FailedInvocations Sum 300"]
      traffic-tacos-reservation-lost-events        = ["AWS/Events InvocationsFailedToBeSentToDlq Sum 300"]
      traffic-tacos-reservation-throttled-rules    = ["AWS/Events ThrottledRules Sum 300"]
    })
    error_message = "Three ways of not being delivered."
  }

  assert {
    condition = jsonencode({ for query in aws_cloudwatch_metric_alarm.undelivered["lost-events"].metric_query : query.id => query.metric[0].dimensions if length(query.metric) > 0 }) == jsonencode({
      rule_created        = { EventBusName = "traffic-tacos-reservation-events", RuleName = "traffic-tacos-reservation-created" }
      rule_expiry         = { RuleName = "traffic-tacos-reservation-expiry-scheduler" }
      rule_status_changed = { EventBusName = "traffic-tacos-reservation-events", RuleName = "traffic-tacos-reservation-status-changed" }
    })
    error_message = "Rules of the default bus are counted without a bus."
  }

  assert {
    condition     = alltrue([for alarm in aws_cloudwatch_metric_alarm.undelivered : alarm.threshold == 0 && alarm.comparison_operator == "GreaterThanThreshold" && alarm.evaluation_periods == 1 && alarm.treat_missing_data == "notBreaching"])
    error_message = "One is too many."
  }

  assert {
    condition     = alltrue([for alarm in aws_cloudwatch_metric_alarm.undelivered : [for query in alarm.metric_query : query.expression if query.return_data] == ["SUM(FILL(METRICS(), 0))"]])
    error_message = "The alarm looks at the sum."
  }
}

run "one_alarm_takes_ten_rules" {
  command = plan

  variables {
    rules = { for number in range(11) : "rule${number}" => { name = "rule${number}" } }
  }

  expect_failures = [aws_cloudwatch_metric_alarm.undelivered]
}

# Applied, against the mock, because the topic gets its ARN then.
run "every_alarm_but_the_parts_of_one_tells_the_topic" {
  command = apply

  override_resource {
    target = aws_sns_topic.alarms
    values = { arn = "arn:aws:sns:ap-northeast-2:111122223333:traffic-tacos-reservation-alarms" }
  }

  assert {
    condition = alltrue([for alarm in concat(
      [aws_cloudwatch_metric_alarm.high_error_rate, aws_cloudwatch_metric_alarm.high_latency],
      values(aws_cloudwatch_metric_alarm.waiting),
      values(aws_cloudwatch_metric_alarm.undelivered),
    ) : [alarm.alarm_actions, alarm.ok_actions] == [toset(["arn:aws:sns:ap-northeast-2:111122223333:traffic-tacos-reservation-alarms"]), toset(["arn:aws:sns:ap-northeast-2:111122223333:traffic-tacos-reservation-alarms"])]])
    error_message = "Section 4.2: SNS notification; and when it is over."
  }

  assert {
    condition     = [aws_cloudwatch_composite_alarm.throttling.alarm_actions, aws_cloudwatch_composite_alarm.throttling.ok_actions] == [toset(["arn:aws:sns:ap-northeast-2:111122223333:traffic-tacos-reservation-alarms"]), toset(["arn:aws:sns:ap-northeast-2:111122223333:traffic-tacos-reservation-alarms"])]
    error_message = "The alarm of all tables tells."
  }

  assert {
    condition     = alltrue([for alarm in aws_cloudwatch_metric_alarm.throttling : length(coalesce(alarm.alarm_actions, [])) == 0])
    error_message = "Its parts do not, or one cause would call twice."
  }

  assert {
    condition = output.alarm_names == tolist([
      "traffic-tacos-reservation-dead-letters",
      "traffic-tacos-reservation-dynamodb-throttling",
      "traffic-tacos-reservation-failed-invocations",
      "traffic-tacos-reservation-high-error-rate",
      "traffic-tacos-reservation-high-latency",
      "traffic-tacos-reservation-lost-events",
      "traffic-tacos-reservation-outbox-age",
      "traffic-tacos-reservation-throttled-rules",
    ])
    error_message = "A runbook for each."
  }
}
