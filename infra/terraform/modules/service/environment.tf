# What the service is told: section 5 of the document, and what else a task needs.

locals {
  inventory_address = coalesce(var.addresses.inventory, "inventory-service.${var.env}.svc.cluster.local:9090")
  otlp_beside       = "http://localhost:4318/v1/metrics" # containers of a task share its network
  otlp_endpoint     = coalesce(var.addresses.otlp, var.collector == null ? "http://otel-collector.${var.env}.svc.cluster.local:4318/v1/metrics" : local.otlp_beside)

  # Section 5's required variables, and its profile. The optional ones for development do not belong here, and JVM_OPTS is
  # for a JVM.
  document_environment = merge(
    var.resources,
    {
      AWS_REGION             = local.region
      INVENTORY_GRPC_ADDRESS = local.inventory_address
      JWT_ISSUER_URI         = var.addresses.issuer
      OTLP_ENDPOINT          = local.otlp_endpoint
      SPRING_PROFILES_ACTIVE = var.profile
    },
  )

  # The same for each process of the service, wherever it runs.
  common_environment = merge(
    { APP_STATUS_SHARDS = tostring(var.status_shards) },
    { for name in var.payment.trusting ? ["APP_PAYMENT_VERIFIER"] : [] : name => "trusting" },
    { for name in var.payment.trusting ? [] : ["PAYMENT_GRPC_ADDRESS"] : name => var.payment.address },
    var.further_environment,
  )

  # The process ends a second before it would be killed, and says where it was.
  task_environment = { APP_SHUTDOWN_SECONDS = tostring(var.stop_seconds) }

  api_environment = merge(
    # A process keeps one core busy.
    { APP_WORKERS = tostring(max(1, floor(var.api.cpu / 1024))) },
    { for name in var.grpc_port == null ? [] : ["GRPC_PORT"] : name => tostring(var.grpc_port) },
  )

  # Workers take no requests: this is where ECS asks how they are. Their security group lets nobody else in.
  management_port    = 8081
  worker_environment = { APP_MANAGEMENT_PORT = tostring(local.management_port) }

  # The collector beside a task has metrics alone for its configuration: it would refuse traces. One that takes them is
  # asked for by var.further_environment.
  traces_environment = { for name in local.otlp_endpoint == local.otlp_beside ? ["APP_TRACES"] : [] : name => "false" }

  environments = {
    api    = merge(local.traces_environment, local.common_environment, local.task_environment, local.api_environment, local.document_environment)
    worker = merge(local.traces_environment, local.common_environment, local.task_environment, local.worker_environment, local.document_environment)
  }

  given_twice = setintersection(keys(var.further_environment), concat(keys(local.document_environment), keys(local.task_environment), keys(local.api_environment), keys(local.worker_environment), ["APP_PAYMENT_VERIFIER", "APP_STATUS_SHARDS", "GRPC_PORT", "PAYMENT_GRPC_ADDRESS"]))
}

# --- Plain text: within the VPC only, and by name only (section 6.2) ----------------------------------------------------

locals {
  # As the service reads them: gRPC is TLS with grpcs:// or https://, OTLP with https://.
  tls = "^(grpcs|https)://"

  plain_text_hosts = { for peer, address in {
    inventory = local.inventory_address
    payment   = coalesce(var.payment.address, "grpcs://nobody")
    collector = local.otlp_endpoint
  } : peer => regex("^(?:[a-z]+://)?(\\[[^]]+\\]|[^/:]+)", address)[0] if !can(regex(local.tls, address)) }

  # Beside the service nothing leaves the task.
  plain_text_afar = { for peer, host in local.plain_text_hosts : peer => host if host != "localhost" }

  plain_text_unasked = [for peer, host in local.plain_text_afar : peer if !contains(var.plain_text_peers, peer)]
  plain_text_outside = [for peer, host in local.plain_text_afar : host if !anytrue([for domain in var.private_domains : endswith(host, ".${domain}")])]
}
