output "vpc" {
  description = "The VPC."
  value       = { id = local.vpc_id, cidr_block = local.vpc_cidr_block }
}

output "private_subnet_ids" {
  description = "Where tasks and functions run."
  value       = local.private_subnet_ids
}

output "security_group_ids" {
  description = "By balancer, service, functions, endpoints."
  value       = { for name, group in aws_security_group.this : name => group.id }

  # Who starts before the ways are open fails.
  depends_on = [
    aws_route.nat,
    aws_route_table_association.private,
    aws_vpc_endpoint.gateway,
    aws_vpc_endpoint.interface,
    aws_vpc_security_group_egress_rule.this,
    aws_vpc_security_group_ingress_rule.this,
  ]
}

output "load_balancer" {
  description = "Where the load balancer is, as the service module takes it."
  value = {
    internal   = var.load_balancer.internal
    subnet_ids = var.load_balancer.internal ? local.private_subnet_ids : local.public_subnet_ids
  }

  # A balancer that the internet reaches is refused before there is a way to it.
  depends_on = [aws_route.internet]
}

output "reaches_internet" {
  description = "Whether private subnets reach the internet, and so an issuer that is asked for its keys."
  value       = local.reaches_internet
}

output "nat_addresses" {
  description = "The addresses that others see, for their allow lists."
  value       = [for address in aws_eip.nat : address.public_ip]
}
