terraform {
  required_version = ">= 1.11"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 6.0"
    }
  }
}

provider "aws" {
  default_tags {
    tags = { Service = "reservation-api" }
  }
}

variable "changed" {
  description = "Whether everything that can be updated in place is."
  type        = bool
  default     = false
}
