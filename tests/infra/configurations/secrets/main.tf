resource "aws_secretsmanager_secret" "keys" {
  name                    = "dev/reservation/jwks"
  description             = var.changed ? "Changed" : "Keys that sign tokens"
  recovery_window_in_days = 7
  tags                    = { Secret = var.changed ? "changed" : "keys" }
}

resource "aws_secretsmanager_secret_policy" "keys" {
  secret_arn          = aws_secretsmanager_secret.keys.arn
  block_public_policy = true
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = var.changed ? "Changed" : "Read"
      Effect    = "Allow"
      Principal = { AWS = "arn:aws:iam::123456789012:root" }
      Action    = "secretsmanager:GetSecretValue"
      Resource  = "*"
    }]
  })
}

resource "aws_secretsmanager_secret" "prefixed" {
  name_prefix             = var.changed ? "changed-" : "prefixed-"
  recovery_window_in_days = 0
}
