# Everything at once: each of Terraform's commands is started once, and not once for each part.
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

module "containers" {
  source  = "../containers"
  changed = var.changed
}

module "dynamodb" {
  source  = "../dynamodb"
  changed = var.changed
}

module "events" {
  source  = "../events"
  changed = var.changed
}

module "functions" {
  source  = "../functions"
  changed = var.changed
}

module "identity" {
  source  = "../identity"
  changed = var.changed
}

module "monitoring" {
  source  = "../monitoring"
  changed = var.changed
}

module "network" {
  source  = "../network"
  changed = var.changed
}

module "queues" {
  source  = "../queues"
  changed = var.changed
}

module "secrets" {
  source  = "../secrets"
  changed = var.changed
}
