# The modules fit together. The provider is a mock with the real one's schema.

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
  image           = { uri = "111122223333.dkr.ecr.ap-northeast-2.amazonaws.com/reservation-api@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef" }
  certificate_arn = "arn:aws:acm:ap-northeast-2:111122223333:certificate/12345678-1234-1234-1234-123456789012"
  lambda_package  = "./main.tf" # any file: nothing runs it here
}

run "what_the_service_is_told_are_the_names_of_this_environment" {
  command = plan

  assert {
    condition = output.environment == {
      APP_DYNAMODB_TABLES_IDEMPOTENCY  = "traffic-tacos-dev-reservation-idempotency"
      APP_DYNAMODB_TABLES_ORDERS       = "traffic-tacos-dev-reservation-orders"
      APP_DYNAMODB_TABLES_OUTBOX       = "traffic-tacos-dev-reservation-outbox"
      APP_DYNAMODB_TABLES_RESERVATIONS = "traffic-tacos-dev-reservation-reservations"
      APP_PAYMENT_VERIFIER             = "trusting"
      APP_STATUS_SHARDS                = "1"
      AWS_EVENTBRIDGE_BUS_NAME         = "traffic-tacos-dev-reservation-events"
      AWS_REGION                       = "ap-northeast-2"
      INVENTORY_GRPC_ADDRESS           = "inventory-service.traffic-tacos-dev.svc.cluster.local:9090"
      JWT_ISSUER_URI                   = "https://auth.traffic-tacos.com/auth/realms/traffic-tacos"
      OTLP_ENDPOINT                    = "http://otel-collector.traffic-tacos-dev.svc.cluster.local:4318/v1/metrics"
      SPRING_PROFILES_ACTIVE           = "prod"
    }
    error_message = "As made, and as the document has the rest."
  }

  assert {
    condition     = module.service.api_min_count == 2 && module.network.reaches_internet && output.jwks_secret == "traffic-tacos-dev-reservation-jwt-jwks"
    error_message = "Small, and with a way out."
  }

  assert {
    condition     = startswith(module.cloudwatch.log_groups["service"].name, "/aws/ecs/reservation-api-")
    error_message = "The service role writes there, and production logs elsewhere."
  }
}
