locals {
  # Put together from names, for a plan to show.
  alarm_arns = { for name in concat(
    [
      aws_cloudwatch_metric_alarm.high_error_rate.alarm_name,
      aws_cloudwatch_metric_alarm.high_latency.alarm_name,
      aws_cloudwatch_composite_alarm.throttling.alarm_name,
    ],
    [for alarm in aws_cloudwatch_metric_alarm.waiting : alarm.alarm_name],
    [for alarm in aws_cloudwatch_metric_alarm.undelivered : alarm.alarm_name],
  ) : name => "arn:aws:cloudwatch:${local.region}:${local.account}:alarm:${name}" }

  # What an alarm watches, drawn with its threshold.
  alarm_graphs = concat(
    [for name in [
      aws_cloudwatch_metric_alarm.high_error_rate.alarm_name,
      aws_cloudwatch_metric_alarm.high_latency.alarm_name,
      aws_cloudwatch_metric_alarm.waiting["outbox-age"].alarm_name,
      aws_cloudwatch_metric_alarm.waiting["dead-letters"].alarm_name,
    ] : { title = trimprefix(name, "${local.prefix}-"), arn = local.alarm_arns[name] }],
    [for table, alarm in aws_cloudwatch_metric_alarm.throttling : {
      title = "throttling of ${table}"
      arn   = "arn:aws:cloudwatch:${local.region}:${local.account}:alarm:${alarm.alarm_name}"
    }],
  )

  # The document's metrics (section 4.1), a line for each value of their dimensions.
  searches = [
    { title = "Reservations by status", metric = var.metrics.reservation_status_count, dimensions = "status", stat = "Sum" },
    { title = "P95 by endpoint, ms", metric = var.metrics.api_latency, dimensions = "endpoint", stat = "p95" },
    { title = "P95 of gRPC calls, ms", metric = var.metrics.grpc_call_duration, dimensions = "method", stat = "p95" },
    { title = "P95 of DynamoDB, ms", metric = var.metrics.dynamodb_operation_latency, dimensions = "table,operation", stat = "p95" },
  ]

  graphs = concat(
    [for it in local.searches : {
      title   = it.title
      region  = local.region
      view    = "timeSeries"
      metrics = [[{ expression = "SEARCH('{${var.metrics.namespace},${it.dimensions}} MetricName=\"${it.metric}\"', '${it.stat}', 60)", label = "" }]]
    }],
    [for it in local.alarm_graphs : {
      title       = it.title
      region      = local.region
      view        = "timeSeries"
      annotations = { alarms = [it.arn] }
    }],
  )
}

resource "aws_cloudwatch_dashboard" "this" {
  dashboard_name = local.prefix

  dashboard_body = jsonencode({
    widgets = concat(
      [{ type = "alarm", x = 0, y = 0, width = 24, height = 3, properties = { title = "Alarms", alarms = sort(values(local.alarm_arns)) } }],
      # Three to a row, below the alarms.
      [for place, graph in local.graphs : {
        type       = "metric"
        x          = place % 3 * 8
        y          = 3 + floor(place / 3) * 6
        width      = 8
        height     = 6
        properties = graph
      }],
    )
  })
}
