# The functions' roles: each action on the resources that it is for. The provider is a mock.

mock_provider "aws" {
  mock_data "aws_caller_identity" {
    defaults = { account_id = "111122223333" }
  }
}

run "lambda_of_this_account_takes_the_roles" {
  command = plan

  assert {
    condition     = jsonencode({ for key, role in aws_iam_role.function : key => role.name }) == jsonencode({ event_processor = "traffic-tacos-reservation-event-processor-role", expiry = "traffic-tacos-reservation-expiry-role" })
    error_message = "Section 3.2 names the first."
  }

  assert {
    condition = alltrue([for role in aws_iam_role.function : jsondecode(role.assume_role_policy).Statement == jsondecode(<<-EOT
      [{
        "Sid": "RunningCode",
        "Effect": "Allow",
        "Action": "sts:AssumeRole",
        "Principal": {"Service": ["lambda.amazonaws.com"]},
        "Condition": {"StringEquals": {"aws:SourceAccount": "111122223333"}}
      }]
    EOT
    )])
    error_message = "Lambda, for this account only."
  }
}

run "the_event_processor_reads_the_bus_and_writes_dead_letters_and_logs" {
  command = plan

  variables {
    functions_in_vpc = false
  }

  assert {
    condition = jsondecode(aws_iam_role_policy.function["event_processor"].policy).Statement == jsondecode(<<-EOT
      [
        {
          "Sid": "ReadTheBusAndItsRules",
          "Effect": "Allow",
          "Action": ["events:DescribeEventBus", "events:DescribeRule", "events:ListTargetsByRule"],
          "Resource": [
            "arn:aws:events:ap-northeast-2:111122223333:event-bus/traffic-tacos-reservation-events",
            "arn:aws:events:ap-northeast-2:111122223333:rule/traffic-tacos-reservation-events/traffic-tacos-reservation-created",
            "arn:aws:events:ap-northeast-2:111122223333:rule/traffic-tacos-reservation-events/traffic-tacos-reservation-status-changed"
          ]
        },
        {
          "Sid": "WriteDeadLetters",
          "Effect": "Allow",
          "Action": ["sqs:SendMessage"],
          "Resource": "arn:aws:sqs:ap-northeast-2:111122223333:traffic-tacos-reservation-events-dlq"
        },
        {
          "Sid": "WriteLogs",
          "Effect": "Allow",
          "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
          "Resource": "arn:aws:logs:ap-northeast-2:111122223333:log-group:/aws/lambda/traffic-tacos-reservation-event-processor:*"
        }
      ]
    EOT
    )
    error_message = "Section 3.2: read from EventBridge, write to the DLQ, logs."
  }
}

run "a_consumer_on_ecs_takes_from_the_queue_and_needs_no_interfaces" {
  command = plan

  variables {
    event_processor = { runs_on = ["ecs"] }
  }

  assert {
    condition     = jsondecode(aws_iam_role.function["event_processor"].assume_role_policy).Statement[0].Principal == { Service = ["ecs-tasks.amazonaws.com"] }
    error_message = "ECS alone takes the role."
  }

  assert {
    condition     = jsondecode(aws_iam_role_policy.function["event_processor"].policy).Statement[*].Sid == ["ReadTheBusAndItsRules", "WriteDeadLetters", "TakeEventsFromTheQueue", "WriteLogs"]
    error_message = "ECS attaches tasks to the network by a role of its own."
  }

  assert {
    condition = jsondecode(aws_iam_role_policy.function["event_processor"].policy).Statement[2] == jsondecode(<<-EOT
      {
        "Sid": "TakeEventsFromTheQueue",
        "Effect": "Allow",
        "Action": ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:GetQueueUrl"],
        "Resource": "arn:aws:sqs:ap-northeast-2:111122223333:traffic-tacos-reservation-events-queue"
      }
    EOT
    )
    error_message = "From that queue, and not from the dead letters."
  }
}

run "a_function_may_take_from_the_queue_too" {
  command = plan

  variables {
    event_processor  = { takes_from_queue = true }
    functions_in_vpc = false
  }

  assert {
    condition     = jsondecode(aws_iam_role_policy.function["event_processor"].policy).Statement[*].Sid == ["ReadTheBusAndItsRules", "WriteDeadLetters", "TakeEventsFromTheQueue", "WriteLogs"]
    error_message = "Lambda reads a queue with the function's role."
  }
}

run "a_processor_runs_somewhere_known" {
  command = plan

  variables {
    event_processor = { runs_on = ["ec2"] }
  }

  expect_failures = [var.event_processor]
}

run "expire_finds_reads_and_moves_holds_in_transactions_only" {
  command = plan

  variables {
    functions_in_vpc = false
    expiry           = { relays = false }
  }

  assert {
    condition = jsondecode(aws_iam_role_policy.function["expiry"].policy).Statement == jsondecode(<<-EOT
      [
        {
          "Sid": "FindDueHolds",
          "Effect": "Allow",
          "Action": ["dynamodb:Query"],
          "Resource": "arn:aws:dynamodb:ap-northeast-2:111122223333:table/traffic-tacos-reservation-reservations/index/status-created-index"
        },
        {
          "Sid": "ReadDueHolds",
          "Effect": "Allow",
          "Action": ["dynamodb:BatchGetItem"],
          "Resource": "arn:aws:dynamodb:ap-northeast-2:111122223333:table/traffic-tacos-reservation-reservations"
        },
        {
          "Sid": "ExpireInTransactions",
          "Effect": "Allow",
          "Action": ["dynamodb:PutItem", "dynamodb:UpdateItem"],
          "Resource": [
            "arn:aws:dynamodb:ap-northeast-2:111122223333:table/traffic-tacos-reservation-reservations",
            "arn:aws:dynamodb:ap-northeast-2:111122223333:table/traffic-tacos-reservation-outbox"
          ],
          "Condition": {"ForAnyValue:StringEquals": {"dynamodb:EnclosingOperation": ["TransactWriteItems"]}}
        },
        {
          "Sid": "WriteLogs",
          "Effect": "Allow",
          "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
          "Resource": "arn:aws:logs:ap-northeast-2:111122223333:log-group:/aws/lambda/traffic-tacos-reservation-expiry:*"
        }
      ]
    EOT
    )
    error_message = "What `Expire` does, and no more."
  }
}

run "expire_also_carries_out_what_it_left_in_the_outbox" {
  command = plan

  assert {
    condition = [for statement in jsondecode(aws_iam_role_policy.function["expiry"].policy).Statement : statement if contains(["PublishWhatExpired", "DeleteWhatIsDone"], statement.Sid)] == jsondecode(<<-EOT
      [
        {
          "Sid": "PublishWhatExpired",
          "Effect": "Allow",
          "Action": ["events:PutEvents"],
          "Resource": "arn:aws:events:ap-northeast-2:111122223333:event-bus/traffic-tacos-reservation-events"
        },
        {
          "Sid": "DeleteWhatIsDone",
          "Effect": "Allow",
          "Action": ["dynamodb:DeleteItem", "dynamodb:BatchWriteItem"],
          "Resource": "arn:aws:dynamodb:ap-northeast-2:111122223333:table/traffic-tacos-reservation-outbox"
        }
      ]
    EOT
    )
    error_message = "Publish, then delete the rows that are done; of the outbox only."
  }
}

run "in_a_vpc_lambda_gets_interfaces_and_the_function_does_not" {
  command = plan

  variables {
    expiry = { function_name = "expire-holds" }
  }

  assert {
    condition = alltrue([for function in ["event_processor", "expiry"] : [
      for statement in jsondecode(aws_iam_role_policy.function[function].policy).Statement : [statement.Effect, length(statement.Action)] if statement.Resource == "*"
    ] == [["Allow", 6], ["Deny", 6]]])
    error_message = "Allowed, then denied again to the function's own code."
  }

  assert {
    condition = [for statement in jsondecode(aws_iam_role_policy.function["expiry"].policy).Statement : statement if statement.Sid == "ButNotTheFunctionItself"][0].Condition == {
      ArnEquals = { "lambda:SourceFunctionArn" = "arn:aws:lambda:ap-northeast-2:111122223333:function:expire-holds" }
    }
    error_message = "The function is known by its ARN."
  }

  assert {
    condition     = output.function_roles["expiry"].function_name == "expire-holds" && output.function_roles["event_processor"].function_name == "traffic-tacos-reservation-event-processor"
    error_message = "Whoever makes the functions reads their names here."
  }
}

run "nothing_is_allowed_by_pattern" {
  command = plan

  assert {
    condition = alltrue(flatten([for policy in aws_iam_role_policy.function : [
      for statement in jsondecode(policy.policy).Statement : [
        [for action in statement.Action : !strcontains(action, "*")],
        # Streams of a log group have names of Lambda's choice, and EC2 has no resources for interfaces.
        [for resource in flatten([statement.Resource]) : !strcontains(trimsuffix(resource, ":*"), "*") || contains(["LetLambdaAttachToTheVpc", "ButNotTheFunctionItself"], statement.Sid)],
      ]
    ]]))
    error_message = "Every action and resource is named whole."
  }
}
