resource "aws_sqs_queue" "dead" {
  name                       = "dead"
  message_retention_seconds  = 1209600
  visibility_timeout_seconds = var.changed ? 60 : 300
  sqs_managed_sse_enabled    = true
  tags                       = { Queue = var.changed ? "changed" : "dead" }
}

resource "aws_sqs_queue" "work" {
  name                      = "work"
  delay_seconds             = var.changed ? 0 : 5
  max_message_size          = 65536
  receive_wait_time_seconds = 20
  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.dead.arn
    maxReceiveCount     = var.changed ? 6 : 5
  })
}

resource "aws_sqs_queue" "ordered" {
  name                        = "ordered.fifo"
  fifo_queue                  = true
  content_based_deduplication = !var.changed
  deduplication_scope         = "messageGroup"
  fifo_throughput_limit       = "perMessageGroupId"
}

resource "aws_sns_topic" "alarms" {
  name         = "alarms"
  display_name = var.changed ? "Changed" : "Alarms"
  tags         = var.changed ? {} : { Topic = "alarms" }
}

resource "aws_sns_topic_policy" "alarms" {
  arn = aws_sns_topic.alarms.arn
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = var.changed ? "Changed" : "Alarms"
      Effect    = "Allow"
      Principal = { Service = "cloudwatch.amazonaws.com" }
      Action    = "SNS:Publish"
      Resource  = aws_sns_topic.alarms.arn
    }]
  })
}

resource "aws_sns_topic_subscription" "work" {
  topic_arn            = aws_sns_topic.alarms.arn
  protocol             = "sqs"
  endpoint             = aws_sqs_queue.work.arn
  raw_message_delivery = !var.changed
  filter_policy        = jsonencode({ level = var.changed ? ["low"] : ["high"] })
  redrive_policy       = jsonencode({ deadLetterTargetArn = aws_sqs_queue.dead.arn })
}
