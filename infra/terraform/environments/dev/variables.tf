variable "account_id" {
  description = "The account that this is for; any other is refused. Null: whichever the credentials are of."
  type        = string
  default     = null
}

variable "env" {
  description = "Prefix of every name. Another one than production's, which may be in the same account."
  type        = string
  default     = "traffic-tacos-dev"
}

variable "image" {
  description = "The service's image, by its digest."
  type        = object({ uri = string, architecture = optional(string, "ARM64") })
}

variable "certificate_arn" {
  description = "The certificate of the API's name, of ACM in ap-northeast-2."
  type        = string
}

variable "lambda_package" {
  description = "The zip of the functions, as `make lambda-package` writes it."
  type        = string
  default     = "../../../../dist/lambda-arm64.zip"
}

variable "addresses" {
  description = "Where the service's peers are, unless it is as the document says."
  type        = object({ inventory = optional(string), issuer = optional(string), otlp = optional(string) })
  default     = {}
}

variable "subscriptions" {
  description = "Who is told of alarms."
  type        = map(object({ protocol = string, endpoint = string }))
  default     = {}
}
