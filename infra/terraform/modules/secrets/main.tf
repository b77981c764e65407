data "aws_caller_identity" "current" {}
data "aws_region" "current" {}

locals {
  account = data.aws_caller_identity.current.account_id
}

# The issuer's public keys (section 6.2): who knows them can check tokens, who changes them can make tokens. There is no
# version of it here, and so no value in any state; README.md says how the first one is put.
resource "aws_secretsmanager_secret" "jwks" {
  # checkov:skip=CKV_AWS_149:What it holds is public; who changes it is what matters, and that is the policy's.
  # checkov:skip=CKV2_AWS_57:The keys are the issuer's: when it has new ones they are put here, and no clock knows when.

  name                    = "${var.env}-reservation-jwt-jwks"
  description             = "The keys that tokens are verified with, as a JWKS."
  recovery_window_in_days = var.recovery_window_days
  tags                    = var.tags

  dynamic "replica" {
    for_each = var.replica_regions

    content {
      region = replica.value
    }
  }

  lifecycle {
    precondition {
      condition     = !contains(var.replica_regions, data.aws_region.current.region)
      error_message = "${data.aws_region.current.region} is the secret's own region: it can not hold its replica."
    }
  }
}

resource "aws_secretsmanager_secret_policy" "jwks" {
  secret_arn          = aws_secretsmanager_secret.jwks.arn
  block_public_policy = true

  # Denials alone: who is left still needs a policy of his own that allows it. In a secret's policy `*` is that secret.
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [for statement in [
      {
        Sid       = "DenyOtherReaders"
        Effect    = "Deny"
        Principal = "*"
        Action    = ["secretsmanager:BatchGetSecretValue", "secretsmanager:GetSecretValue"]
        Resource  = "*"
        # Replication reads as well, and is AWS's own.
        Condition = {
          ArnNotEquals = { "aws:PrincipalArn" = sort(var.reader_role_arns) }
          Bool         = { "aws:PrincipalIsAWSService" = "false" }
        }
      },
      {
        Sid       = "DenyOtherWriters"
        Effect    = "Deny"
        Principal = "*"
        # Each of them can change what the current value is.
        Action   = ["secretsmanager:PutSecretValue", "secretsmanager:RotateSecret", "secretsmanager:UpdateSecret", "secretsmanager:UpdateSecretVersionStage"]
        Resource = "*"
        Condition = {
          ArnNotEquals = { "aws:PrincipalArn" = sort(var.writer_role_arns) }
          Bool         = { "aws:PrincipalIsAWSService" = "false" }
        }
      },
      {
        Sid       = "DenyWithoutTls"
        Effect    = "Deny"
        Principal = "*"
        Action    = "secretsmanager:*"
        Resource  = "*"
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
    ] : statement if statement.Sid != "DenyOtherWriters" || length(var.writer_role_arns) > 0]
  })

  lifecycle {
    precondition {
      condition     = alltrue([for arn in setunion(var.reader_role_arns, var.writer_role_arns) : strcontains(arn, "::${local.account}:")])
      error_message = "The keys are read and written by roles of their own account, ${local.account}, only."
    }
  }
}
