resource "aws_iam_role" "processor" {
  name = "processor"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "lambda.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })
}

resource "aws_sqs_queue" "dead" {
  name = "functions-dead"
}

resource "aws_lambda_function" "processor" {
  function_name                  = "processor"
  description                    = var.changed ? "Changed" : "Processes events"
  role                           = aws_iam_role.processor.arn
  handler                        = "reservation_api.entrypoints.lambdas.process"
  runtime                        = "python3.13"
  architectures                  = ["arm64"]
  filename                       = "${path.module}/function.zip"
  source_code_hash               = filebase64sha256("${path.module}/function.zip")
  memory_size                    = var.changed ? 512 : 256
  timeout                        = 30
  reserved_concurrent_executions = var.changed ? -1 : 10
  tags                           = { Function = var.changed ? "changed" : "processor" }

  environment {
    variables = { AWS_EVENTBRIDGE_BUS_NAME = var.changed ? "changed" : "reservations" }
  }

  dead_letter_config {
    target_arn = aws_sqs_queue.dead.arn
  }

  tracing_config {
    mode = "Active"
  }

  ephemeral_storage {
    size = 1024
  }

  logging_config {
    log_format            = "JSON"
    application_log_level = var.changed ? "DEBUG" : "INFO"
    system_log_level      = "WARN"
    log_group             = "/aws/lambda/processor"
  }
}

resource "aws_lambda_function" "least" {
  function_name = "least"
  role          = aws_iam_role.processor.arn
  handler       = "main.handler"
  runtime       = "python3.13"
  filename      = "${path.module}/function.zip"
}

resource "aws_lambda_permission" "events" {
  statement_id   = "events"
  action         = "lambda:InvokeFunction"
  function_name  = aws_lambda_function.processor.function_name
  principal      = "events.amazonaws.com"
  source_arn     = "arn:aws:events:ap-northeast-2:123456789012:rule/reservations/created"
  source_account = "123456789012"
}

resource "aws_lambda_function_event_invoke_config" "processor" {
  function_name                = aws_lambda_function.processor.function_name
  maximum_retry_attempts       = var.changed ? 0 : 1
  maximum_event_age_in_seconds = 3600

  destination_config {
    on_failure {
      destination = aws_sqs_queue.dead.arn
    }
  }
}

resource "aws_lambda_function_event_invoke_config" "least" {
  function_name          = aws_lambda_function.least.function_name
  maximum_retry_attempts = 0
}
