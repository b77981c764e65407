# Three zones, protected from deletion, closed to the internet but for the balancer.

module "network" {
  source = "../../modules/network"

  env                = var.env
  new_vpc            = { zones = 3, zone_names = var.zone_names, nat = var.nat }
  image_repositories = distinct(compact(["reservation-api", try(regex("amazonaws\\.com/([^:@]+)", var.collector_image)[0], null)]))
  peers              = var.peers
}

module "dynamodb" {
  source = "../../modules/dynamodb"

  env                         = var.env
  production                  = true
  planned_requests_per_second = var.planned_requests_per_second
  table_quota                 = { for kind, units in var.table_quota : kind => units if units != null }
  replica_regions             = var.replica_regions
}

module "iam" {
  source = "../../modules/iam"

  env                 = var.env
  region              = var.region
  eks_service_account = var.eks_service_account
}

module "secrets" {
  source = "../../modules/secrets"

  env              = var.env
  reader_role_arns = [module.service.execution_role_arn]
  writer_role_arns = var.key_writer_role_arns
  replica_regions  = coalesce(var.key_replica_regions, var.replica_regions)
}

module "eventbridge" {
  source = "../../modules/eventbridge"

  env                      = var.env
  service_role_arn         = module.iam.service_role_arn
  publisher_role_arns      = setunion([module.iam.function_roles["expiry"].arn], var.operator_role_arns)
  event_processor_function = module.functions.event_processor
  expiry_function          = module.functions.expiry
  forward                  = var.forward_to_bus_arn == null ? null : { bus_arn = var.forward_to_bus_arn }
}

module "functions" {
  source = "../../modules/functions"

  package           = { path = var.lambda_package }
  functions         = module.iam.function_roles
  log_groups        = module.cloudwatch.log_groups
  dead_letter_queue = module.eventbridge.dead_letter_queue
  environment       = module.service.environment
  vpc               = { subnet_ids = module.network.private_subnet_ids, security_group_ids = [module.network.security_group_ids["functions"]] }
}

module "cloudwatch" {
  source = "../../modules/cloudwatch"

  env               = var.env
  tables            = module.dynamodb.tables
  rules             = module.eventbridge.rules
  dead_letter_queue = module.eventbridge.dead_letter_queue
  load_balancer     = { arn_suffix = module.service.load_balancer.arn_suffix }
  subscriptions     = var.subscriptions
}

module "service" {
  source = "../../modules/service"

  env                         = var.env
  image                       = var.image
  service_role_arn            = module.iam.service_role_arn
  network                     = module.network
  log_group                   = module.cloudwatch.log_groups["service"]
  certificate_arn             = var.certificate_arn
  resources                   = merge(module.dynamodb.service_environment, module.eventbridge.service_environment)
  status_shards               = module.dynamodb.status_shards
  secrets                     = module.secrets.service_secrets
  addresses                   = { for peer, address in var.addresses : peer => address if address != null }
  payment                     = { address = var.payment_address }
  plain_text_peers            = var.plain_text_peers
  further_environment         = var.further_environment
  planned_requests_per_second = var.planned_requests_per_second
  deployment                  = var.deployment
  load_balancer               = { access_logs_bucket = var.access_logs_bucket }
  collector                   = var.collector_image == null ? null : { image = var.collector_image, config = module.cloudwatch.collector_config }

  api    = { cpu = 4096, memory = 8192, max_count = 24 } # three times what 30,000 requests a second take
  worker = { cpu = 1024, memory = 2048, count = 3 }      # one in each zone
}
