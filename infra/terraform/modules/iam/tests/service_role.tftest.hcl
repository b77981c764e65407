# The service role, against the document's own text. The provider is a mock with the real one's schema.

mock_provider "aws" {
  mock_data "aws_caller_identity" {
    defaults = { account_id = "111122223333" }
  }
}

run "the_policies_are_the_documents_word_for_word" {
  command = plan

  assert {
    condition = jsondecode(aws_iam_policy.service["dynamodb"].policy) == jsondecode(<<-EOT
      {
        "Version": "2012-10-17",
        "Statement": [
          {
            "Effect": "Allow",
            "Action": [
              "dynamodb:GetItem",
              "dynamodb:PutItem",
              "dynamodb:UpdateItem",
              "dynamodb:DeleteItem",
              "dynamodb:Query",
              "dynamodb:Scan",
              "dynamodb:BatchGetItem",
              "dynamodb:BatchWriteItem"
            ],
            "Resource": [
              "arn:aws:dynamodb:ap-northeast-2:*:table/traffic-tacos-reservation-*",
              "arn:aws:dynamodb:ap-northeast-2:*:table/traffic-tacos-reservation-*/index/*"
            ]
          }
        ]
      }
    EOT
    )
    error_message = "Section 3.1, DynamoDB Policy: same actions, same resources, same order, no sid."
  }

  assert {
    condition = jsondecode(aws_iam_policy.service["eventbridge"].policy) == jsondecode(<<-EOT
      {
        "Version": "2012-10-17",
        "Statement": [
          {
            "Effect": "Allow",
            "Action": [
              "events:PutEvents"
            ],
            "Resource": [
              "arn:aws:events:ap-northeast-2:*:event-bus/traffic-tacos-reservation-events"
            ]
          }
        ]
      }
    EOT
    )
    error_message = "Section 3.1, EventBridge Policy."
  }

  assert {
    condition = jsondecode(aws_iam_policy.service["logs"].policy) == jsondecode(<<-EOT
      {
        "Version": "2012-10-17",
        "Statement": [
          {
            "Effect": "Allow",
            "Action": [
              "logs:CreateLogGroup",
              "logs:CreateLogStream",
              "logs:PutLogEvents"
            ],
            "Resource": "arn:aws:logs:ap-northeast-2:*:log-group:/aws/ecs/reservation-api*"
          }
        ]
      }
    EOT
    )
    error_message = "Section 3.1, CloudWatch Logs Policy."
  }
}

run "the_role_has_those_three_policies" {
  command = apply

  override_resource {
    target = aws_iam_policy.service["dynamodb"]
    values = { arn = "arn:aws:iam::111122223333:policy/dynamodb" }
  }

  override_resource {
    target = aws_iam_policy.service["eventbridge"]
    values = { arn = "arn:aws:iam::111122223333:policy/eventbridge" }
  }

  override_resource {
    target = aws_iam_policy.service["logs"]
    values = { arn = "arn:aws:iam::111122223333:policy/logs" }
  }

  assert {
    condition     = aws_iam_role.service.name == "traffic-tacos-reservation-api-service-role"
    error_message = "Section 3.1."
  }

  assert {
    condition = jsonencode({ for key, attachment in aws_iam_role_policy_attachment.service : attachment.policy_arn => attachment.role }) == jsonencode({
      "arn:aws:iam::111122223333:policy/dynamodb"    = "traffic-tacos-reservation-api-service-role"
      "arn:aws:iam::111122223333:policy/eventbridge" = "traffic-tacos-reservation-api-service-role"
      "arn:aws:iam::111122223333:policy/logs"        = "traffic-tacos-reservation-api-service-role"
    })
    error_message = "The three, and nothing more."
  }
}

run "ecs_tasks_of_this_account_take_the_role" {
  command = plan

  assert {
    condition = jsondecode(aws_iam_role.service.assume_role_policy).Statement == jsondecode(<<-EOT
      [{
        "Sid": "EcsTasks",
        "Effect": "Allow",
        "Action": "sts:AssumeRole",
        "Principal": {"Service": "ecs-tasks.amazonaws.com"},
        "Condition": {"StringEquals": {"aws:SourceAccount": "111122223333"}}
      }]
    EOT
    )
    error_message = "ECS, for this account only; and no pod unless its cluster is named."
  }
}

run "one_service_account_of_one_cluster_takes_the_role" {
  command = plan

  variables {
    env                 = "demo"
    ecs_tasks           = false
    eks_service_account = { oidc_provider_arn = "arn:aws:iam::111122223333:oidc-provider/oidc.eks.ap-northeast-2.amazonaws.com/id/EXAMPLED539D4633E53DE1B716D3041E" }
  }

  assert {
    condition = jsondecode(aws_iam_role.service.assume_role_policy).Statement == jsondecode(<<-EOT
      [{
        "Sid": "EksServiceAccount",
        "Effect": "Allow",
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Principal": {"Federated": "arn:aws:iam::111122223333:oidc-provider/oidc.eks.ap-northeast-2.amazonaws.com/id/EXAMPLED539D4633E53DE1B716D3041E"},
        "Condition": {"StringEquals": {
          "oidc.eks.ap-northeast-2.amazonaws.com/id/EXAMPLED539D4633E53DE1B716D3041E:sub": "system:serviceaccount:demo:reservation-api",
          "oidc.eks.ap-northeast-2.amazonaws.com/id/EXAMPLED539D4633E53DE1B716D3041E:aud": "sts.amazonaws.com"
        }}
      }]
    EOT
    )
    error_message = "Subject and audience, both equal and none of them a pattern."
  }

  assert {
    condition     = alltrue([for key, policy in aws_iam_policy.service : policy.name == "demo-reservation-api-${key}"])
    error_message = "Names begin with env."
  }
}

run "both_may_take_it_in_a_region_of_choice" {
  command = plan

  variables {
    region = "eu-central-1"
    eks_service_account = {
      oidc_provider_arn = "arn:aws:iam::111122223333:oidc-provider/oidc.eks.eu-central-1.amazonaws.com/id/A"
      namespace         = "tickets"
      name              = "reservations"
    }
  }

  assert {
    condition     = jsondecode(aws_iam_role.service.assume_role_policy).Statement[*].Sid == ["EcsTasks", "EksServiceAccount"]
    error_message = "Both statements stand beside each other."
  }

  assert {
    condition     = jsondecode(aws_iam_role.service.assume_role_policy).Statement[1].Condition.StringEquals["oidc.eks.eu-central-1.amazonaws.com/id/A:sub"] == "system:serviceaccount:tickets:reservations"
    error_message = "Namespace and name are as given."
  }

  assert {
    condition     = jsondecode(aws_iam_policy.service["eventbridge"].policy).Statement[0].Resource == ["arn:aws:events:eu-central-1:*:event-bus/traffic-tacos-reservation-events"]
    error_message = "The policies name the region of the resources."
  }
}

run "somebody_has_to_take_the_role" {
  command = plan

  variables {
    ecs_tasks = false
  }

  expect_failures = [aws_iam_role.service]
}

run "a_provider_of_another_account_is_refused" {
  command = plan

  variables {
    eks_service_account = { oidc_provider_arn = "arn:aws:iam::999988887777:oidc-provider/oidc.eks.ap-northeast-2.amazonaws.com/id/A" }
  }

  expect_failures = [aws_iam_role.service]
}

run "a_provider_is_no_pattern" {
  command = plan

  variables {
    eks_service_account = { oidc_provider_arn = "arn:aws:iam::111122223333:oidc-provider/*" }
  }

  expect_failures = [var.eks_service_account]
}

run "a_service_account_is_no_pattern" {
  command = plan

  variables {
    eks_service_account = { oidc_provider_arn = "arn:aws:iam::111122223333:oidc-provider/oidc.eks.ap-northeast-2.amazonaws.com/id/A", name = "*" }
  }

  expect_failures = [var.eks_service_account]
}

run "a_namespace_is_no_pattern" {
  command = plan

  variables {
    eks_service_account = { oidc_provider_arn = "arn:aws:iam::111122223333:oidc-provider/oidc.eks.ap-northeast-2.amazonaws.com/id/A", namespace = "*" }
  }

  expect_failures = [var.eks_service_account]
}

run "a_boundary_binds_every_role" {
  command = plan

  variables {
    permissions_boundary_arn = "arn:aws:iam::111122223333:policy/boundary"
  }

  assert {
    condition     = alltrue([for role in concat([aws_iam_role.service], values(aws_iam_role.function)) : role.permissions_boundary == "arn:aws:iam::111122223333:policy/boundary"])
    error_message = "None is left out."
  }
}

run "env_fits_into_every_name" {
  command = plan

  variables {
    env = "an-environment-with-a-name"
  }

  expect_failures = [var.env]
}
