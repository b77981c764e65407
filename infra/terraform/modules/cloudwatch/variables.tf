variable "env" {
  description = "Prefix of every name."
  type        = string
  default     = "traffic-tacos"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,20}$", var.env))
    error_message = "Up to 21 lower-case letters, digits and hyphens: the longest name made of it, {env}-reservation-events-archive, may have 48 characters."
  }
}

variable "tables" {
  description = "Name and indexes of each table: the output of the dynamodb module."
  type        = map(object({ name = string, indexes = list(string) }))
}

variable "rules" {
  description = "Name of each EventBridge rule, and its bus unless that is the default one: the output of the eventbridge module."
  type        = map(object({ name = string, event_bus_name = optional(string) }))
}

variable "dead_letter_queue" {
  description = "The queue of events that reached no target: the output of the eventbridge module."
  type        = object({ name = string })
}

variable "events_queue" {
  description = "The queue for consumers other than Lambda, if there is one: the output of the eventbridge module."
  type        = object({ name = string })
  default     = null
}

# An object, and not the bare suffix: whether there is a balancer has to be known to a plan, its ARN does not.
variable "load_balancer" {
  description = "The application load balancer whose counts make the error rate. Null: the service's own counts do, which do not see what never reached a task."
  type        = object({ arn_suffix = string })
  default     = null
}

variable "metrics" {
  description = "Names of the service's metrics, and their namespace (document section 4.1)."
  type = object({
    namespace                  = optional(string, "TrafficTacos/Reservation")
    reservation_status_count   = optional(string, "ReservationStatusCount")   # by status
    api_latency                = optional(string, "APILatency")               # by endpoint, milliseconds
    grpc_call_duration         = optional(string, "gRPCCallDuration")         # by method
    dynamodb_operation_latency = optional(string, "DynamoDBOperationLatency") # by table and operation
    outbox_oldest_pending_age  = optional(string, "OutboxOldestPendingAge")   # seconds
    http_requests              = optional(string, "HTTPRequests")
    http_errors                = optional(string, "HTTPErrors") # answers of 500 and above
  })
  default = {}
}

variable "thresholds" {
  description = "Above what the alarms go off. The first three are the document's (section 4.2)."
  type = object({
    error_rate_percent                = optional(number, 1)
    p95_latency_milliseconds          = optional(number, 120)
    throttle_events                   = optional(number, 0)
    outbox_oldest_pending_age_seconds = optional(number, 60)  # due rows are taken within seconds: a minute means that the relay can not keep up
    events_queue_age_seconds          = optional(number, 900) # consumers are away for longer than a deployment takes
  })
  default = {}
}

variable "subscriptions" {
  description = "Who is told of alarms, by any name: protocol and endpoint, for example {protocol = \"email\", endpoint = \"oncall@example.com\"}."
  type        = map(object({ protocol = string, endpoint = string }))
  default     = {}

  validation {
    condition     = alltrue([for it in values(var.subscriptions) : contains(["email", "email-json", "https", "lambda", "sms", "sqs"], it.protocol)])
    error_message = "email, email-json, https, lambda, sms or sqs; not http, which is not encrypted on its way."
  }
}

variable "runbooks_url" {
  description = "Where the pages of docs/runbooks are read; what an alarm says ends with its page."
  type        = string
  default     = "docs/runbooks"
}

variable "topic_kms_key_arn" {
  description = "A customer key for the alarms' topic. Null: none, because CloudWatch may not use alias/aws/sns, and a topic encrypted with it loses every alarm in silence."
  type        = string
  default     = null
}

variable "service_log_group_name" {
  description = "The service's log group. The service role may write to groups that begin like this and no others; a second environment in one account and region needs an ending of its own."
  type        = string
  default     = "/aws/ecs/reservation-api"

  validation {
    condition     = can(regex("^/aws/ecs/reservation-api[A-Za-z0-9_./-]*$", var.service_log_group_name))
    error_message = "Begins with /aws/ecs/reservation-api (document section 3.1)."
  }
}

variable "function_names" {
  description = "The Lambda functions that get a log group. Null: {env}-reservation-event-processor and {env}-reservation-expiry."
  type        = set(string)
  default     = null
}

variable "log_retention_days" {
  description = "For how long logs are kept (section 7.3)."
  type        = number
  default     = 30
}

variable "tags" {
  description = "Tags of everything here that takes them, besides those of the provider."
  type        = map(string)
  default     = {}
}
