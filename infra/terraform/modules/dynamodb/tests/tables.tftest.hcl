# The tables as the document has them. Nothing here reaches AWS: the provider is a mock with the real one's schema.

mock_provider "aws" {
  mock_data "aws_caller_identity" {
    defaults = { account_id = "111122223333" }
  }

  mock_data "aws_region" {
    defaults = { region = "ap-northeast-2" }
  }
}

run "names_and_keys_are_the_documents" {
  command = plan

  assert {
    condition = jsonencode({ for key, table in aws_dynamodb_table.this : key => [table.name, table.hash_key, table.range_key] }) == jsonencode({
      idempotency  = ["traffic-tacos-reservation-idempotency", "pk", null]
      orders       = ["traffic-tacos-reservation-orders", "pk", "sk"]
      outbox       = ["traffic-tacos-reservation-outbox", "pk", "sk"]
      reservations = ["traffic-tacos-reservation-reservations", "pk", "sk"]
    })
    error_message = "Section 1: four tables, keys pk and sk, idempotency with pk alone."
  }

  assert {
    condition = jsonencode({ for key, table in aws_dynamodb_table.this : key => sort([for a in table.attribute : "${a.name}:${a.type}"]) }) == jsonencode({
      idempotency  = ["pk:S"]
      orders       = ["created_at:S", "event_id:S", "pk:S", "sk:S", "user_id:S"]
      outbox       = ["created_at:S", "pk:S", "sk:S", "status:S"]
      reservations = ["created_at:S", "pk:S", "sk:S", "status:S", "user_id:S"]
    })
    error_message = "The keys of tables and indexes are strings, and nothing else is declared."
  }
}

run "every_table_is_on_demand_recoverable_and_encrypted" {
  command = plan

  assert {
    condition     = alltrue([for table in aws_dynamodb_table.this : table.billing_mode == "PAY_PER_REQUEST"])
    error_message = "Section 1: on-demand."
  }

  assert {
    condition     = alltrue([for table in aws_dynamodb_table.this : table.point_in_time_recovery[0].enabled && table.point_in_time_recovery[0].recovery_period_in_days == 35])
    error_message = "Section 8.1: point-in-time recovery for all tables."
  }

  assert {
    condition     = alltrue([for table in aws_dynamodb_table.this : table.server_side_encryption[0].enabled])
    error_message = "Section 6.2: AWS managed keys, which is `enabled`; false is the key that DynamoDB owns."
  }

  assert {
    condition     = alltrue([for table in aws_dynamodb_table.this : !table.stream_enabled && length(table.replica) == 0])
    error_message = "Neither replicas nor streams unless asked for."
  }
}

run "only_idempotency_records_go_by_themselves" {
  command = plan

  assert {
    condition     = jsonencode({ for key, table in aws_dynamodb_table.this : key => [for ttl in table.ttl : ttl.attribute_name if ttl.enabled] }) == jsonencode({ idempotency = ["ttl"], orders = [], outbox = [], reservations = [] })
    error_message = "Section 1.3: TTL on `ttl`, and on no other table."
  }
}

# Applied, against the mock: an index has computed values, so a plan does not know the set of them.
run "indexes_carry_what_the_queries_read_and_no_more" {
  command = apply

  assert {
    condition = jsonencode({ for key, table in aws_dynamodb_table.this : key => { for index in table.global_secondary_index : index.name => [for k in index.key_schema : "${k.key_type} ${k.attribute_name}"] } }) == jsonencode({
      idempotency = {}
      orders = {
        event-created-index = ["HASH event_id", "RANGE created_at"]
        user-created-index  = ["HASH user_id", "RANGE created_at"]
      }
      outbox = { status-created_at-index = ["HASH status", "RANGE created_at"] }
      reservations = {
        status-created-index = ["HASH status", "RANGE created_at"]
        user-status-index    = ["HASH user_id", "RANGE status"]
      }
    })
    error_message = "Section 1: the indexes' names and keys."
  }

  assert {
    condition = jsonencode({ for index in flatten([for table in aws_dynamodb_table.this : tolist(table.global_secondary_index)]) : index.name => [index.projection_type, sort(coalesce(index.non_key_attributes, []))] }) == jsonencode({
      event-created-index     = ["KEYS_ONLY", []]
      status-created-index    = ["INCLUDE", ["hold_expires_at", "intent_order_id"]]
      status-created_at-index = ["INCLUDE", ["next_retry_at", "type"]]
      user-created-index      = ["KEYS_ONLY", []]
      user-status-index       = ["INCLUDE", ["created_at"]]
    })
    error_message = "Section 7.1: only what the queries need."
  }
}

run "production_tables_can_not_be_deleted" {
  command = plan

  assert {
    condition     = alltrue([for table in aws_dynamodb_table.this : table.deletion_protection_enabled])
    error_message = "Section 1.1: enabled for production, which is the default."
  }
}

run "others_can" {
  command = plan

  variables {
    env        = "demo"
    production = false
  }

  assert {
    condition     = alltrue([for key, table in aws_dynamodb_table.this : !table.deletion_protection_enabled && table.name == "demo-reservation-${key}"])
    error_message = "Off outside production; names begin with env."
  }
}

run "protection_may_be_asked_for_by_name" {
  command = plan

  variables {
    production          = false
    deletion_protection = true
  }

  assert {
    condition     = alltrue([for table in aws_dynamodb_table.this : table.deletion_protection_enabled])
    error_message = "deletion_protection has the last word."
  }
}

# Applied, against the mock: a replica has computed values, so a plan does not know the set of them.
run "replicas_are_protected_like_the_table" {
  command = apply

  variables {
    replica_regions = ["ap-northeast-1"]
  }

  assert {
    condition     = alltrue([for table in aws_dynamodb_table.this : table.stream_enabled && table.stream_view_type == "NEW_AND_OLD_IMAGES"])
    error_message = "A global table copies by its stream."
  }

  assert {
    condition     = alltrue([for table in aws_dynamodb_table.this : jsonencode([for replica in table.replica : [replica.region_name, replica.deletion_protection_enabled, replica.point_in_time_recovery, replica.propagate_tags]]) == jsonencode([["ap-northeast-1", true, true, true]])])
    error_message = "A replica is protected, recoverable and tagged like its table."
  }

  assert {
    condition     = length(aws_dynamodb_resource_policy.this) == 8
    error_message = "Each copy has its own policy."
  }

  assert {
    condition     = aws_dynamodb_resource_policy.this["orders/ap-northeast-1"].region == "ap-northeast-1" && aws_dynamodb_resource_policy.this["orders/ap-northeast-1"].resource_arn == "arn:aws:dynamodb:ap-northeast-1:111122223333:table/traffic-tacos-reservation-orders"
    error_message = "A replica's policy is put in the replica's region."
  }
}

run "a_table_is_not_its_own_replica" {
  command = plan

  variables {
    replica_regions = ["ap-northeast-2"]
  }

  expect_failures = [aws_dynamodb_table.this]
}

run "resource_policies_keep_out_plain_text_and_other_accounts" {
  command = plan

  assert {
    condition     = length(aws_dynamodb_resource_policy.this) == 4
    error_message = "Section 6.3: one for each table."
  }

  assert {
    condition = jsondecode(aws_dynamodb_resource_policy.this["reservations/ap-northeast-2"].policy).Statement == jsondecode(<<-EOT
      [
        {
          "Sid": "DenyWithoutTls", "Effect": "Deny", "Principal": "*", "Action": "dynamodb:*",
          "Resource": [
            "arn:aws:dynamodb:ap-northeast-2:111122223333:table/traffic-tacos-reservation-reservations",
            "arn:aws:dynamodb:ap-northeast-2:111122223333:table/traffic-tacos-reservation-reservations/index/*"
          ],
          "Condition": {"Bool": {"aws:SecureTransport": "false"}}
        },
        {
          "Sid": "DenyOtherAccounts", "Effect": "Deny", "Principal": "*", "Action": "dynamodb:*",
          "Resource": [
            "arn:aws:dynamodb:ap-northeast-2:111122223333:table/traffic-tacos-reservation-reservations",
            "arn:aws:dynamodb:ap-northeast-2:111122223333:table/traffic-tacos-reservation-reservations/index/*"
          ],
          "Condition": {
            "StringNotEquals": {"aws:PrincipalAccount": "111122223333"},
            "Bool": {"aws:PrincipalIsAWSService": "false"}
          }
        }
      ]
    EOT
    )
    error_message = "Deny without TLS; deny who is neither of this account nor AWS itself."
  }
}

run "outputs_name_what_others_wire" {
  command = plan

  assert {
    condition = jsonencode(output.service_environment) == jsonencode({
      APP_DYNAMODB_TABLES_IDEMPOTENCY  = "traffic-tacos-reservation-idempotency"
      APP_DYNAMODB_TABLES_ORDERS       = "traffic-tacos-reservation-orders"
      APP_DYNAMODB_TABLES_OUTBOX       = "traffic-tacos-reservation-outbox"
      APP_DYNAMODB_TABLES_RESERVATIONS = "traffic-tacos-reservation-reservations"
    })
    error_message = "Section 5."
  }

  assert {
    condition     = jsonencode(output.tables.outbox) == jsonencode({ name = "traffic-tacos-reservation-outbox", indexes = ["status-created_at-index"] })
    error_message = "The cloudwatch module watches each table and index."
  }
}

run "env_fits_into_every_name" {
  command = plan

  variables {
    env = "an-environment-with-a-name"
  }

  expect_failures = [var.env]
}
