variable "account_id" {
  description = "The account that this is for; any other is refused."
  type        = string

  validation {
    condition     = can(regex("^[0-9]{12}$", var.account_id))
    error_message = "Twelve digits."
  }
}

variable "env" {
  description = "Prefix of every name."
  type        = string
  default     = "traffic-tacos"
}

variable "region" {
  description = "Where all of it is; another region only after this one is lost (docs/runbooks)."
  type        = string
  default     = "ap-northeast-2"
}

variable "image" {
  description = "The service's image, by its digest."
  type        = object({ uri = string, architecture = optional(string, "ARM64") })
}

variable "certificate_arn" {
  description = "The certificate of the API's name, of ACM in this region."
  type        = string
}

variable "lambda_package" {
  description = "The zip of the functions, as `make lambda-package` writes it."
  type        = string
  default     = "../../../../dist/lambda-arm64.zip"
}

variable "planned_requests_per_second" {
  description = "The peak that tables and tasks stand from their first second; the document's target is 30000. Tables are warmed for it once and for all, tasks run for it as long as it is so high. Null: what is there by itself."
  type        = number
}

variable "table_quota" {
  description = "The account's quotas for one on-demand table, once they are raised."
  type        = object({ read_units = optional(number), write_units = optional(number) })
  default     = {}
}

variable "payment_address" {
  description = "The payment service, by TLS: grpcs://host:port."
  type        = string
}

variable "addresses" {
  description = "Where the service's other peers are, unless it is as the document says."
  type        = object({ inventory = optional(string), issuer = optional(string), otlp = optional(string) })
  default     = {}
}

variable "plain_text_peers" {
  description = "The peers that are spoken to in plain text, within the VPC: the document's addresses of both have no TLS (section 5)."
  type        = set(string)
  default     = ["inventory", "collector"]
}

variable "collector_image" {
  description = "The collector's image in ECR of this region, to run it beside each task. Null: the document's collector is used."
  type        = string
  default     = null
}

variable "further_environment" {
  description = "Further variables of the service, such as APP_JWT_AUDIENCE."
  type        = map(string)
  default     = {}
}

variable "nat" {
  description = "How private subnets reach the internet: none, one, each_zone. None is needed while payment and issuer are in the VPC or their keys are given."
  type        = string
  default     = "none"
}

variable "zone_names" {
  description = "The zones that subnets are in, for good. Null: the region's first three, as long as AWS tells of no other."
  type        = list(string)
  default     = null
}

variable "peers" {
  description = "What the service reaches within the VPC, by name: all of it, where the default does not do. A payment service in the VPC is one more."
  type        = map(object({ port = number, cidr_blocks = optional(set(string)), security_group = optional(object({ id = string })) }))
  default = {
    inventory      = { port = 9090 }
    collector      = { port = 4318 }
    collector-grpc = { port = 4317 }
  }
}

variable "key_writer_role_arns" {
  description = "Who puts the keys that tokens are verified with. Empty: whoever the account's policies let."
  type        = set(string)
  default     = []
}

variable "operator_role_arns" {
  description = "Who puts events on the bus besides the service: operators who redrive dead letters."
  type        = set(string)
  default     = []
}

variable "replica_regions" {
  description = "Further regions with a copy of tables and keys (sections 8.1, 8.2: if required)."
  type        = set(string)
  default     = []
}

variable "key_replica_regions" {
  description = "Further regions with a copy of the keys alone. Null: as replica_regions."
  type        = set(string)
  default     = null
}

variable "forward_to_bus_arn" {
  description = "A bus in another region that critical events are forwarded to (section 8.2: if required)."
  type        = string
  default     = null
}

variable "eks_service_account" {
  description = "The service account of a Kubernetes cluster that takes the service role too (deploy/kubernetes)."
  type        = object({ oidc_provider_arn = string, namespace = optional(string), name = optional(string) })
  default     = null
}

variable "deployment" {
  description = "ECS (rolling) or CODE_DEPLOY (blue and green)."
  type        = string
  default     = "ECS"
}

variable "access_logs_bucket" {
  description = "Where the balancer's access logs go. Null: nowhere."
  type        = string
  default     = null
}

variable "subscriptions" {
  description = "Who is told of alarms; somebody has to be."
  type        = map(object({ protocol = string, endpoint = string }))

  validation {
    condition     = length(var.subscriptions) > 0
    error_message = "Alarms of production that nobody hears are none."
  }
}
