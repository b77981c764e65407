# The keys, and who never reads or writes them. The provider is a mock with the real one's schema.

mock_provider "aws" {
  mock_data "aws_caller_identity" {
    defaults = { account_id = "111122223333" }
  }

  mock_data "aws_region" {
    defaults = { region = "ap-northeast-2" }
  }
}

variables {
  reader_role_arns = ["arn:aws:iam::111122223333:role/traffic-tacos-reservation-api-execution-role"]
}

run "the_execution_role_alone_reads" {
  command = plan

  assert {
    condition = jsondecode(aws_secretsmanager_secret_policy.jwks.policy).Statement == jsondecode(<<-EOT
      [
        {
          "Sid": "DenyOtherReaders",
          "Effect": "Deny",
          "Principal": "*",
          "Action": ["secretsmanager:BatchGetSecretValue", "secretsmanager:GetSecretValue"],
          "Resource": "*",
          "Condition": {
            "ArnNotEquals": {"aws:PrincipalArn": ["arn:aws:iam::111122223333:role/traffic-tacos-reservation-api-execution-role"]},
            "Bool": {"aws:PrincipalIsAWSService": "false"}
          }
        },
        {
          "Sid": "DenyWithoutTls",
          "Effect": "Deny",
          "Principal": "*",
          "Action": "secretsmanager:*",
          "Resource": "*",
          "Condition": {"Bool": {"aws:SecureTransport": "false"}}
        }
      ]
    EOT
    )
    error_message = "Everybody else is denied, by TLS or without."
  }

  assert {
    condition     = aws_secretsmanager_secret_policy.jwks.block_public_policy
    error_message = "Secrets Manager checks it too."
  }

  assert {
    condition     = aws_secretsmanager_secret.jwks.name == "traffic-tacos-reservation-jwt-jwks" && aws_secretsmanager_secret.jwks.kms_key_id == null
    error_message = "Under the env's name, which the endpoint lets through, with an AWS managed key (section 6.2)."
  }

  assert {
    condition     = aws_secretsmanager_secret.jwks.recovery_window_in_days == 30 && length(aws_secretsmanager_secret.jwks.replica) == 0
    error_message = "It can be had back for a month."
  }
}

run "the_service_gets_it_by_its_name" {
  command = apply

  override_resource {
    target = aws_secretsmanager_secret.jwks
    values = { arn = "arn:aws:secretsmanager:ap-northeast-2:111122223333:secret:traffic-tacos-reservation-jwt-jwks-AbCdEf" }
  }

  assert {
    condition     = output.service_secrets == { JWT_JWKS = "arn:aws:secretsmanager:ap-northeast-2:111122223333:secret:traffic-tacos-reservation-jwt-jwks-AbCdEf" }
    error_message = "As JWT_JWKS."
  }

  assert {
    condition     = aws_secretsmanager_secret_policy.jwks.secret_arn == output.jwks.arn
    error_message = "The policy is this secret's."
  }
}

run "writers_are_few_when_they_are_named" {
  command = plan

  variables {
    writer_role_arns = ["arn:aws:iam::111122223333:role/key-ceremony"]
  }

  assert {
    condition = jsondecode(aws_secretsmanager_secret_policy.jwks.policy).Statement[1] == jsondecode(<<-EOT
      {
        "Sid": "DenyOtherWriters",
        "Effect": "Deny",
        "Principal": "*",
        "Action": ["secretsmanager:PutSecretValue", "secretsmanager:RotateSecret", "secretsmanager:UpdateSecret", "secretsmanager:UpdateSecretVersionStage"],
        "Resource": "*",
        "Condition": {
          "ArnNotEquals": {"aws:PrincipalArn": ["arn:aws:iam::111122223333:role/key-ceremony"]},
          "Bool": {"aws:PrincipalIsAWSService": "false"}
        }
      }
    EOT
    )
    error_message = "Whoever changes keys can make tokens."
  }
}

run "copies_to_move_to" {
  command = plan

  variables {
    env             = "demo"
    replica_regions = ["ap-northeast-1"]
  }

  assert {
    condition     = one(aws_secretsmanager_secret.jwks.replica).region == "ap-northeast-1" && aws_secretsmanager_secret.jwks.name == "demo-reservation-jwt-jwks"
    error_message = "In the other region."
  }
}

run "a_region_holds_no_copy_of_its_own" {
  command = plan

  variables {
    replica_regions = ["ap-northeast-2"]
  }

  expect_failures = [aws_secretsmanager_secret.jwks]
}

run "roles_of_other_accounts_are_refused" {
  command = plan

  variables {
    writer_role_arns = ["arn:aws:iam::999988887777:role/key-ceremony"]
  }

  expect_failures = [aws_secretsmanager_secret_policy.jwks]
}

run "nobody_reads_by_pattern" {
  command = plan

  variables {
    reader_role_arns = ["arn:aws:iam::111122223333:role/*"]
  }

  expect_failures = [var.reader_role_arns]
}

run "nobody_writes_by_pattern" {
  command = plan

  variables {
    writer_role_arns = ["arn:aws:iam::111122223333:root"]
  }

  expect_failures = [var.writer_role_arns]
}

run "a_window_is_one_that_aws_knows" {
  command = plan

  variables {
    recovery_window_days = 3
  }

  expect_failures = [var.recovery_window_days]
}
