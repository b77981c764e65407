locals {
  # Lambda refuses functions that set it.
  set_by_lambda = ["AWS_REGION"]
  environment   = { for name, value in var.environment : name => value if !contains(local.set_by_lambda, name) }

  package_hash = (
    var.package.s3 != null ? var.package.s3.sha256 :
    fileexists(var.package.path) ? filebase64sha256(var.package.path) :
    null
  )

  functions = {
    event_processor = merge(var.event_processor, {
      description = "Writes an audit line for each event of a reservation."
      handler     = "reservation_api.entrypoints.lambdas.event_processor.handler"
    })
    expiry = merge(var.expiry, {
      description       = "Expires holds that are past their end."
      handler           = "reservation_api.entrypoints.lambdas.expiry.handler"
      retries           = 0  # a minute later the schedule starts the same work anew
      event_age_seconds = 60 # the least that Lambda takes
    })
  }
}

resource "aws_lambda_function" "this" {
  # checkov:skip=CKV_AWS_50:Traces are carried in events and log lines; the document asks for no X-Ray, and for essentials only (section 7.3).
  # checkov:skip=CKV_AWS_116:A failure goes to the destination below, which tells more than a DLQ: the error beside the event.
  # checkov:skip=CKV_AWS_173:Names and addresses, no secrets: variables.tf of the service module refuses those.
  # checkov:skip=CKV_AWS_272:The hash of the package is in the plan; a signing profile is the account's to have.

  for_each = local.functions

  function_name = var.functions[each.key].function_name
  description   = each.value.description
  role          = var.functions[each.key].arn
  handler       = each.value.handler
  runtime       = var.runtime
  architectures = [var.architecture]

  filename          = var.package.path
  s3_bucket         = try(var.package.s3.bucket, null)
  s3_key            = try(var.package.s3.key, null)
  s3_object_version = try(var.package.s3.version, null)
  source_code_hash  = local.package_hash

  memory_size                    = each.value.memory_megabytes
  timeout                        = each.value.timeout_seconds
  reserved_concurrent_executions = each.value.reserved_concurrency
  tags                           = var.tags

  environment {
    variables = local.environment
  }

  # Lines of JSON already: as text they are kept as they are.
  logging_config {
    log_format = "Text"
    log_group  = var.log_groups[var.functions[each.key].function_name].name
  }

  dynamic "vpc_config" {
    for_each = var.vpc[*]

    content {
      subnet_ids         = vpc_config.value.subnet_ids
      security_group_ids = vpc_config.value.security_group_ids
    }
  }

  lifecycle {
    precondition {
      condition     = var.package.path == null ? true : fileexists(var.package.path)
      error_message = "There is no ${coalesce(var.package.path, "package")}: `make lambda-package` builds it."
    }
  }
}

# EventBridge has done its part as soon as Lambda has taken an event. What fails after that, Lambda has to keep: without a
# destination it would drop it after the last try, and no rule's dead letters would know.
resource "aws_lambda_function_event_invoke_config" "this" {
  for_each = local.functions

  function_name                = aws_lambda_function.this[each.key].function_name
  maximum_retry_attempts       = each.value.retries
  maximum_event_age_in_seconds = each.value.event_age_seconds

  dynamic "destination_config" {
    # A tick of the schedule is no event that anybody misses.
    for_each = each.key == "event_processor" ? [var.dead_letter_queue.arn] : []

    content {
      on_failure {
        destination = destination_config.value
      }
    }
  }
}
