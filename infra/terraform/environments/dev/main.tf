# Small and cheap: one NAT gateway instead of endpoints, the least tasks, nothing that keeps it from being destroyed.

module "network" {
  source = "../../modules/network"

  env                 = var.env
  new_vpc             = { nat = "one" }
  interface_endpoints = []
}

module "dynamodb" {
  source = "../../modules/dynamodb"

  env        = var.env
  production = false
}

module "iam" {
  source = "../../modules/iam"

  env = var.env
}

module "secrets" {
  source = "../../modules/secrets"

  env                  = var.env
  reader_role_arns     = [module.service.execution_role_arn]
  recovery_window_days = 0
}

module "eventbridge" {
  source = "../../modules/eventbridge"

  env                      = var.env
  service_role_arn         = module.iam.service_role_arn
  publisher_role_arns      = [module.iam.function_roles["expiry"].arn]
  event_processor_function = module.functions.event_processor
  expiry_function          = module.functions.expiry
}

module "functions" {
  source = "../../modules/functions"

  package           = { path = var.lambda_package }
  functions         = module.iam.function_roles
  log_groups        = module.cloudwatch.log_groups
  dead_letter_queue = module.eventbridge.dead_letter_queue
  environment       = module.service.environment
  vpc               = { subnet_ids = module.network.private_subnet_ids, security_group_ids = [module.network.security_group_ids["functions"]] }

  # Accounts are new in development, and new ones have few to reserve.
  event_processor = { reserved_concurrency = -1 }
  expiry          = { reserved_concurrency = -1 }
}

module "cloudwatch" {
  source = "../../modules/cloudwatch"

  env                    = var.env
  service_log_group_name = "/aws/ecs/reservation-api-${var.env}" # production's has the name without an ending
  tables                 = module.dynamodb.tables
  rules                  = module.eventbridge.rules
  dead_letter_queue      = module.eventbridge.dead_letter_queue
  load_balancer          = { arn_suffix = module.service.load_balancer.arn_suffix }
  subscriptions          = var.subscriptions
}

module "service" {
  source = "../../modules/service"

  env              = var.env
  image            = var.image
  service_role_arn = module.iam.service_role_arn
  network          = module.network
  log_group        = module.cloudwatch.log_groups["service"]
  certificate_arn  = var.certificate_arn
  resources        = merge(module.dynamodb.service_environment, module.eventbridge.service_environment)
  status_shards    = module.dynamodb.status_shards
  secrets          = module.secrets.service_secrets
  addresses        = { for peer, address in var.addresses : peer => address if address != null }
  payment          = { trusting = true } # nobody pays here
  plain_text_peers = ["inventory", "collector"]

  api           = { cpu = 256, memory = 512, max_count = 2 }
  worker        = { cpu = 256, memory = 512, count = 1 }
  load_balancer = { deletion_protection = false }
}
