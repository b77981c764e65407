variable "env" {
  description = "Prefix of every name."
  type        = string
  default     = "traffic-tacos"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,20}$", var.env))
    error_message = "Up to 21 lower-case letters, digits and hyphens: the longest name made of it, {env}-reservation-events-archive, may have 48 characters."
  }
}

variable "reader_role_arns" {
  description = "Who reads the keys: the execution role of the tasks (service module). The service's own role does not: ECS hands it the value."
  type        = set(string)

  validation {
    condition     = length(var.reader_role_arns) > 0 && alltrue([for arn in var.reader_role_arns : can(regex("^arn:aws:iam::[0-9]{12}:role/[A-Za-z0-9+=,.@_/-]+$", arn))])
    error_message = "ARNs of roles, one at least."
  }
}

variable "writer_role_arns" {
  description = "Who puts keys: whoever does can make tokens for anybody. Empty: whoever the account's own policies let."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for arn in var.writer_role_arns : can(regex("^arn:aws:iam::[0-9]{12}:role/[A-Za-z0-9+=,.@_/-]+$", arn))])
    error_message = "ARNs of roles."
  }
}

variable "recovery_window_days" {
  description = "For how long a deleted secret can be had back. 0: it is gone at once, and its name is free."
  type        = number
  default     = 30 # the longest that Secrets Manager waits

  validation {
    condition     = var.recovery_window_days == 0 || (var.recovery_window_days >= 7 && var.recovery_window_days <= 30)
    error_message = "0, or 7 to 30 days."
  }
}

variable "replica_regions" {
  description = "Further regions that hold a copy, to move to."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for region in var.replica_regions : can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", region))])
    error_message = "Names of regions, such as ap-northeast-1."
  }
}

variable "tags" {
  description = "Tags of the secret, besides those of the provider."
  type        = map(string)
  default     = {}
}
