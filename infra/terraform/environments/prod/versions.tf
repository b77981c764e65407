terraform {
  required_version = ">= 1.9"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 6.69"
    }
  }
}

provider "aws" {
  region              = var.region
  allowed_account_ids = var.account_id[*]

  default_tags {
    tags = { Service = "reservation-api", Environment = var.env, ManagedBy = "terraform" }
  }
}
