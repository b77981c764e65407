variable "env" {
  description = "Prefix of every name."
  type        = string
  default     = "traffic-tacos"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,20}$", var.env))
    error_message = "Up to 21 lower-case letters, digits and hyphens: the longest name made of it, {env}-reservation-events-archive, may have 48 characters."
  }
}

variable "production" {
  description = "Whether real reservations are in these tables."
  type        = bool
  default     = true
}

variable "deletion_protection" {
  description = "Whether DynamoDB refuses to delete the tables. Null: in production only."
  type        = bool
  default     = null
}

variable "point_in_time_recovery_days" {
  description = "How far back a table can be restored."
  type        = number
  default     = 35 # the most that DynamoDB keeps; it costs the same

  validation {
    condition     = var.point_in_time_recovery_days >= 1 && var.point_in_time_recovery_days <= 35
    error_message = "DynamoDB keeps 1 to 35 days."
  }
}

variable "replica_regions" {
  description = "Further regions that hold a copy of each table, for recovery: one region writes at a time."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for region in var.replica_regions : can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", region))])
    error_message = "Names of regions, such as ap-northeast-1."
  }
}

variable "planned_requests_per_second" {
  description = "The peak that the tables are to stand from their first second. Null: what a new table stands by itself."
  type        = number
  default     = null

  validation {
    condition     = var.planned_requests_per_second == null ? true : var.planned_requests_per_second > 0
    error_message = "More than 0, or null."
  }
}

variable "request_mix" {
  description = <<-EOT
    Of a hundred requests at that peak, how many do what. `hold` counts holds that take seats, `refused_hold` those that
    find them taken, `get` one reservation, `list` a page of them. The rest reaches no table. The default is
    the sale that the service is measured with (`reservation-api plan-capacity`); set what was seen.
  EOT
  type = object({
    hold         = optional(number, 20)
    refused_hold = optional(number, 0)
    confirm      = optional(number, 7)
    cancel       = optional(number, 3)
    extend       = optional(number, 0)
    get          = optional(number, 70)
    list         = optional(number, 0)
  })
  default = {}

  validation {
    condition     = alltrue([for share in values(var.request_mix) : share >= 0]) && sum(values(var.request_mix)) <= 100
    error_message = "Shares are not negative, and add up to a hundred at most."
  }

  validation {
    condition     = var.request_mix.confirm + var.request_mix.cancel <= var.request_mix.hold
    error_message = "A hold is confirmed, cancelled or expires, once: confirm and cancel together are no more than hold."
  }
}

variable "seats_per_reservation" {
  description = "How large rows are planned: a write costs a unit for each KB."
  type        = number
  default     = 2

  validation {
    condition     = var.seats_per_reservation >= 1 && var.seats_per_reservation <= 10 && floor(var.seats_per_reservation) == var.seats_per_reservation
    error_message = "A reservation has 1 to 10 seats."
  }
}

variable "table_quota" {
  description = "The account's quotas for one on-demand table, in units a second. The defaults are AWS's own."
  type = object({
    read_units  = optional(number, 40000)
    write_units = optional(number, 40000)
  })
  default = {}
}

variable "tags" {
  description = "Tags of each table, besides those of the provider."
  type        = map(string)
  default     = {}
}
