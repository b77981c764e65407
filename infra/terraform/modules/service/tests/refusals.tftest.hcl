# What is refused before anything is made.

mock_provider "aws" {
  mock_data "aws_caller_identity" {
    defaults = { account_id = "111122223333" }
  }

  mock_data "aws_region" {
    defaults = { region = "ap-northeast-2" }
  }
}

variables {
  image            = { uri = "111122223333.dkr.ecr.ap-northeast-2.amazonaws.com/reservation-api@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef" }
  service_role_arn = "arn:aws:iam::111122223333:role/traffic-tacos-reservation-api-service-role"
  certificate_arn  = "arn:aws:acm:ap-northeast-2:111122223333:certificate/12345678-1234-1234-1234-123456789012"
  log_group        = { name = "/aws/ecs/reservation-api", arn = "arn:aws:logs:ap-northeast-2:111122223333:log-group:/aws/ecs/reservation-api" }
  payment          = { trusting = true }
  plain_text_peers = ["inventory", "collector"]

  network = {
    vpc                = { id = "vpc-0123456789abcdef0" }
    private_subnet_ids = ["subnet-a", "subnet-b"]
    security_group_ids = { balancer = "sg-balancer", service = "sg-service" }
    load_balancer      = { internal = false, subnet_ids = ["subnet-p", "subnet-q"] }
  }

  resources = {
    APP_DYNAMODB_TABLES_RESERVATIONS = "traffic-tacos-reservation-reservations"
    APP_DYNAMODB_TABLES_ORDERS       = "traffic-tacos-reservation-orders"
    APP_DYNAMODB_TABLES_IDEMPOTENCY  = "traffic-tacos-reservation-idempotency"
    APP_DYNAMODB_TABLES_OUTBOX       = "traffic-tacos-reservation-outbox"
    AWS_EVENTBRIDGE_BUS_NAME         = "traffic-tacos-reservation-events"
  }
}

run "plain_text_that_nobody_asked_for" {
  command = plan

  variables {
    plain_text_peers = []
  }

  expect_failures = [aws_ecs_task_definition.this]
}

run "plain_text_to_a_payment_service_that_nobody_asked_for" {
  command = plan

  variables {
    payment = { address = "payment.traffic-tacos.svc.cluster.local:9091" }
  }

  expect_failures = [aws_ecs_task_definition.this]
}

run "plain_text_to_a_name_of_the_internet" {
  command = plan

  variables {
    addresses = { inventory = "inventory.traffic-tacos.com:9090" }
  }

  expect_failures = [aws_ecs_task_definition.this]
}

run "plain_text_to_an_address_without_a_name" {
  command = plan

  variables {
    addresses = { otlp = "http://10.20.0.7:4318/v1/metrics" }
  }

  expect_failures = [aws_ecs_task_definition.this]
}

run "tls_needs_no_exception" {
  command = plan

  variables {
    plain_text_peers = []
    addresses        = { inventory = "grpcs://inventory.traffic-tacos.com:443", otlp = "https://otlp.traffic-tacos.com/v1/metrics" }
  }

  assert {
    condition     = length(aws_ecs_task_definition.this) == 2
    error_message = "Section 6.2 is kept."
  }
}

run "names_of_ones_own_private_zone" {
  command = plan

  variables {
    addresses       = { inventory = "inventory.tickets.example:9090", otlp = "http://collector.tickets.example:4318/v1/metrics" }
    private_domains = ["tickets.example"]
  }

  assert {
    condition     = length(aws_ecs_task_definition.this) == 2
    error_message = "Its names exist within the VPC only."
  }
}

run "an_image_by_a_tag" {
  command = plan

  variables {
    image = { uri = "111122223333.dkr.ecr.ap-northeast-2.amazonaws.com/reservation-api:latest" }
  }

  expect_failures = [var.image]
}

run "tls_that_is_too_old" {
  command = plan

  variables {
    load_balancer = { ssl_policy = "ELBSecurityPolicy-2016-08" }
  }

  expect_failures = [var.load_balancer]
}

run "a_variable_that_is_set_already" {
  command = plan

  variables {
    further_environment = { APP_WORKERS = "64" }
  }

  expect_failures = [aws_ecs_task_definition.this]
}

run "another_profile_by_the_back_door" {
  command = plan

  variables {
    further_environment = { SPRING_PROFILES_ACTIVE = "dev" }
  }

  expect_failures = [aws_ecs_task_definition.this]
}

run "an_endpoint_for_development" {
  command = plan

  variables {
    further_environment = { DYNAMODB_ENDPOINT = "http://localhost:8000" }
  }

  expect_failures = [var.further_environment]
}

run "a_secret_in_plain_sight" {
  command = plan

  variables {
    further_environment = { JWT_JWKS = "{}" }
  }

  expect_failures = [var.further_environment]
}

run "a_table_that_is_missing" {
  command = plan

  variables {
    resources = { AWS_EVENTBRIDGE_BUS_NAME = "traffic-tacos-reservation-events" }
  }

  expect_failures = [var.resources]
}

run "payments_that_nobody_checks_by_accident" {
  command = plan

  variables {
    payment = {}
  }

  expect_failures = [var.payment]
}

run "an_issuer_that_anybody_may_answer_for" {
  command = plan

  variables {
    addresses = { issuer = "http://auth.traffic-tacos.com" }
  }

  expect_failures = [var.addresses]
}

run "no_worker_at_all" {
  command = plan

  variables {
    worker = { count = 0 }
  }

  expect_failures = [var.worker]
}

run "a_longer_end_than_fargate_waits_for" {
  command = plan

  variables {
    stop_seconds = 121
  }

  expect_failures = [var.stop_seconds]
}

run "fewer_tasks_than_the_planned_peak_takes" {
  command = plan

  variables {
    planned_requests_per_second = 30000
  }

  expect_failures = [aws_appautoscaling_target.api]
}

run "a_task_that_fargate_does_not_have" {
  command = plan

  variables {
    api = { cpu = 3000 }
  }

  expect_failures = [var.api]
}
