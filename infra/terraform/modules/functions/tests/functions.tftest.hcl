# Both functions. The provider is a mock with the real one's schema.

mock_provider "aws" {}

variables {
  package           = { path = "./README.md" } # any file: nothing runs it here
  dead_letter_queue = { arn = "arn:aws:sqs:ap-northeast-2:111122223333:traffic-tacos-reservation-events-dlq" }

  functions = {
    event_processor = { arn = "arn:aws:iam::111122223333:role/traffic-tacos-reservation-event-processor-role", function_name = "traffic-tacos-reservation-event-processor" }
    expiry          = { arn = "arn:aws:iam::111122223333:role/traffic-tacos-reservation-expiry-role", function_name = "traffic-tacos-reservation-expiry" }
  }

  log_groups = {
    service                                   = { name = "/aws/ecs/reservation-api" }
    traffic-tacos-reservation-event-processor = { name = "/aws/lambda/traffic-tacos-reservation-event-processor" }
    traffic-tacos-reservation-expiry          = { name = "/aws/lambda/traffic-tacos-reservation-expiry" }
  }

  environment = {
    AWS_REGION               = "ap-northeast-2"
    AWS_EVENTBRIDGE_BUS_NAME = "traffic-tacos-reservation-events"
  }
}

run "each_runs_its_handler_as_its_role_and_logs_to_its_group" {
  command = plan

  assert {
    condition = jsonencode({ for key, it in aws_lambda_function.this : key => [it.function_name, it.handler, it.role, one(it.logging_config).log_group, one(it.logging_config).log_format] }) == jsonencode({
      event_processor = [
        "traffic-tacos-reservation-event-processor",
        "reservation_api.entrypoints.lambdas.event_processor.handler",
        "arn:aws:iam::111122223333:role/traffic-tacos-reservation-event-processor-role",
        "/aws/lambda/traffic-tacos-reservation-event-processor",
        "Text",
      ]
      expiry = [
        "traffic-tacos-reservation-expiry",
        "reservation_api.entrypoints.lambdas.expiry.handler",
        "arn:aws:iam::111122223333:role/traffic-tacos-reservation-expiry-role",
        "/aws/lambda/traffic-tacos-reservation-expiry",
        "Text",
      ]
    })
    error_message = "Neither has what is the other's."
  }

  assert {
    condition     = jsonencode({ for key, it in aws_lambda_function.this : key => [it.memory_size, it.timeout, it.reserved_concurrent_executions] }) == jsonencode({ event_processor = [256, 30, 50], expiry = [512, 55, 1] })
    error_message = "Bounded in memory, time and number."
  }

  assert {
    condition     = alltrue([for it in aws_lambda_function.this : it.runtime == "python3.13" && jsonencode(it.architectures) == jsonencode(["arm64"]) && length(it.vpc_config) == 0])
    error_message = "As the package is built."
  }
}

run "the_environment_is_the_services_but_for_what_lambda_sets" {
  command = plan

  assert {
    condition     = alltrue([for it in aws_lambda_function.this : jsonencode(one(it.environment).variables) == jsonencode({ AWS_EVENTBRIDGE_BUS_NAME = "traffic-tacos-reservation-events" })])
    error_message = "Lambda refuses AWS_REGION."
  }
}

run "the_package_is_known_by_its_bytes" {
  command = plan

  assert {
    condition     = alltrue([for it in aws_lambda_function.this : it.filename == "./README.md" && it.source_code_hash == filebase64sha256("./README.md") && it.s3_bucket == null])
    error_message = "Both functions, one package."
  }
}

run "an_event_that_fails_is_a_dead_letter_and_a_tick_is_not" {
  command = apply

  assert {
    condition     = jsonencode({ for key, it in aws_lambda_function_event_invoke_config.this : key => [it.function_name, it.maximum_retry_attempts, it.maximum_event_age_in_seconds] }) == jsonencode({ event_processor = ["traffic-tacos-reservation-event-processor", 2, 3600], expiry = ["traffic-tacos-reservation-expiry", 0, 60] })
    error_message = "Two more tries for an event; the schedule comes again by itself."
  }

  assert {
    condition = (
      one(one(aws_lambda_function_event_invoke_config.this["event_processor"].destination_config).on_failure).destination == "arn:aws:sqs:ap-northeast-2:111122223333:traffic-tacos-reservation-events-dlq"
      && length(aws_lambda_function_event_invoke_config.this["expiry"].destination_config) == 0
    )
    error_message = "Section 2.3: failed event processing goes to the queue of dead letters."
  }

  assert {
    condition     = output.event_processor.arn == aws_lambda_function.this["event_processor"].arn && output.expiry.arn == aws_lambda_function.this["expiry"].arn
    error_message = "As the eventbridge module takes them."
  }
}

run "in_private_subnets" {
  command = plan

  variables {
    vpc = { subnet_ids = ["subnet-a", "subnet-b"], security_group_ids = ["sg-functions"] }
  }

  assert {
    condition     = alltrue([for it in aws_lambda_function.this : join(" ", sort(one(it.vpc_config).subnet_ids)) == "subnet-a subnet-b" && one(one(it.vpc_config).security_group_ids) == "sg-functions"])
    error_message = "Section 6.1."
  }
}

run "from_s3_for_another_machine_and_without_a_reservation" {
  command = plan

  variables {
    package         = { s3 = { bucket = "releases", key = "lambda-x86_64.zip", version = "v7" } }
    architecture    = "x86_64"
    event_processor = { reserved_concurrency = -1, retries = 0 }
  }

  assert {
    condition     = alltrue([for it in aws_lambda_function.this : it.s3_bucket == "releases" && it.s3_key == "lambda-x86_64.zip" && it.s3_object_version == "v7" && it.filename == null])
    error_message = "The version says what has changed."
  }

  assert {
    condition     = aws_lambda_function.this["event_processor"].reserved_concurrent_executions == -1 && jsonencode(aws_lambda_function.this["expiry"].architectures) == jsonencode(["x86_64"])
    error_message = "-1 reserves nothing."
  }
}

run "a_package_that_is_not_built_is_said_so" {
  command = plan

  variables {
    package = { path = "./no-such.zip" }
  }

  expect_failures = [aws_lambda_function.this]
}

run "a_package_is_in_one_place" {
  command = plan

  variables {
    package = { path = "./README.md", s3 = { bucket = "releases", key = "lambda.zip", version = "v7" } }
  }

  expect_failures = [var.package]
}

run "an_object_whose_changes_nobody_sees_is_refused" {
  command = plan

  variables {
    package = { s3 = { bucket = "releases", key = "lambda.zip" } }
  }

  expect_failures = [var.package]
}

run "expiry_never_overlaps_the_next_one" {
  command = plan

  variables {
    expiry = { timeout_seconds = 60 }
  }

  expect_failures = [var.expiry]
}

run "a_reservation_of_none_would_stop_the_function" {
  command = plan

  variables {
    event_processor = { reserved_concurrency = 0 }
    expiry          = { reserved_concurrency = 0 }
  }

  expect_failures = [var.event_processor, var.expiry]
}

run "lambda_tries_again_twice_at_most" {
  command = plan

  variables {
    event_processor = { retries = 3 }
  }

  expect_failures = [var.event_processor]
}

run "both_functions_have_a_role" {
  command = plan

  variables {
    functions = { expiry = { arn = "arn:aws:iam::111122223333:role/traffic-tacos-reservation-expiry-role", function_name = "traffic-tacos-reservation-expiry" } }
  }

  expect_failures = [var.functions]
}

run "an_architecture_is_one_of_lambdas" {
  command = plan

  variables {
    architecture = "riscv64"
  }

  expect_failures = [var.architecture]
}

run "a_vpc_has_subnets_and_groups" {
  command = plan

  variables {
    vpc = { subnet_ids = ["subnet-a"], security_group_ids = [] }
  }

  expect_failures = [var.vpc]
}
