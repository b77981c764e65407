resource "aws_sns_topic" "alarms" {
  name = "monitoring-alarms"
}

resource "aws_cloudwatch_log_group" "app" {
  name              = "/aws/ecs/reservation-api"
  retention_in_days = var.changed ? 0 : 30
  log_group_class   = "STANDARD"
  tags              = { Group = var.changed ? "changed" : "app" }
}

resource "aws_cloudwatch_log_resource_policy" "events" {
  policy_name = "events"
  policy_document = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "Events"
      Effect    = "Allow"
      Principal = { Service = "events.amazonaws.com" }
      Action    = var.changed ? ["logs:PutLogEvents"] : ["logs:CreateLogStream", "logs:PutLogEvents"]
      Resource  = "${aws_cloudwatch_log_group.app.arn}:*"
    }]
  })
}

resource "aws_cloudwatch_metric_alarm" "error_rate" {
  alarm_name          = "error-rate"
  alarm_description   = var.changed ? null : "More than 1 % of requests fail"
  comparison_operator = "GreaterThanThreshold"
  evaluation_periods  = 2
  datapoints_to_alarm = 2
  threshold           = var.changed ? 2 : 1
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = var.changed ? [] : [aws_sns_topic.alarms.arn]
  tags                = { Alarm = var.changed ? "changed" : "error-rate" }

  metric_query {
    id          = "rate"
    expression  = "100 * errors / MAX([requests, 1])"
    label       = var.changed ? "Changed" : "Error rate"
    return_data = true
  }

  dynamic "metric_query" {
    for_each = { errors = "Errors", requests = "Requests" }
    content {
      id = metric_query.key

      metric {
        metric_name = metric_query.value
        namespace   = "TrafficTacos/Reservation"
        period      = 300
        stat        = "Sum"
        dimensions  = { Service = "reservation-api" }
      }
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "latency" {
  alarm_name                            = "latency"
  comparison_operator                   = "GreaterThanThreshold"
  evaluation_periods                    = 3
  threshold                             = 120
  metric_name                           = "APILatency"
  namespace                             = "TrafficTacos/Reservation"
  period                                = 300
  extended_statistic                    = var.changed ? "p99" : "p95"
  unit                                  = "Milliseconds"
  dimensions                            = { endpoint = "hold" }
  evaluate_low_sample_count_percentiles = "ignore"
  insufficient_data_actions             = [aws_sns_topic.alarms.arn]
}

resource "aws_cloudwatch_metric_alarm" "throttled" {
  alarm_name          = "throttled"
  comparison_operator = "GreaterThanThreshold"
  evaluation_periods  = 1
  threshold           = 0
  metric_name         = "ThrottledRequests"
  namespace           = "AWS/DynamoDB"
  period              = 300
  statistic           = "Sum"
  actions_enabled     = var.changed
}

resource "aws_cloudwatch_composite_alarm" "any" {
  alarm_name    = "any"
  alarm_rule    = "ALARM(${aws_cloudwatch_metric_alarm.latency.alarm_name}) OR ALARM(${aws_cloudwatch_metric_alarm.error_rate.alarm_name})"
  alarm_actions = var.changed ? [] : [aws_sns_topic.alarms.arn]
}

resource "aws_cloudwatch_dashboard" "this" {
  dashboard_name = "reservation-api"
  dashboard_body = jsonencode({
    widgets = [{
      type       = "metric"
      x          = 0
      y          = 0
      width      = var.changed ? 24 : 12
      height     = 6
      properties = { region = "ap-northeast-2", metrics = [["TrafficTacos/Reservation", "APILatency"]] }
    }]
  })
}
