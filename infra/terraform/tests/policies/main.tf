# Every policy that the modules make, with all that is optional, known to a plan: each ARN from elsewhere is given.
terraform {
  required_version = ">= 1.11"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 6.0"
    }
  }
}

locals {
  account = "123456789012"
  roles   = "arn:aws:iam::${local.account}:role/traffic-tacos-reservation"
  lambdas = "arn:aws:lambda:ap-northeast-2:${local.account}:function:traffic-tacos-reservation"
  logs    = "arn:aws:logs:ap-northeast-2:${local.account}:log-group"
}

module "dynamodb" {
  source = "../../modules/dynamodb"

  replica_regions = ["ap-northeast-1"]
}

module "eventbridge" {
  source = "../../modules/eventbridge"

  service_role_arn         = "${local.roles}-api-service-role"
  publisher_role_arns      = ["${local.roles}-expiry-role"]
  event_processor_function = { arn = "${local.lambdas}-event-processor" }
  expiry_function          = { arn = "${local.lambdas}-expiry" }
  events_queue             = {}
  forward                  = { bus_arn = "arn:aws:events:ap-northeast-1:${local.account}:event-bus/traffic-tacos-reservation-events" }
}

module "iam" {
  source = "../../modules/iam"

  eks_service_account = { oidc_provider_arn = "arn:aws:iam::${local.account}:oidc-provider/oidc.eks.ap-northeast-2.amazonaws.com/id/A" }
  event_processor     = { runs_on = ["lambda", "ecs"] }
}

module "cloudwatch" {
  source = "../../modules/cloudwatch"

  tables            = module.dynamodb.tables
  rules             = module.eventbridge.rules
  dead_letter_queue = module.eventbridge.dead_letter_queue
}

module "network" {
  source = "../../modules/network"

  interface_endpoints = ["ecr.api", "ecr.dkr", "events", "logs", "secretsmanager", "sqs", "sts"]
}

module "secrets" {
  source = "../../modules/secrets"

  reader_role_arns = ["${local.roles}-api-execution-role"]
  writer_role_arns = ["arn:aws:iam::${local.account}:role/operators"]
}

module "service" {
  source = "../../modules/service"

  image            = { uri = "${local.account}.dkr.ecr.ap-northeast-2.amazonaws.com/reservation-api@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef" }
  service_role_arn = "${local.roles}-api-service-role"
  network          = module.network
  log_group        = { name = "/aws/ecs/reservation-api", arn = "${local.logs}:/aws/ecs/reservation-api" }
  certificate_arn  = "arn:aws:acm:ap-northeast-2:${local.account}:certificate/12345678-1234-1234-1234-123456789012"
  resources        = merge(module.dynamodb.service_environment, module.eventbridge.service_environment)
  payment          = { address = "grpcs://payment.traffic-tacos.com:443" }
  plain_text_peers = ["inventory", "collector"]
  secrets          = { JWT_JWKS = "arn:aws:secretsmanager:ap-northeast-2:${local.account}:secret:traffic-tacos-reservation-jwt-jwks-AbCdEf" }
}

output "collector_policy" {
  value = module.cloudwatch.collector_policy
}
