# Both functions with roles, log groups and a queue of dead letters that are made in the same apply.
locals {
  functions = {
    event_processor = "demo-reservation-event-processor"
    expiry          = "demo-reservation-expiry"
  }
}

resource "aws_iam_role" "this" {
  for_each = local.functions

  name = "${each.value}-role"

  assume_role_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = "sts:AssumeRole", Principal = { Service = "lambda.amazonaws.com" } }]
  })
}

resource "aws_cloudwatch_log_group" "this" {
  for_each = local.functions

  name = "/aws/lambda/${each.value}"
}

resource "aws_sqs_queue" "dead" {
  name = "demo-reservation-events-dlq"
}

module "functions" {
  source = "../.."

  package           = { path = "${path.module}/empty.zip" } # nothing runs it here
  functions         = { for key, name in local.functions : key => { arn = aws_iam_role.this[key].arn, function_name = name } }
  log_groups        = { for key, name in local.functions : name => { name = aws_cloudwatch_log_group.this[key].name } }
  dead_letter_queue = { arn = aws_sqs_queue.dead.arn }
  environment       = { AWS_REGION = "ap-northeast-2", AWS_EVENTBRIDGE_BUS_NAME = "demo-reservation-events" }
}

output "dead_letter_queue_arn" {
  value = aws_sqs_queue.dead.arn
}
