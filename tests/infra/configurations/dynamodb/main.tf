resource "aws_dynamodb_table" "everything" {
  name                        = "everything"
  billing_mode                = "PAY_PER_REQUEST"
  hash_key                    = "pk"
  range_key                   = "sk"
  table_class                 = var.changed ? "STANDARD" : "STANDARD_INFREQUENT_ACCESS"
  deletion_protection_enabled = false
  stream_enabled              = true
  stream_view_type            = "NEW_AND_OLD_IMAGES"

  dynamic "attribute" {
    for_each = toset(["pk", "sk", "user", "status"])
    content {
      name = attribute.value
      type = "S"
    }
  }

  global_secondary_index {
    name               = "by-user"
    hash_key           = "user"
    range_key          = "status"
    projection_type    = "INCLUDE"
    non_key_attributes = var.changed ? ["qty"] : ["event", "qty"]
  }

  global_secondary_index {
    name            = "by-status"
    hash_key        = "status"
    projection_type = "KEYS_ONLY"

    warm_throughput {
      read_units_per_second  = 13000
      write_units_per_second = 5000
    }
  }

  local_secondary_index {
    name            = "local"
    range_key       = "user"
    projection_type = "ALL"
  }

  point_in_time_recovery {
    enabled                 = !var.changed
    recovery_period_in_days = var.changed ? null : 7
  }

  server_side_encryption {
    enabled = true
  }

  ttl {
    attribute_name = "ttl"
    enabled        = true
  }

  warm_throughput {
    read_units_per_second  = 13000
    write_units_per_second = 5000
  }

  on_demand_throughput {
    max_read_request_units  = var.changed ? 30000 : 20000
    max_write_request_units = 10000
  }

  replica {
    region_name                 = "ap-northeast-1"
    deletion_protection_enabled = !var.changed
    point_in_time_recovery      = !var.changed
    propagate_tags              = true
  }

  tags = var.changed ? { Another = "table" } : { Table = "everything" }
}

resource "aws_dynamodb_table" "least" {
  name                        = "least"
  billing_mode                = "PAY_PER_REQUEST"
  hash_key                    = "pk"
  deletion_protection_enabled = false

  ttl {
    attribute_name = "ttl"
    enabled        = var.changed
  }

  attribute {
    name = "pk"
    type = "S"
  }
}

resource "aws_dynamodb_table" "provisioned" {
  name           = "provisioned"
  hash_key       = "pk"
  read_capacity  = var.changed ? 7 : 5
  write_capacity = 6

  attribute {
    name = "pk"
    type = "N"
  }
}

resource "aws_dynamodb_resource_policy" "least" {
  resource_arn = aws_dynamodb_table.least.arn
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "Reader"
      Effect    = "Allow"
      Principal = { AWS = "arn:aws:iam::123456789012:root" }
      Action    = var.changed ? "dynamodb:Query" : "dynamodb:GetItem"
      Resource  = aws_dynamodb_table.least.arn
    }]
  })
}
