data "aws_caller_identity" "current" {}
data "aws_region" "current" {}

locals {
  # Document section 1. The keys are called `pk` and `sk`; what they hold stands beside them. An index carries what the
  # application's queries read from it and no more (section 7.1): full rows it then fetches by their keys.
  tables = {
    reservations = {
      range_key = "sk" # pk: reservation_id, sk: event_id
      ttl       = null
      indexes = {
        user-status-index    = { hash = "user_id", range = "status", include = ["created_at"] }
        status-created-index = { hash = "status", range = "created_at", include = ["hold_expires_at", "intent_order_id"] }
      }
    }
    orders = {
      range_key = "sk" # pk: order_id, sk: reservation_id
      ttl       = null
      indexes = {
        user-created-index  = { hash = "user_id", range = "created_at", include = [] }
        event-created-index = { hash = "event_id", range = "created_at", include = [] }
      }
    }
    idempotency = {
      range_key = null # pk: idempotency_key
      ttl       = "ttl"
      indexes   = {}
    }
    outbox = {
      range_key = "sk" # pk: outbox_id, sk: aggregate_type#aggregate_id
      ttl       = null # a pending row never goes by itself
      indexes = {
        status-created_at-index = { hash = "status", range = "created_at", include = ["type", "next_retry_at"] }
      }
    }
  }

  names               = { for table, _ in local.tables : table => "${var.env}-reservation-${table}" }
  deletion_protection = coalesce(var.deletion_protection, var.production)
}

# --- What the planned peak asks of each table and index, in units a second ---------------------------------------------

locals {
  # A new on-demand table, and a new index, stands this much; only more has to be asked for, and paid.
  new_table_units = { read = 12000, write = 4000 }

  # One partition takes so many write units, whatever the table is warmed to.
  partition_write_units = 1000

  # A key that is planned full throttles: hashes fill the shards unevenly.
  shard_fill_percent = 80

  # Units of a thousand requests of each kind: `reservation-api plan-capacity --units` finds them by making the requests,
  # and a test of the service fails while this file says otherwise.
  units = jsondecode(file("${path.module}/units.json"))[tostring(var.seats_per_reservation)]

  rate = { for request, share in merge(var.request_mix, {
    # What is neither confirmed nor cancelled expires, a minute after the peak began, at the same rate.
    expire = var.request_mix.hold - var.request_mix.confirm - var.request_mix.cancel
  }) : request => coalesce(var.planned_requests_per_second, 0) * share / 100 }

  planned = { for name in concat(keys(local.tables), flatten([for table in local.tables : keys(table.indexes)])) : name => {
    for kind in ["read", "write"] : kind => ceil(sum([
      for request, units in local.units : lookup(units[kind], name, 0) * local.rate[request]
    ]) / 1000)
  } }

  # The blocks `warm_throughput`: none below what a new table has, and both numbers where either is above.
  warm = { for name, units in local.planned : name => [
    for planned in [units] : {
      read  = max(planned.read, local.new_table_units.read)
      write = max(planned.write, local.new_table_units.write)
    } if planned.read > local.new_table_units.read || planned.write > local.new_table_units.write
  ] }

  # Everything passes HOLD and PENDING, each the one key of its index, or as many as there are shards.
  hottest_key_units = max([
    for key in distinct(flatten([for units in local.units : keys(units.by_status)])) : sum([
      for request, units in local.units : lookup(units.by_status, key, 0) * local.rate[request]
    ]) / 1000
  ]...)
  status_shards = max(1, ceil(local.hottest_key_units * 100 / (local.partition_write_units * local.shard_fill_percent)))
}

resource "aws_dynamodb_table" "this" {
  # checkov:skip=CKV_AWS_119:Sections 1.1 and 6.2 say AWS managed keys.

  for_each = local.tables

  name                        = local.names[each.key]
  billing_mode                = "PAY_PER_REQUEST"
  hash_key                    = "pk"
  range_key                   = each.value.range_key
  deletion_protection_enabled = local.deletion_protection

  # Global tables copy by the stream; without replicas nobody reads it.
  stream_enabled   = length(var.replica_regions) > 0
  stream_view_type = length(var.replica_regions) > 0 ? "NEW_AND_OLD_IMAGES" : null

  dynamic "attribute" {
    for_each = toset(compact(concat(
      ["pk", each.value.range_key],
      flatten([for index in each.value.indexes : [index.hash, index.range]]),
    )))

    content {
      name = attribute.value
      type = "S"
    }
  }

  dynamic "global_secondary_index" {
    for_each = each.value.indexes

    content {
      name               = global_secondary_index.key
      projection_type    = length(global_secondary_index.value.include) > 0 ? "INCLUDE" : "KEYS_ONLY"
      non_key_attributes = length(global_secondary_index.value.include) > 0 ? global_secondary_index.value.include : null

      key_schema {
        attribute_name = global_secondary_index.value.hash
        key_type       = "HASH"
      }

      key_schema {
        attribute_name = global_secondary_index.value.range
        key_type       = "RANGE"
      }

      dynamic "warm_throughput" {
        for_each = local.warm[global_secondary_index.key]

        content {
          read_units_per_second  = warm_throughput.value.read
          write_units_per_second = warm_throughput.value.write
        }
      }
    }
  }

  dynamic "ttl" {
    for_each = each.value.ttl[*]

    content {
      attribute_name = ttl.value
      enabled        = true
    }
  }

  dynamic "warm_throughput" {
    for_each = local.warm[each.key]

    content {
      read_units_per_second  = warm_throughput.value.read
      write_units_per_second = warm_throughput.value.write
    }
  }

  point_in_time_recovery {
    enabled                 = true
    recovery_period_in_days = var.point_in_time_recovery_days
  }

  # Section 1.1 says "AWS Managed (DynamoDB)", which could also be read as the key that DynamoDB owns; section 6.2 says
  # "AWS managed keys". Enabled without a key of one's own is alias/aws/dynamodb: an AWS managed key, DynamoDB's, so that
  # both sentences hold. Its use is in the account's CloudTrail, and no role needs a permission for it.
  server_side_encryption {
    enabled = true
  }

  dynamic "replica" {
    for_each = var.replica_regions

    content {
      region_name                 = replica.value
      deletion_protection_enabled = local.deletion_protection
      point_in_time_recovery      = true
      propagate_tags              = true
    }
  }

  tags = merge(var.tags, { Table = each.key })

  lifecycle {
    precondition {
      condition = alltrue([
        for name in concat([each.key], keys(each.value.indexes)) :
        local.planned[name].read <= var.table_quota.read_units && local.planned[name].write <= var.table_quota.write_units
      ])
      error_message = "The planned peak asks more of ${local.names[each.key]} or an index of it than the account's quota for one table (${jsonencode({ for name in concat([each.key], keys(each.value.indexes)) : name => local.planned[name] })}). Have the quota raised, then say so in table_quota."
    }

    precondition {
      condition     = !contains(var.replica_regions, data.aws_region.current.region)
      error_message = "${data.aws_region.current.region} is the tables' own region: it can not hold their replica."
    }
  }
}

check "orders_of_one_event" {
  assert {
    condition     = local.planned["event-created-index"].write <= local.partition_write_units
    error_message = "event-created-index takes ${local.partition_write_units} orders a second for one event; at the planned peak there are ${local.planned["event-created-index"].write}, which is fine only if they are of several events."
  }
}

# --- Who never gets in, whatever their own policies say (section 6.3) ---------------------------------------------------

locals {
  # The table itself and each replica has a policy of its own.
  policies = merge([
    for table, name in local.names : {
      for region in setunion([data.aws_region.current.region], var.replica_regions) :
      "${table}/${region}" => {
        region = region
        name   = name
        arn    = "arn:aws:dynamodb:${region}:${data.aws_caller_identity.current.account_id}:table/${name}"
      }
    }
  ]...)
}

resource "aws_dynamodb_resource_policy" "this" {
  for_each = local.policies

  region       = each.value.region
  resource_arn = each.value.arn

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        # DynamoDB's endpoints speak TLS 1.2 and 1.3 only, so this is section 6.2 whole.
        Sid       = "DenyWithoutTls"
        Effect    = "Deny"
        Principal = "*"
        Action    = "dynamodb:*"
        Resource  = [each.value.arn, "${each.value.arn}/index/*"]
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
      {
        # AWS's own services (backup, replication) act for the account without being a principal of it.
        Sid       = "DenyOtherAccounts"
        Effect    = "Deny"
        Principal = "*"
        Action    = "dynamodb:*"
        Resource  = [each.value.arn, "${each.value.arn}/index/*"]
        Condition = {
          StringNotEquals = { "aws:PrincipalAccount" = data.aws_caller_identity.current.account_id }
          Bool            = { "aws:PrincipalIsAWSService" = "false" }
        }
      },
    ]
  })

  # The ARN is put together from names, so that a plan shows the whole policy; the table has to be there first.
  depends_on = [aws_dynamodb_table.this]
}
