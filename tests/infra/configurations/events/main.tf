resource "aws_sqs_queue" "work" {
  name = "events-work"
}

resource "aws_sqs_queue" "dead" {
  name                    = "events-dead"
  sqs_managed_sse_enabled = true
}

resource "aws_cloudwatch_event_bus" "this" {
  name        = "reservations"
  description = "What happens to reservations"
  tags        = { Bus = var.changed ? "changed" : "reservations" }

  dead_letter_config {
    arn = aws_sqs_queue.dead.arn
  }
}

resource "aws_cloudwatch_event_bus_policy" "this" {
  event_bus_name = aws_cloudwatch_event_bus.this.name
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "Publish"
      Effect    = "Allow"
      Principal = { AWS = "arn:aws:iam::123456789012:root" }
      Action    = var.changed ? "events:PutRule" : "events:PutEvents"
      Resource  = aws_cloudwatch_event_bus.this.arn
    }]
  })
}

resource "aws_cloudwatch_event_archive" "this" {
  name             = "reservations"
  description      = "A year of events"
  event_source_arn = aws_cloudwatch_event_bus.this.arn
  retention_days   = var.changed ? 30 : 365
  event_pattern    = jsonencode({ source = ["reservation.service"] })
}

resource "aws_cloudwatch_event_rule" "created" {
  name           = "created"
  description    = "Held"
  event_bus_name = aws_cloudwatch_event_bus.this.name
  event_pattern = jsonencode({
    source      = ["reservation.service"]
    detail-type = ["Reservation Created"]
    detail      = { status = var.changed ? ["HOLD", "CONFIRMED"] : ["HOLD"] }
  })
  tags = var.changed ? {} : { Rule = "created" }
}

resource "aws_cloudwatch_event_rule" "minutely" {
  name                = "minutely"
  schedule_expression = "rate(1 minute)"
  state               = var.changed ? "ENABLED" : "DISABLED"
}

resource "aws_cloudwatch_event_target" "work" {
  rule           = aws_cloudwatch_event_rule.created.name
  event_bus_name = aws_cloudwatch_event_bus.this.name
  target_id      = "work"
  arn            = aws_sqs_queue.work.arn

  dead_letter_config {
    arn = aws_sqs_queue.dead.arn
  }

  retry_policy {
    maximum_retry_attempts       = var.changed ? 0 : 4
    maximum_event_age_in_seconds = 3600
  }
}

resource "aws_cloudwatch_event_target" "transformed" {
  rule = aws_cloudwatch_event_rule.minutely.name
  arn  = aws_sqs_queue.work.arn

  input_transformer {
    input_paths    = { id = "$.id" }
    input_template = "{\"event\": <id>, \"at\": <aws.events.event.ingestion-time>}"
  }
}
