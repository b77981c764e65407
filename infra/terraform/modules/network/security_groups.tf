# One group for each part, and one rule for each sentence. A group of Terraform's has no rule that is not here, not even
# the open egress that AWS gives to new ones.

locals {
  groups = {
    balancer  = "The load balancer of the reservation API"
    service   = "Tasks of the reservation API"
    functions = "Lambda functions of the reservation API"
    endpoints = "Interface endpoints for the reservation API"
  }

  port  = 8080
  https = 443
  dns   = 53

  ingress = merge(
    { for block in var.load_balancer.cidr_blocks : "balancer/https/${block}" => { group = "balancer", description = "HTTPS", port = local.https, cidr = block, from = null } },
    { for block in var.load_balancer.cidr_blocks : "balancer/http/${block}" => { group = "balancer", description = "HTTP, to be sent to HTTPS", port = 80, cidr = block, from = null } },
    { "service/http" = { group = "service", description = "HTTP from the load balancer alone (section 6.1)", port = local.port, cidr = null, from = "balancer" } },
    { for block in var.grpc_clients == null ? [] : var.grpc_clients.cidr_blocks : "service/grpc/${block}" => { group = "service", description = "gRPC from gateways", port = var.grpc_clients.port, cidr = block, from = null } },
    { for client in local.clients : "endpoints/https/${client}" => { group = "endpoints", description = "HTTPS from ${client}", port = local.https, cidr = null, from = client } },
  )

  clients = ["service", "functions"]

  # Where both go, once for each: networks by `cidr`, security groups by `to`, AWS's services by `prefix_list`.
  destinations = merge(
    { "https/endpoints" = { description = "HTTPS to AWS by interface endpoints", port = local.https, to = aws_security_group.this["endpoints"].id } },
    { for service, list in data.aws_ec2_managed_prefix_list.this : "https/${service}" => { description = "HTTPS to ${service} by its gateway endpoint", port = local.https, prefix_list = list.id } },
    # The issuer has no address that a rule could name, nor has AWS where there is no endpoint.
    { for way in local.reaches_internet ? ["internet"] : [] : "https/${way}" => { description = "HTTPS to the issuer, and to AWS without endpoints", port = local.https, cidr = "0.0.0.0/0" } },
    { for name, peer in var.peers : name => { description = "To ${name}", port = peer.port, to = peer.security_group.id } if peer.security_group != null },
    merge([for name, peer in var.peers : {
      for block in coalesce(peer.cidr_blocks, [local.vpc_cidr_block]) : "${name}/${block}" => { description = "To ${name}", port = peer.port, cidr = block }
    } if peer.security_group == null]...),
    merge([for block in coalesce(var.dns_cidr_blocks, [local.vpc_cidr_block]) : {
      for protocol in ["tcp", "udp"] : "dns-${protocol}/${block}" => { description = "Names", port = local.dns, cidr = block, protocol = protocol }
    }]...),
  )

  egress = merge(
    { "balancer/service" = { group = "balancer", description = "HTTP to the service", port = local.port, to = aws_security_group.this["service"].id } },
    merge([for client in local.clients : {
      for name, destination in local.destinations : "${client}/${name}" => merge(destination, { group = client })
    }]...),
  )
}

# By their names, so that a plan knows them, and so that they are there for endpoints which others made.
data "aws_ec2_managed_prefix_list" "this" {
  for_each = toset(["dynamodb", "s3"])

  name = "com.amazonaws.${local.region}.${each.key}"
}

resource "aws_security_group" "this" {
  # checkov:skip=CKV2_AWS_5:They are attached in other modules, to balancer, tasks, functions and endpoints.

  for_each = local.groups

  name        = "${local.prefix}-${each.key}"
  description = each.value
  vpc_id      = local.vpc_id
  tags        = merge(var.tags, { Name = "${local.prefix}-${each.key}" })
}

# What AWS gives to a new VPC: in it would be whatever is started without a group. Nobody in it reaches anybody.
resource "aws_default_security_group" "this" {
  for_each = aws_vpc.this

  vpc_id = each.value.id
  tags   = merge(var.tags, { Name = "${local.prefix}-nobody" })
}

resource "aws_vpc_security_group_ingress_rule" "this" {
  for_each = local.ingress

  security_group_id            = aws_security_group.this[each.value.group].id
  description                  = each.value.description
  ip_protocol                  = "tcp"
  from_port                    = each.value.port
  to_port                      = each.value.port
  cidr_ipv4                    = each.value.cidr
  referenced_security_group_id = each.value.from == null ? null : aws_security_group.this[each.value.from].id
  tags                         = var.tags
}

resource "aws_vpc_security_group_egress_rule" "this" {
  for_each = local.egress

  security_group_id            = aws_security_group.this[each.value.group].id
  description                  = each.value.description
  ip_protocol                  = try(each.value.protocol, "tcp")
  from_port                    = each.value.port
  to_port                      = each.value.port
  cidr_ipv4                    = try(each.value.cidr, null)
  prefix_list_id               = try(each.value.prefix_list, null)
  referenced_security_group_id = try(each.value.to, null)
  tags                         = var.tags
}
