# Warm throughput, derived from the planned peak.

mock_provider "aws" {
  mock_data "aws_caller_identity" {
    defaults = { account_id = "111122223333" }
  }

  mock_data "aws_region" {
    defaults = { region = "ap-northeast-2" }
  }
}

run "without_a_plan_tables_are_as_new" {
  command = plan

  assert {
    condition     = alltrue([for table in aws_dynamodb_table.this : length(table.warm_throughput) == 0])
    error_message = "No plan, no warm throughput."
  }

  assert {
    condition     = output.status_shards == 1
    error_message = "One shard keeps the plain word."
  }
}

run "a_plan_that_a_new_table_stands_asks_for_nothing" {
  command = plan

  variables {
    planned_requests_per_second = 1000
    request_mix                 = { hold = 15, refused_hold = 35, confirm = 8, cancel = 1, extend = 1, get = 30, list = 2 }
  }

  assert {
    condition     = alltrue([for table in aws_dynamodb_table.this : length(table.warm_throughput) == 0])
    error_message = "Up to 4,000 writes and 12,000 reads a second need no warming."
  }

  # hold 150, confirm 80, cancel 10, extend 10, expire 60; twice for being in transactions.
  assert {
    condition     = output.planned_units.reservations.write == 2 * (150 + 2 * 80 + 10 + 10 + 60)
    error_message = "A reservation is written once by each request, twice by a confirm."
  }

  # Rows put by transactions twice, those deleted by the relay once.
  assert {
    condition     = output.planned_units.outbox.write == 2 * (150 + 3 * 80 + 2 * 10 + 2 * 60) + (150 + 80 + 2 * 10 + 2 * 60)
    error_message = "The outbox counts puts, transactional deletes and the relay's deletes."
  }

  # A confirm's answer has the order in it as well, and passes 1 KB.
  assert {
    condition     = output.planned_units.idempotency.write == 2 * (150 + 80 + 2 * 80 + 10 + 10)
    error_message = "A record is put by each command, twice by a confirm."
  }

  assert {
    condition     = output.planned_units.status-created_at-index.write == 2 * 150 + 4 * (80 + 10 + 60)
    error_message = "Each pending row comes into its index and leaves it."
  }

  # 80 + 10 + 10 commands, 60 expired, 300 gets, 20 lists of 20.
  assert {
    condition     = output.planned_units.reservations.read == 80 + 10 + 10 + 60 + 300 + 400
    error_message = "Commands read what they change."
  }

  assert {
    condition     = output.planned_units.idempotency.read == 350
    error_message = "A refusal looks for the record of its key."
  }
}

run "the_documents_peak_warms_what_needs_it" {
  command = plan

  variables {
    planned_requests_per_second = 30000
    table_quota                 = { write_units = 100000 }
  }

  expect_failures = [check.orders_of_one_event]

  # hold 6000, confirm 2100, cancel 900, expire 3000, get 21000
  assert {
    condition     = jsonencode({ for key, table in aws_dynamodb_table.this : key => [for warm in table.warm_throughput : [warm.read_units_per_second, warm.write_units_per_second]] }) == jsonencode({ idempotency = [[12000, 26400]], orders = [[12000, 8400]], outbox = [[12000, 56100]], reservations = [[27000, 28200]] })
    error_message = "Both numbers, the lesser at what a new table has."
  }

  # PENDING takes 36,000 writes a second, a shard four fifths of a thousand.
  assert {
    condition     = output.planned_units.status-created_at-index.write == 36000 && output.status_shards == 45
    error_message = "1,000 writes a second for one key of an index."
  }
}

run "the_lesser_number_is_a_new_tables" {
  command = plan

  variables {
    planned_requests_per_second = 20000
    request_mix                 = { hold = 0, confirm = 0, cancel = 0, get = 100 }
  }

  assert {
    condition     = aws_dynamodb_table.this["reservations"].warm_throughput[0].read_units_per_second == 20000 && aws_dynamodb_table.this["reservations"].warm_throughput[0].write_units_per_second == 4000
    error_message = "DynamoDB takes no less than a new table has."
  }
}

run "indexes_are_warmed_like_tables" {
  command = apply

  variables {
    planned_requests_per_second = 30000
    table_quota                 = { write_units = 100000 }
  }

  expect_failures = [check.orders_of_one_event]

  assert {
    condition = jsonencode({ for index in flatten([for table in aws_dynamodb_table.this : tolist(table.global_secondary_index)]) : index.name => [for warm in index.warm_throughput : [warm.read_units_per_second, warm.write_units_per_second]] }) == jsonencode({
      event-created-index     = []
      status-created-index    = [[12000, 20100]]
      status-created_at-index = [[12000, 36000]]
      user-created-index      = []
      user-status-index       = [[12000, 18000]]
    })
    error_message = "An index that can not follow pushes back on its table."
  }
}

run "a_plan_beyond_the_quota_fails_before_AWS_refuses_it" {
  command = plan

  variables {
    planned_requests_per_second = 30000
  }

  expect_failures = [aws_dynamodb_table.this, check.orders_of_one_event]
}

run "more_seats_make_larger_rows" {
  command = plan

  variables {
    planned_requests_per_second = 1000
    seats_per_reservation       = 10
  }

  # hold 200, confirm 70, cancel 30: answers with ten seats pass 1 KB, a confirm's with its order 3 KB.
  assert {
    condition     = output.planned_units.idempotency.write == 2 * 2 * (200 + 30) + 2 * (1 + 4) * 70
    error_message = "Records grow with the seats."
  }
}

run "a_reservation_has_one_to_ten_seats" {
  command = plan

  variables {
    seats_per_reservation = 11
  }

  expect_failures = [var.seats_per_reservation]
}

run "a_plan_beyond_all_shards_is_said" {
  command = plan

  variables {
    planned_requests_per_second = 200000
    table_quota                 = { read_units = 1000000, write_units = 1000000 }
  }

  expect_failures = [output.status_shards, check.orders_of_one_event]
}

run "a_hold_ends_once" {
  command = plan

  variables {
    request_mix = { hold = 10, confirm = 9, cancel = 2, get = 0 }
  }

  expect_failures = [var.request_mix]
}

run "shares_add_up_to_one_at_most" {
  command = plan

  variables {
    request_mix = { hold = 50, get = 60 }
  }

  expect_failures = [var.request_mix]
}
