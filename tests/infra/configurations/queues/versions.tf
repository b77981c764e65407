terraform {
  required_version = ">= 1.11"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 6.0"
    }
  }
}

variable "changed" {
  description = "Whether everything that can be updated in place is."
  type        = bool
  default     = false
}
