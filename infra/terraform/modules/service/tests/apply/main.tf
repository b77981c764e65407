# API and workers, rolling, with a collector beside them; balancer and roles as an environment has them.
module "network" {
  source = "../../../network"

  env                 = "demo"
  new_vpc             = { nat = "one" }
  interface_endpoints = []
}

resource "aws_iam_role" "service" {
  name = "demo-reservation-api-service-role"

  assume_role_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = "sts:AssumeRole", Principal = { Service = "ecs-tasks.amazonaws.com" } }]
  })
}

resource "aws_cloudwatch_log_group" "service" {
  name = "/aws/ecs/reservation-api"
}

resource "aws_secretsmanager_secret" "jwks" {
  name                    = "demo-reservation-jwt-jwks"
  recovery_window_in_days = 0
}

resource "aws_acm_certificate" "api" {
  domain_name       = "api.traffic-tacos.com"
  validation_method = "DNS"
}

module "service" {
  source = "../.."

  env              = "demo"
  image            = { uri = "123456789012.dkr.ecr.ap-northeast-2.amazonaws.com/reservation-api@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef" }
  service_role_arn = aws_iam_role.service.arn
  network          = module.network
  log_group        = { name = aws_cloudwatch_log_group.service.name, arn = aws_cloudwatch_log_group.service.arn }
  certificate_arn  = aws_acm_certificate.api.arn
  payment          = { address = "grpcs://payment.traffic-tacos.com:443" }
  plain_text_peers = ["inventory"]
  secrets          = { JWT_JWKS = aws_secretsmanager_secret.jwks.arn }
  collector        = { image = "public.ecr.aws/aws-observability/aws-otel-collector:v0.43.3", config = "receivers: {}" }
  load_balancer    = { deletion_protection = false }

  resources = {
    APP_DYNAMODB_TABLES_RESERVATIONS = "demo-reservation-reservations"
    APP_DYNAMODB_TABLES_ORDERS       = "demo-reservation-orders"
    APP_DYNAMODB_TABLES_IDEMPOTENCY  = "demo-reservation-idempotency"
    APP_DYNAMODB_TABLES_OUTBOX       = "demo-reservation-outbox"
    AWS_EVENTBRIDGE_BUS_NAME         = "demo-reservation-events"
  }
}

output "cluster" {
  value = module.service.cluster
}

output "load_balancer_arn" {
  value = module.service.load_balancer.arn
}
