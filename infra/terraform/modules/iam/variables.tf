variable "env" {
  description = "Prefix of every name."
  type        = string
  default     = "traffic-tacos"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,20}$", var.env))
    error_message = "Up to 21 lower-case letters, digits and hyphens: the longest name made of it, {env}-reservation-events-archive, may have 48 characters."
  }
}

variable "region" {
  description = "Where the tables, the bus and the logs are. IAM itself has no region."
  type        = string
  default     = "ap-northeast-2"

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "The name of a region, such as ap-northeast-2."
  }
}

variable "ecs_tasks" {
  description = "Whether ECS tasks of this account take the service role."
  type        = bool
  default     = true
}

variable "eks_service_account" {
  description = "The Kubernetes service account that takes the service role, and the cluster's OIDC provider. Null: none. The namespace is `env`, as in the service's addresses, unless it is given."
  type = object({
    oidc_provider_arn = string
    namespace         = optional(string)
    name              = optional(string, "reservation-api")
  })
  default = null

  validation {
    condition     = var.eks_service_account == null ? true : can(regex("^arn:aws:iam::[0-9]{12}:oidc-provider/[A-Za-z0-9._/-]+$", var.eks_service_account.oidc_provider_arn))
    error_message = "The ARN of an OIDC provider, arn:aws:iam::ACCOUNT:oidc-provider/HOST, without wildcards."
  }

  validation {
    condition = var.eks_service_account == null ? true : alltrue([
      for label in [coalesce(var.eks_service_account.namespace, var.env), var.eks_service_account.name] : can(regex("^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", label))
    ])
    error_message = "Namespace and service account are named whole: a wildcard would let in whoever may create service accounts."
  }
}

variable "event_processor" {
  description = "What processes reservation events: a Lambda function, or `reservation-api consume` as an ECS task. `takes_from_queue`: whether it has them from the queue {env}-reservation-events-queue; null: on ECS, where no rule can reach it."
  type = object({
    runs_on          = optional(set(string), ["lambda"])
    takes_from_queue = optional(bool)
    function_name    = optional(string) # null: {env}-reservation-event-processor
  })
  default = {}

  validation {
    condition     = length(var.event_processor.runs_on) > 0 && length(setsubtract(var.event_processor.runs_on, ["lambda", "ecs"])) == 0
    error_message = "runs_on names lambda, ecs, or both."
  }
}

variable "expiry" {
  description = "The Lambda function that expires holds. With `relays` it also does what it leaves in the outbox: it publishes the events (the bus has to let its role in, see publisher_role_arns of the eventbridge module) and deletes the rows. Without, workers do that, and each run warns that it was refused."
  type = object({
    function_name = optional(string) # null: {env}-reservation-expiry
    relays        = optional(bool, true)
  })
  default = {}
}

variable "functions_in_vpc" {
  description = "Whether the functions run in private subnets (document section 6.1), where Lambda needs network interfaces."
  type        = bool
  default     = true
}

variable "permissions_boundary_arn" {
  description = "The boundary of every role, if the account asks for one."
  type        = string
  default     = null
}

variable "tags" {
  description = "Tags of each role and policy, besides those of the provider."
  type        = map(string)
  default     = {}
}
