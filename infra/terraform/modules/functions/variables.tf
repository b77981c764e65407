variable "package" {
  description = "The zip that `make lambda-package` builds: a path here, or an object in S3 (whose `version` or `sha256` tells that it has changed)."
  type = object({
    path = optional(string)
    s3 = optional(object({
      bucket  = string
      key     = string
      version = optional(string)
      sha256  = optional(string) # of its bytes, in base64
    }))
  })

  validation {
    condition     = (var.package.path == null) != (var.package.s3 == null)
    error_message = "Either path or s3."
  }

  validation {
    condition     = var.package.s3 == null ? true : var.package.s3.version != null || var.package.s3.sha256 != null
    error_message = "An object in S3 needs its version or its sha256: by its key alone nobody sees that it has changed."
  }
}

variable "architecture" {
  description = "What the package is built for: arm64 or x86_64."
  type        = string
  default     = "arm64" # a fifth cheaper

  validation {
    condition     = contains(["arm64", "x86_64"], var.architecture)
    error_message = "arm64 or x86_64."
  }
}

variable "runtime" {
  description = "Lambda's runtime, of the Python version that the package is built for."
  type        = string
  default     = "python3.13"

  validation {
    condition     = can(regex("^python3\\.[0-9]+$", var.runtime))
    error_message = "python3.N."
  }
}

variable "functions" {
  description = "Role and name by function, event_processor and expiry: the output function_roles of the iam module."
  type        = map(object({ arn = string, function_name = string }))

  validation {
    condition     = jsonencode(sort(keys(var.functions))) == jsonencode(["event_processor", "expiry"])
    error_message = "event_processor and expiry."
  }
}

variable "log_groups" {
  description = "The functions' log groups by their names, of 30 days: the output log_groups of the cloudwatch module."
  type        = map(object({ name = string }))
}

variable "dead_letter_queue" {
  description = "Where an event goes that could not be processed: the output of the eventbridge module."
  type        = object({ arn = string })
}

variable "environment" {
  description = "The document's variables (section 5), as the service has them: the output environment of the service module. AWS_REGION is left out, which Lambda sets by itself and lets nobody set."
  type        = map(string)
}

variable "vpc" {
  description = "The private subnets (section 6.1) and security groups that the functions run in. Null: outside of any VPC."
  type        = object({ subnet_ids = list(string), security_group_ids = list(string) })
  default     = null

  validation {
    condition     = var.vpc == null ? true : length(var.vpc.subnet_ids) > 0 && length(var.vpc.security_group_ids) > 0
    error_message = "Subnets and security groups, one of each at least."
  }
}

variable "event_processor" {
  description = "How much the event processor gets, and for how long Lambda tries an event again."
  type = object({
    memory_megabytes = optional(number, 256) # it writes a line; 256 MB is a seventh of a core
    timeout_seconds  = optional(number, 30)  # milliseconds do, but a cold start imports for a second or two
    # The region invokes targets 1,100 times a second at first: at 10 ms each that is 11 at once, and as many again while
    # containers start. -1: no reservation, and no bound.
    reserved_concurrency = optional(number, 50)
    retries              = optional(number, 2)    # what fails thrice is an event that it can not read
    event_age_seconds    = optional(number, 3600) # as long as EventBridge tries, see the eventbridge module
  })
  default = {}

  validation {
    condition     = var.event_processor.retries >= 0 && var.event_processor.retries <= 2 && var.event_processor.event_age_seconds >= 60 && var.event_processor.event_age_seconds <= 21600
    error_message = "Lambda tries again up to twice, for 60 to 21600 seconds."
  }

  validation {
    condition     = var.event_processor.reserved_concurrency != 0
    error_message = "0 stops the function; -1 is no reservation."
  }
}

variable "expiry" {
  description = "How much the expiry function gets."
  type = object({
    memory_megabytes     = optional(number, 512) # it opens connections and signs requests: a core's third starts in seconds
    timeout_seconds      = optional(number, 55)  # it goes on until nothing is due; the next one starts a minute later
    reserved_concurrency = optional(number, 1)   # two would only race for the same holds. -1: no reservation
  })
  default = {}

  validation {
    condition     = var.expiry.timeout_seconds >= 10 && var.expiry.timeout_seconds < 60
    error_message = "10 to 59 seconds: it keeps five for its last events, and the next one starts after a minute."
  }

  validation {
    condition     = var.expiry.reserved_concurrency != 0
    error_message = "0 stops the function; -1 is no reservation."
  }
}

variable "tags" {
  description = "Tags of each function, besides those of the provider."
  type        = map(string)
  default     = {}
}
