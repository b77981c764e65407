variable "env" {
  description = "Prefix of every name."
  type        = string
  default     = "traffic-tacos"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,20}$", var.env))
    error_message = "Up to 21 lower-case letters, digits and hyphens: the longest name made of it, {env}-reservation-events-archive, may have 48 characters."
  }
}

variable "image" {
  description = "The service's image by its digest, and what it is built for (ARM64, X86_64). What a tag names can change; then two tasks of one deployment are two versions, and a rollback rolls back to nothing."
  type = object({
    uri          = string
    architecture = optional(string, "ARM64") # a fifth cheaper
  })

  validation {
    condition     = can(regex("^[a-z0-9./:_-]+@sha256:[0-9a-f]{64}$", var.image.uri))
    error_message = "REPOSITORY@sha256:DIGEST."
  }

  validation {
    condition     = contains(["ARM64", "X86_64"], var.image.architecture)
    error_message = "ARM64 or X86_64."
  }
}

variable "service_role_arn" {
  description = "What the tasks are while they run: the output of the iam module."
  type        = string
}

variable "network" {
  description = "Where tasks and balancer are: the outputs of the network module."
  type = object({
    vpc                = object({ id = string })
    private_subnet_ids = list(string)
    security_group_ids = map(string) # by balancer and service
    load_balancer      = object({ internal = bool, subnet_ids = list(string) })
  })
}

variable "log_group" {
  description = "Where tasks log to: /aws/ecs/reservation-api, of the cloudwatch module."
  type        = object({ name = string, arn = string })
}

variable "certificate_arn" {
  description = "The certificate of the API's name, of ACM in this region."
  type        = string

  validation {
    condition     = can(regex("^arn:aws:acm:[a-z0-9-]+:[0-9]{12}:certificate/[A-Za-z0-9-]+$", var.certificate_arn))
    error_message = "The ARN of a certificate of ACM."
  }
}

# --- What the service is told -------------------------------------------------------------------------------------------

variable "resources" {
  description = "The names of tables and bus as variables: service_environment of the dynamodb and the eventbridge module, merged."
  type        = map(string)

  validation {
    condition = jsonencode(sort(keys(var.resources))) == jsonencode(sort([
      "APP_DYNAMODB_TABLES_RESERVATIONS", "APP_DYNAMODB_TABLES_ORDERS", "APP_DYNAMODB_TABLES_IDEMPOTENCY", "APP_DYNAMODB_TABLES_OUTBOX", "AWS_EVENTBRIDGE_BUS_NAME",
    ]))
    error_message = "The four tables and the bus of section 5, no more and no less."
  }
}

variable "status_shards" {
  description = "Over how many keys of an index each status is spread: the output of the dynamodb module."
  type        = number
  default     = 1
}

variable "addresses" {
  description = "Where the service's peers are. Null: as the document has it (section 5), in the namespace `env`."
  type = object({
    inventory = optional(string) # inventory-service.{env}.svc.cluster.local:9090
    issuer    = optional(string, "https://auth.traffic-tacos.com/auth/realms/traffic-tacos")
    otlp      = optional(string) # http://otel-collector.{env}.svc.cluster.local:4318/v1/metrics; with `collector` the one beside the service
  })
  default = {}

  validation {
    condition     = startswith(var.addresses.issuer, "https://")
    error_message = "An issuer is asked for its keys by https only."
  }
}

variable "payment" {
  description = "Who says what is paid for: the payment service's address, or nobody (`trusting`: every payment intent is believed, which has to be said by name)."
  type = object({
    address  = optional(string)
    trusting = optional(bool, false)
  })

  validation {
    condition     = (var.payment.address != null) != var.payment.trusting
    error_message = "Either address or trusting."
  }
}

variable "plain_text_peers" {
  description = "The peers that may be spoken to in plain text, by name: inventory, payment, collector. Section 6.2 wants TLS for all communication, and the addresses of section 5 have none: each exception is asked for."
  type        = set(string)
  default     = []

  validation {
    condition     = length(setsubtract(var.plain_text_peers, ["inventory", "payment", "collector"])) == 0
    error_message = "inventory, payment, collector."
  }
}

variable "private_domains" {
  description = "Domains whose names exist within the VPC only: plain text goes nowhere else."
  type        = set(string)
  default     = ["svc.cluster.local", "internal"]
}

variable "secrets" {
  description = "Variables whose values are in Secrets Manager, by ARN: the output service_secrets of the secrets module. Empty: the issuer is asked for its keys."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for arn in values(var.secrets) : can(regex("^arn:aws:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[A-Za-z0-9/_+=.@-]+$", arn))])
    error_message = "ARNs of secrets."
  }
}

variable "further_environment" {
  description = "Further variables of the service (README.md of the project lists them), such as APP_JWT_AUDIENCE."
  type        = map(string)
  default     = {}

  validation {
    condition     = length(setintersection(keys(var.further_environment), ["DYNAMODB_ENDPOINT", "EVENTBRIDGE_ENDPOINT", "SQS_ENDPOINT"])) == 0
    error_message = "Endpoints are for development only (section 5)."
  }

  validation {
    condition     = !anytrue([for name in keys(var.further_environment) : can(regex("(JWKS|SECRET|PASSWORD|JVM_OPTS)", name))])
    error_message = "A secret's value would be in the state and in every description of the task: use `secrets`. JVM_OPTS is for a JVM."
  }
}

variable "profile" {
  description = "SPRING_PROFILES_ACTIVE."
  type        = string
  default     = "prod" # section 5; it refuses what only development should have
}

# --- How much of it -----------------------------------------------------------------------------------------------------

variable "planned_requests_per_second" {
  description = "The peak that the API is to stand from its first second: so many tasks run always, since autoscaling takes minutes and a sale opens in one. Null: two."
  type        = number
  default     = null

  validation {
    condition     = var.planned_requests_per_second == null ? true : var.planned_requests_per_second > 0
    error_message = "More than 0, or null."
  }
}

variable "api" {
  description = "One task of the API, and how many there may be."
  type = object({
    cpu    = optional(number, 1024) # units, of 1,024 a vCPU; a process for each whole one
    memory = optional(number, 2048) # MiB; a process takes some 150 to 300 under load, and its connections the rest
    # What a vCPU does with room to spare. bench measures some 135 to 300 microseconds of CPU a request on a fast core, and
    # a vCPU of Fargate is half a slower one. A guess until a load test on Fargate says better.
    requests_per_second_per_vcpu = optional(number, 1000)
    max_count                    = optional(number, 20)
    cpu_percent                  = optional(number, 50) # scale out from here: a zone that is lost leaves two thirds of three to carry all
  })
  default = {}

  validation {
    condition     = contains([256, 512, 1024, 2048, 4096, 8192, 16384], var.api.cpu)
    error_message = "Fargate has tasks of 256, 512, 1024, 2048, 4096, 8192 and 16384 units."
  }
}

variable "worker" {
  description = "One task of the workers, and how many there are. Any number may: each row is claimed by one."
  type = object({
    cpu    = optional(number, 512)
    memory = optional(number, 1024)
    count  = optional(number, 2) # one is enough; the second is for a zone that is lost
  })
  default = {}

  validation {
    condition     = var.worker.count >= 1
    error_message = "One worker at least: without any, nothing expires and nothing that failed is tried again."
  }
}

variable "collector" {
  description = "A collector beside each task (ADOT) with its configuration: the output collector_config of the cloudwatch module. Null: the one at addresses.otlp."
  type = object({
    image  = string
    config = string
    cpu    = optional(number, 64)
    memory = optional(number, 256) # its memory_limiter refuses at four fifths of it
  })
  default = null
}

variable "grpc_port" {
  description = "The port on which gateways speak gRPC. Null: none. The network module has to let them in."
  type        = number
  default     = null
}

# --- How it is deployed, and how it ends --------------------------------------------------------------------------------

variable "deployment" {
  description = "How a new version comes: ECS (rolling, with a circuit breaker that rolls back) or CODE_DEPLOY (blue and green). Changing it replaces the service."
  type        = string
  default     = "ECS"

  validation {
    condition     = contains(["ECS", "CODE_DEPLOY"], var.deployment)
    error_message = "ECS or CODE_DEPLOY."
  }
}

variable "stop_seconds" {
  description = "From SIGTERM until a task is killed (section 9.1)."
  type        = number
  default     = 30

  validation {
    condition     = var.stop_seconds >= 5 && var.stop_seconds <= 120
    error_message = "5 to 120 seconds: five are what draining takes, and Fargate waits for two minutes at most."
  }
}

variable "load_balancer" {
  description = "The application load balancer."
  type = object({
    deletion_protection = optional(bool, true)
    ssl_policy          = optional(string, "ELBSecurityPolicy-TLS13-1-2-2021-06")
    access_logs_bucket  = optional(string)
  })
  default = {}

  validation {
    condition     = can(regex("^ELBSecurityPolicy-(TLS13-1-[23]-|TLS-1-2-)", var.load_balancer.ssl_policy))
    error_message = "A policy of TLS 1.2 or newer (section 6.2): ELBSecurityPolicy-TLS13-1-2-..., -TLS13-1-3-... or -TLS-1-2-...."
  }
}

variable "container_insights" {
  description = "Container Insights of the cluster: disabled, enabled or enhanced. Each task's metrics are paid for."
  type        = string
  default     = "disabled" # section 7.3: only what is needed

  validation {
    condition     = contains(["disabled", "enabled", "enhanced"], var.container_insights)
    error_message = "disabled, enabled or enhanced."
  }
}

variable "permissions_boundary_arn" {
  description = "The boundary of the execution role, if the account asks for one."
  type        = string
  default     = null
}

variable "tags" {
  description = "Tags of everything here that takes them, besides those of the provider."
  type        = map(string)
  default     = {}
}
