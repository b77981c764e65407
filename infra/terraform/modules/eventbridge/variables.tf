variable "env" {
  description = "Prefix of every name."
  type        = string
  default     = "traffic-tacos"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,20}$", var.env))
    error_message = "Up to 21 lower-case letters, digits and hyphens: the longest name made of it, {env}-reservation-events-archive, may have 48 characters."
  }
}

variable "service_role_arn" {
  description = "The role that puts events: the service's own (iam module)."
  type        = string

  validation {
    condition     = can(regex("^arn:aws:iam::[0-9]{12}:role/[A-Za-z0-9+=,.@_/-]+$", var.service_role_arn))
    error_message = "The ARN of one role."
  }
}

variable "publisher_role_arns" {
  description = "Further roles of this account that put the service's events: the expiry function's, operators' who redrive dead letters, other regions' forwarding rules'."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for arn in var.publisher_role_arns : can(regex("^arn:aws:iam::[0-9]{12}:role/[A-Za-z0-9+=,.@_/-]+$", arn))])
    error_message = "ARNs of roles."
  }
}

# A function is an object, and not a bare ARN: whether there is one has to be known to a plan, its ARN does not.
variable "event_processor_function" {
  description = "The Lambda function that processes reservation events, by its ARN or that of an alias. Null: none."
  type        = object({ arn = string })
  default     = null

  validation {
    condition     = var.event_processor_function == null ? true : can(regex("^arn:aws:lambda:[a-z0-9-]+:[0-9]{12}:function:[A-Za-z0-9_-]+(:[A-Za-z0-9_-]+)?$", var.event_processor_function.arn))
    error_message = "The ARN of a Lambda function, or of an alias of one."
  }
}

variable "expiry_function" {
  description = "The Lambda function that expires holds. Null: the service's workers do, and the schedule is disabled."
  type        = object({ arn = string })
  default     = null

  validation {
    condition     = var.expiry_function == null ? true : can(regex("^arn:aws:lambda:[a-z0-9-]+:[0-9]{12}:function:[A-Za-z0-9_-]+(:[A-Za-z0-9_-]+)?$", var.expiry_function.arn))
    error_message = "The ARN of a Lambda function, or of an alias of one."
  }
}

variable "expiry_schedule" {
  description = "How often the expiry function runs."
  type        = string
  default     = "rate(1 minute)" # the shortest that EventBridge knows; a hold lasts one

  validation {
    condition     = can(regex("^(rate|cron)\\(.+\\)$", var.expiry_schedule))
    error_message = "rate(...) or cron(...)."
  }
}

variable "events_queue" {
  description = "The queue {env}-reservation-events-queue, for consumers other than Lambda (`reservation-api consume`). Null: none."
  type = object({
    visibility_timeout_seconds = optional(number, 60)     # how long a consumer that died keeps an event from the others
    retention_seconds          = optional(number, 345600) # four days: over a long weekend, and well before the dead letters go
    receives                   = optional(number, 5)      # then it is a dead letter
  })
  default = null
}

variable "audit" {
  description = "Whether every reservation event is also written to the log group /aws/events/{env}-reservation-events, and for how many days it stays."
  type = object({
    enabled        = optional(bool, true)
    retention_days = optional(number, 30) # section 7.3; the archive keeps the events themselves for a year
  })
  default = {}
}

variable "retry" {
  description = "How long EventBridge tries to reach a target before the event is a dead letter."
  type = object({
    # An hour outlives a deployment or a throttled target. By itself EventBridge tries for a day, and nobody would hear of it.
    seconds  = optional(number, 3600)
    attempts = optional(number, 185)
  })
  default = {}

  validation {
    condition     = var.retry.seconds >= 60 && var.retry.seconds <= 86400 && var.retry.attempts >= 0 && var.retry.attempts <= 185
    error_message = "EventBridge tries for 60 to 86400 seconds, and up to 185 times."
  }
}

variable "archive_days" {
  description = "For how long events can be replayed."
  type        = number
  default     = 365
}

variable "dead_letter_queue" {
  description = "The queue of events that reached no target."
  type = object({
    retention_seconds          = optional(number, 1209600) # 14 days, the most that SQS keeps
    visibility_timeout_seconds = optional(number, 300)     # whoever looks at a dead letter has it to himself for so long
  })
  default = {}
}

variable "forward" {
  description = "The bus in another region that critical events are forwarded to (section 8.2). A hold lasts a minute and is over by the time that a region is; what is confirmed, cancelled or expired stays. Null: none."
  type = object({
    bus_arn      = string
    detail_types = optional(list(string), ["Reservation Status Changed"])
  })
  default = null

  validation {
    condition     = var.forward == null ? true : can(regex("^arn:aws:events:[a-z0-9-]+:[0-9]{12}:event-bus/[A-Za-z0-9._-]+$", var.forward.bus_arn))
    error_message = "The ARN of an event bus."
  }
}

variable "tags" {
  description = "Tags of everything here that takes them, besides those of the provider."
  type        = map(string)
  default     = {}
}
