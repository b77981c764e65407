data "aws_caller_identity" "current" {}
data "aws_region" "current" {}

locals {
  account = data.aws_caller_identity.current.account_id
  region  = data.aws_region.current.region
  prefix  = "${var.env}-reservation"
}

# --- Log groups ---------------------------------------------------------------------------------------------------------

locals {
  function_names = coalesce(var.function_names, ["${local.prefix}-event-processor", "${local.prefix}-expiry"])

  # Below the service's own group, because that is where the service role may write: a collector beside the service needs
  # no role of its own.
  metrics_log_group_name = "${var.service_log_group_name}/metrics"

  log_group_names = merge(
    { service = var.service_log_group_name, metrics = local.metrics_log_group_name },
    { for function in local.function_names : function => "/aws/lambda/${function}" },
  )
}

resource "aws_cloudwatch_log_group" "this" {
  # checkov:skip=CKV_AWS_158:CloudWatch encrypts by itself; the document asks for keys of tables alone, and no line holds a secret.
  # checkov:skip=CKV_AWS_338:Section 7.3 says 30 days.

  for_each = local.log_group_names

  name              = each.value
  retention_in_days = var.log_retention_days
  tags              = var.tags
}

# --- Where alarms go ----------------------------------------------------------------------------------------------------

resource "aws_sns_topic" "alarms" {
  name              = "${local.prefix}-alarms"
  kms_master_key_id = var.topic_kms_key_arn
  tags              = var.tags
}

resource "aws_sns_topic_policy" "alarms" {
  arn = aws_sns_topic.alarms.arn

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "LetTheAlarmsPublish"
        Effect    = "Allow"
        Principal = { Service = "cloudwatch.amazonaws.com" }
        Action    = "sns:Publish"
        Resource  = local.topic_arn
        Condition = {
          StringEquals = { "aws:SourceAccount" = local.account }
          ArnLike      = { "aws:SourceArn" = "arn:aws:cloudwatch:${local.region}:${local.account}:alarm:${local.prefix}-*" }
        }
      },
      {
        # Who could publish could also call a false alarm.
        Sid       = "DenyEverybodyElse"
        Effect    = "Deny"
        Principal = "*"
        Action    = "sns:Publish"
        Resource  = local.topic_arn
        Condition = { Bool = { "aws:PrincipalIsAWSService" = "false" } }
      },
      {
        Sid       = "DenyWithoutTls"
        Effect    = "Deny"
        Principal = "*"
        Action    = "sns:Publish"
        Resource  = local.topic_arn
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
    ]
  })
}

resource "aws_sns_topic_subscription" "this" {
  for_each = var.subscriptions

  topic_arn = aws_sns_topic.alarms.arn
  protocol  = each.value.protocol
  endpoint  = each.value.endpoint
}

locals {
  # Put together from the name, so that a plan shows the whole policy.
  topic_arn = "arn:aws:sns:${local.region}:${local.account}:${local.prefix}-alarms"

  # An alarm of metric math takes so many metrics (CloudWatch's hard limit).
  metrics_of_an_alarm = 10
}

# --- The document's alarms (section 4.2) ----------------------------------------------------------------------------------

locals {
  request_counts = var.load_balancer == null ? [
    { id = "requests", namespace = var.metrics.namespace, name = var.metrics.http_requests, dimensions = tomap({}) },
    { id = "errors", namespace = var.metrics.namespace, name = var.metrics.http_errors, dimensions = tomap({}) },
    ] : [
    for id, name in {
      requests          = "RequestCount"
      errors_of_targets = "HTTPCode_Target_5XX_Count"
      errors_of_its_own = "HTTPCode_ELB_5XX_Count" # no target to ask, or none that answered: worse than what targets say
    } :
    { id = id, namespace = "AWS/ApplicationELB", name = name, dimensions = tomap({ LoadBalancer = var.load_balancer.arn_suffix }) }
  ]

  error_rate_expressions = [
    # A count of none is often no count at all.
    { id = "failed", expression = "SUM(FILL(METRICS(\"errors\"), 0))", label = "Failed" },
    { id = "asked", expression = "FILL(requests, 0)", label = "Asked" },
    # The balancer does not count as requests what it had no target for.
    { id = "all", expression = "MAX([asked, failed])", label = "All" },
    { id = "rate", expression = "IF(all > 0, 100 * failed / all, 0)", label = "5xx, percent of requests" },
  ]
}

resource "aws_cloudwatch_metric_alarm" "high_error_rate" {
  alarm_name          = "${local.prefix}-high-error-rate"
  alarm_description   = "More than ${var.thresholds.error_rate_percent} % of requests were answered with 5xx, for ten minutes. Runbook: ${var.runbooks_url}/high-error-rate.md"
  comparison_operator = "GreaterThanThreshold"
  threshold           = var.thresholds.error_rate_percent
  evaluation_periods  = 2
  treat_missing_data  = "notBreaching" # nobody asks, so nobody is refused
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]
  tags                = var.tags

  dynamic "metric_query" {
    for_each = local.request_counts

    content {
      id          = metric_query.value.id
      return_data = false

      metric {
        namespace   = metric_query.value.namespace
        metric_name = metric_query.value.name
        dimensions  = metric_query.value.dimensions
        period      = 300
        stat        = "Sum"
      }
    }
  }

  dynamic "metric_query" {
    for_each = local.error_rate_expressions

    content {
      id          = metric_query.value.id
      expression  = metric_query.value.expression
      label       = metric_query.value.label
      return_data = metric_query.value.id == "rate"
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "high_latency" {
  alarm_name          = "${local.prefix}-high-latency"
  alarm_description   = "P95 of all requests was above ${var.thresholds.p95_latency_milliseconds} ms for fifteen minutes. Runbook: ${var.runbooks_url}/high-latency.md"
  comparison_operator = "GreaterThanThreshold"
  threshold           = var.thresholds.p95_latency_milliseconds
  evaluation_periods  = 3
  period              = 300
  namespace           = var.metrics.namespace
  metric_name         = var.metrics.api_latency # without dimensions: all endpoints together
  extended_statistic  = "p95"
  treat_missing_data  = "notBreaching" # no requests, no latency
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]
  tags                = var.tags

  # The document makes no exception for quiet hours, so few samples count too.
  evaluate_low_sample_count_percentiles = "evaluate"
}

locals {
  # A table's own metrics leave out its indexes'.
  throttles = { for table, it in var.tables : table => [
    for metric in setproduct(["ReadThrottleEvents", "WriteThrottleEvents"], concat([""], sort(it.indexes))) : {
      id   = lower("${substr(metric[0], 0, 1)}_${replace(metric[1] == "" ? "table" : metric[1], "/[^A-Za-z0-9]/", "_")}")
      name = metric[0]
      dimensions = merge(
        { TableName = it.name },
        { for index in compact([metric[1]]) : "GlobalSecondaryIndexName" => index },
      )
    }
  ] }
}

# Four tables and five indexes have 18 metrics, more than one alarm takes: one alarm for each table, which tells nobody, and
# one for all of them. Counts are not negative, so the sum of all is above 0 where one is.
resource "aws_cloudwatch_metric_alarm" "throttling" {
  for_each = local.throttles

  alarm_name          = "${local.prefix}-dynamodb-throttling-${each.key}"
  alarm_description   = "DynamoDB throttled reads or writes of ${var.tables[each.key].name} or its indexes. Runbook: ${var.runbooks_url}/dynamodb-throttling.md"
  comparison_operator = "GreaterThanThreshold"
  threshold           = var.thresholds.throttle_events
  evaluation_periods  = 1
  treat_missing_data  = "notBreaching" # DynamoDB sends these metrics only when it throttles
  tags                = var.tags

  dynamic "metric_query" {
    for_each = each.value

    content {
      id          = metric_query.value.id
      return_data = false

      metric {
        namespace   = "AWS/DynamoDB"
        metric_name = metric_query.value.name
        dimensions  = metric_query.value.dimensions
        period      = 300
        stat        = "Sum"
      }
    }
  }

  metric_query {
    id          = "throttled"
    expression  = "SUM(FILL(METRICS(), 0))"
    label       = "Throttled reads and writes"
    return_data = true
  }

  lifecycle {
    precondition {
      condition     = length(each.value) <= local.metrics_of_an_alarm
      error_message = "${var.tables[each.key].name} has ${length(var.tables[each.key].indexes)} indexes: their metrics are more than the ${local.metrics_of_an_alarm} that one alarm takes."
    }
  }
}

resource "aws_cloudwatch_composite_alarm" "throttling" {
  alarm_name        = "${local.prefix}-dynamodb-throttling"
  alarm_description = "DynamoDB throttled reads or writes within five minutes. Which table: the alarms that this one is made of. Runbook: ${var.runbooks_url}/dynamodb-throttling.md"
  alarm_rule        = join(" OR ", [for alarm in aws_cloudwatch_metric_alarm.throttling : "ALARM(\"${alarm.alarm_name}\")"])
  alarm_actions     = [aws_sns_topic.alarms.arn]
  ok_actions        = [aws_sns_topic.alarms.arn]
  tags              = var.tags
}

# --- Events that do not get where they should -----------------------------------------------------------------------------

locals {
  waiting = merge(
    {
      outbox-age = {
        description = "An event or a release has waited in the outbox for more than ${var.thresholds.outbox_oldest_pending_age_seconds} s, or no worker says so."
        namespace   = var.metrics.namespace
        name        = var.metrics.outbox_oldest_pending_age
        dimensions  = null
        threshold   = var.thresholds.outbox_oldest_pending_age_seconds
        minutes     = 3
        missing     = "breaching" # workers report 0 when nothing waits: silence is the outage itself
      }
      dead-letters = {
        description = "An event reached no target and is in ${var.dead_letter_queue.name}."
        namespace   = "AWS/SQS"
        name        = "ApproximateNumberOfMessagesVisible"
        dimensions  = { QueueName = var.dead_letter_queue.name }
        threshold   = 0
        minutes     = 1
        missing     = "notBreaching" # SQS stops counting a queue that nobody used for six hours, and this one seldom is
      }
    },
    { for queue in var.events_queue == null ? [] : ["events-queue-age"] : queue => {
      description = "Nobody takes events from ${var.events_queue.name}: when they are too old they are gone, and no dead letter tells."
      namespace   = "AWS/SQS"
      name        = "ApproximateAgeOfOldestMessage"
      dimensions  = { QueueName = var.events_queue.name }
      threshold   = var.thresholds.events_queue_age_seconds
      minutes     = 3
      missing     = "notBreaching" # as above: an idle queue has no oldest message
    } },
  )

  undelivered = {
    failed-invocations = {
      metric      = "FailedInvocations"
      description = "A target refused an event for good: see the rule's targets and their permissions."
    }
    throttled-rules = {
      metric      = "ThrottledRules"
      description = "EventBridge holds back what rules would invoke: the quota of invocations is reached."
    }
    lost-events = {
      metric      = "InvocationsFailedToBeSentToDlq"
      description = "An event reached neither its target nor the dead letters, and is lost but for the archive: see the queue's policy."
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "waiting" {
  for_each = local.waiting

  alarm_name          = "${local.prefix}-${each.key}"
  alarm_description   = "${each.value.description} Runbook: ${var.runbooks_url}/${each.key}.md"
  comparison_operator = "GreaterThanThreshold"
  threshold           = each.value.threshold
  evaluation_periods  = each.value.minutes
  period              = 60
  namespace           = each.value.namespace
  metric_name         = each.value.name
  dimensions          = each.value.dimensions
  statistic           = "Maximum"
  treat_missing_data  = each.value.missing
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]
  tags                = var.tags
}

resource "aws_cloudwatch_metric_alarm" "undelivered" {
  for_each = local.undelivered

  alarm_name          = "${local.prefix}-${each.key}"
  alarm_description   = "${each.value.description} Runbook: ${var.runbooks_url}/${each.key}.md"
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  evaluation_periods  = 1
  treat_missing_data  = "notBreaching" # EventBridge sends these metrics only when there is something to count
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]
  tags                = var.tags

  dynamic "metric_query" {
    for_each = var.rules

    content {
      id          = "rule_${lower(metric_query.key)}"
      return_data = false

      metric {
        namespace   = "AWS/Events"
        metric_name = each.value.metric
        # Rules of the default bus are counted without a bus.
        dimensions = { for dimension, value in {
          RuleName     = metric_query.value.name
          EventBusName = metric_query.value.event_bus_name
        } : dimension => value if value != null }
        period = 300
        stat   = "Sum"
      }
    }
  }

  metric_query {
    id          = "count"
    expression  = "SUM(FILL(METRICS(), 0))"
    label       = each.value.metric
    return_data = true
  }

  lifecycle {
    precondition {
      condition     = length(var.rules) <= local.metrics_of_an_alarm
      error_message = "${length(var.rules)} rules are more than the ${local.metrics_of_an_alarm} metrics that one alarm takes."
    }
  }
}

# --- The collector: OTLP in, the document's metrics out -------------------------------------------------------------------

locals {
  collector_config = templatefile("${path.module}/templates/collector.yaml.tftpl", {
    region         = local.region
    log_group_name = local.metrics_log_group_name
    metrics        = var.metrics
  })
}
