# The modules fit together, and stand the document's peak. The provider is a mock with the real one's schema.

mock_provider "aws" {
  mock_data "aws_caller_identity" {
    defaults = { account_id = "111122223333" }
  }

  mock_data "aws_region" {
    defaults = { region = "ap-northeast-2" }
  }

  mock_data "aws_availability_zones" {
    defaults = { names = ["ap-northeast-2a", "ap-northeast-2b", "ap-northeast-2c", "ap-northeast-2d"] }
  }
}

variables {
  account_id                  = "111122223333"
  image                       = { uri = "111122223333.dkr.ecr.ap-northeast-2.amazonaws.com/reservation-api@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef" }
  certificate_arn             = "arn:aws:acm:ap-northeast-2:111122223333:certificate/12345678-1234-1234-1234-123456789012"
  lambda_package              = "./main.tf" # any file: nothing runs it here
  payment_address             = "grpcs://payment.traffic-tacos.internal:443"
  planned_requests_per_second = null
  subscriptions               = { oncall = { protocol = "email", endpoint = "oncall@example.com" } }
}

run "what_the_service_is_told_is_the_documents" {
  command = plan

  assert {
    condition = output.environment == {
      APP_DYNAMODB_TABLES_IDEMPOTENCY  = "traffic-tacos-reservation-idempotency"
      APP_DYNAMODB_TABLES_ORDERS       = "traffic-tacos-reservation-orders"
      APP_DYNAMODB_TABLES_OUTBOX       = "traffic-tacos-reservation-outbox"
      APP_DYNAMODB_TABLES_RESERVATIONS = "traffic-tacos-reservation-reservations"
      APP_STATUS_SHARDS                = "1"
      AWS_EVENTBRIDGE_BUS_NAME         = "traffic-tacos-reservation-events"
      AWS_REGION                       = "ap-northeast-2"
      INVENTORY_GRPC_ADDRESS           = "inventory-service.traffic-tacos.svc.cluster.local:9090"
      JWT_ISSUER_URI                   = "https://auth.traffic-tacos.com/auth/realms/traffic-tacos"
      OTLP_ENDPOINT                    = "http://otel-collector.traffic-tacos.svc.cluster.local:4318/v1/metrics"
      PAYMENT_GRPC_ADDRESS             = "grpcs://payment.traffic-tacos.internal:443"
      SPRING_PROFILES_ACTIVE           = "prod"
    }
    error_message = "Section 5, and who says what is paid for."
  }

  assert {
    condition     = var.env == "traffic-tacos" && var.region == "ap-northeast-2"
    error_message = "The document's prefix and region."
  }

  assert {
    condition     = module.cloudwatch.log_groups["service"].name == "/aws/ecs/reservation-api" && !module.network.reaches_internet && length(output.nat_addresses) == 0
    error_message = "The document's log group, and no way to the internet."
  }
}

run "a_collector_of_ones_own_is_let_through" {
  command = plan

  variables {
    collector_image  = "111122223333.dkr.ecr.ap-northeast-2.amazonaws.com/aws-otel-collector:v0.43.3"
    plain_text_peers = ["inventory"]
  }

  assert {
    condition     = !contains(keys(output.environment), "OTLP_ENDPOINT")
    error_message = "It is beside each task, and beside no function."
  }
}

run "the_environment_names_its_account" {
  command = plan

  variables {
    account_id = "production"
  }

  expect_failures = [var.account_id]
}

run "somebody_hears_of_alarms" {
  command = plan

  variables {
    subscriptions = {}
  }

  expect_failures = [var.subscriptions]
}
