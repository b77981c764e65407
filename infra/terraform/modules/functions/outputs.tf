output "event_processor" {
  description = "The event processor, as the eventbridge module takes it."
  value       = { arn = aws_lambda_function.this["event_processor"].arn }
}

output "expiry" {
  description = "The expiry function, as the eventbridge module takes it."
  value       = { arn = aws_lambda_function.this["expiry"].arn }
}
