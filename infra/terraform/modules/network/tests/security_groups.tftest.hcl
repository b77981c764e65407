# Who reaches whom. Rules are compared whole: one more is a failure.

mock_provider "aws" {
  mock_data "aws_caller_identity" {
    defaults = { account_id = "111122223333" }
  }

  mock_data "aws_region" {
    defaults = { region = "ap-northeast-2" }
  }

  mock_data "aws_availability_zones" {
    defaults = { names = ["ap-northeast-2a", "ap-northeast-2b"] }
  }

  override_data {
    target = data.aws_ec2_managed_prefix_list.this["dynamodb"]
    values = { id = "pl-dynamodb" }
  }

  override_data {
    target = data.aws_ec2_managed_prefix_list.this["s3"]
    values = { id = "pl-s3" }
  }

  override_resource {
    target = aws_security_group.this["balancer"]
    values = { id = "sg-balancer" }
  }

  override_resource {
    target = aws_security_group.this["service"]
    values = { id = "sg-service" }
  }

  override_resource {
    target = aws_security_group.this["functions"]
    values = { id = "sg-functions" }
  }

  override_resource {
    target = aws_security_group.this["endpoints"]
    values = { id = "sg-endpoints" }
  }
}

run "what_comes_in" {
  command = apply

  assert {
    condition = sort([for rule in aws_vpc_security_group_ingress_rule.this : join(" ", [
      rule.security_group_id, rule.ip_protocol, "${rule.from_port}-${rule.to_port}", try(coalesce(rule.cidr_ipv4, rule.referenced_security_group_id), "nobody"),
      ])]) == sort([
      "sg-balancer tcp 443-443 0.0.0.0/0",
      "sg-balancer tcp 80-80 0.0.0.0/0",
      "sg-service tcp 8080-8080 sg-balancer",
      "sg-endpoints tcp 443-443 sg-service",
      "sg-endpoints tcp 443-443 sg-functions",
    ])
    error_message = "Section 6.1: port 8080 from the balancer only. gRPC is off, and functions are called by nobody."
  }
}

run "what_goes_out" {
  command = apply

  assert {
    condition = sort([for rule in aws_vpc_security_group_egress_rule.this : join(" ", [
      rule.security_group_id, rule.ip_protocol, "${rule.from_port}-${rule.to_port}", try(coalesce(rule.cidr_ipv4, rule.referenced_security_group_id, rule.prefix_list_id), "nobody"),
      ])]) == sort(concat(["sg-balancer tcp 8080-8080 sg-service"], flatten([for group in ["sg-service", "sg-functions"] : [
        "${group} tcp 443-443 sg-endpoints",
        "${group} tcp 443-443 pl-dynamodb",
        "${group} tcp 443-443 pl-s3",
        "${group} tcp 9090-9090 10.20.0.0/16",
        "${group} tcp 4318-4318 10.20.0.0/16",
        "${group} tcp 4317-4317 10.20.0.0/16",
        "${group} tcp 53-53 10.20.0.0/16",
        "${group} udp 53-53 10.20.0.0/16",
    ]])))
    error_message = "HTTPS to AWS, the inventory, the collector, names; endpoints call nobody, and nothing goes to the internet."
  }
}

run "what_is_in_no_group_reaches_nobody" {
  command = apply

  assert {
    condition     = [for group in aws_default_security_group.this : [group.vpc_id == one(values(aws_vpc.this)).id, length(group.ingress), length(group.egress)]] == [[true, 0, 0]]
    error_message = "AWS's own default would let members reach each other, and everybody else."
  }
}

run "with_nat_https_goes_anywhere" {
  command = apply

  variables {
    new_vpc = { nat = "one" }
  }

  assert {
    condition     = join(", ", sort([for rule in aws_vpc_security_group_egress_rule.this : "${rule.security_group_id} ${rule.from_port}" if rule.cidr_ipv4 == "0.0.0.0/0"])) == "sg-functions 443, sg-service 443"
    error_message = "An issuer has no address to name; nothing but HTTPS goes there."
  }
}

run "peers_are_known_by_networks_or_groups" {
  command = apply

  variables {
    peers = {
      inventory = { port = 9443, security_group = { id = "sg-inventory" } }
      payment   = { port = 9091, cidr_blocks = ["10.30.1.0/24", "10.30.2.0/24"] }
    }
    dns_cidr_blocks = ["10.40.0.2/32"]
  }

  assert {
    condition = sort([for rule in aws_vpc_security_group_egress_rule.this : join(" ", [
      rule.ip_protocol, tostring(rule.from_port), try(coalesce(rule.cidr_ipv4, rule.referenced_security_group_id), "nobody"),
      ]) if rule.security_group_id == "sg-service" && rule.from_port != 443]) == sort([
      "tcp 9443 sg-inventory", "tcp 9091 10.30.1.0/24", "tcp 9091 10.30.2.0/24", "tcp 53 10.40.0.2/32", "udp 53 10.40.0.2/32",
    ])
    error_message = "Those, and none of the defaults."
  }
}

run "grpc_is_open_to_gateways_by_name_only" {
  command = apply

  variables {
    grpc_clients = { cidr_blocks = ["10.20.0.0/20"] }
  }

  assert {
    condition = [for rule in aws_vpc_security_group_ingress_rule.this : "${rule.security_group_id} ${rule.from_port} ${rule.cidr_ipv4}" if rule.from_port == 8011] == [
      "sg-service 8011 10.20.0.0/20",
    ]
    error_message = "One rule for each network of gateways."
  }
}

run "grpc_is_never_open_to_everybody" {
  command = plan

  variables {
    grpc_clients = { cidr_blocks = ["0.0.0.0/0"] }
  }

  expect_failures = [var.grpc_clients]
}

run "plain_text_never_goes_anywhere" {
  command = plan

  variables {
    peers = { inventory = { port = 9090, cidr_blocks = ["0.0.0.0/0"] } }
  }

  expect_failures = [var.peers]
}

run "a_peer_is_not_known_twice" {
  command = plan

  variables {
    peers = { inventory = { port = 9090, cidr_blocks = ["10.20.0.0/20"], security_group = { id = "sg-inventory" } } }
  }

  expect_failures = [var.peers]
}

run "an_internal_balancer_for_those_who_are_let_in" {
  command = apply

  variables {
    load_balancer = { internal = true, cidr_blocks = ["10.0.0.0/8"] }
  }

  assert {
    condition     = sort(output.load_balancer.subnet_ids) == sort(output.private_subnet_ids) && output.load_balancer.internal
    error_message = "It is in the private subnets."
  }

  assert {
    condition     = alltrue([for rule in aws_vpc_security_group_ingress_rule.this : rule.cidr_ipv4 == "10.0.0.0/8" if rule.security_group_id == "sg-balancer"])
    error_message = "And reached from there alone."
  }
}

run "somebody_has_to_be_let_in" {
  command = plan

  variables {
    load_balancer = { cidr_blocks = [] }
  }

  expect_failures = [var.load_balancer]
}
