output "jwks" {
  description = "The secret: name, ARN."
  value       = { name = aws_secretsmanager_secret.jwks.name, arn = aws_secretsmanager_secret.jwks.arn }
}

output "service_secrets" {
  description = "What the service is given of it, as the service module takes it."
  value       = { JWT_JWKS = aws_secretsmanager_secret.jwks.arn }
}
