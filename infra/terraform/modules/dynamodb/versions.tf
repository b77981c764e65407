terraform {
  # From 1.9 on a validation may look at other variables.
  required_version = ">= 1.9"

  required_providers {
    aws = {
      source = "hashicorp/aws"
      # `key_schema` of an index, and `region` of a resource; the tests run against the schema of 6.69.
      version = "~> 6.69"
    }
  }
}
