# The VPC and its endpoints. The provider is a mock with the real one's schema.

mock_provider "aws" {
  mock_data "aws_caller_identity" {
    defaults = { account_id = "111122223333" }
  }

  mock_data "aws_region" {
    defaults = { region = "ap-northeast-2" }
  }

  mock_data "aws_availability_zones" {
    defaults = { names = ["ap-northeast-2a", "ap-northeast-2b", "ap-northeast-2c", "ap-northeast-2d"] }
  }
}

run "by_itself_a_vpc_of_two_zones_without_a_way_to_the_internet" {
  command = apply

  assert {
    condition = jsonencode({ for zone, subnet in aws_subnet.private : zone => [subnet.cidr_block, subnet.availability_zone] }) == jsonencode({
      ap-northeast-2a = ["10.20.0.0/20", "ap-northeast-2a"]
      ap-northeast-2b = ["10.20.16.0/20", "ap-northeast-2b"]
    })
    error_message = "Private subnets, one in each zone."
  }

  assert {
    condition     = jsonencode([for subnet in aws_subnet.public : [subnet.cidr_block, subnet.map_public_ip_on_launch]]) == jsonencode([["10.20.240.0/24", false], ["10.20.241.0/24", false]])
    error_message = "Public subnets at the end of the network, where nothing gets an address by itself."
  }

  assert {
    condition     = length(aws_nat_gateway.this) == 0 && length(aws_route.nat) == 0 && !output.reaches_internet
    error_message = "Endpoints do; NAT is asked for by name."
  }

  assert {
    condition     = length(aws_route_table.private) == 2 && alltrue([for zone, it in aws_route_table_association.private : it.route_table_id == aws_route_table.private[zone].id && it.subnet_id == aws_subnet.private[zone].id])
    error_message = "Each private subnet has a route table without a default route."
  }

  assert {
    condition     = one(values(aws_route.internet)).route_table_id == one(values(aws_route_table.public)).id && alltrue([for it in aws_route_table_association.public : it.route_table_id == one(values(aws_route_table.public)).id])
    error_message = "Only public subnets have the internet gateway."
  }

  assert {
    condition     = one(values(aws_vpc.this)).enable_dns_hostnames && one(values(aws_vpc.this)).enable_dns_support
    error_message = "Without them no endpoint answers to its service's name."
  }

  assert {
    condition     = sort(output.load_balancer.subnet_ids) == sort([for subnet in aws_subnet.public : subnet.id]) && !output.load_balancer.internal
    error_message = "The balancer is where the internet reaches it."
  }

  assert {
    condition     = sort(output.private_subnet_ids) == sort([for subnet in aws_subnet.private : subnet.id])
    error_message = "Tasks are in private subnets (section 6.1)."
  }
}

run "endpoints_for_all_that_the_service_needs" {
  command = apply

  assert {
    condition     = join(" ", sort([for it in aws_vpc_endpoint.gateway : it.service_name])) == "com.amazonaws.ap-northeast-2.dynamodb com.amazonaws.ap-northeast-2.s3"
    error_message = "DynamoDB (section 6.1), and S3 for the layers of images."
  }

  assert {
    condition     = alltrue([for it in aws_vpc_endpoint.gateway : sort(it.route_table_ids) == sort([for table in aws_route_table.private : table.id])])
    error_message = "In each private route table."
  }

  assert {
    condition     = join(" ", sort([for it in aws_vpc_endpoint.interface : trimprefix(it.service_name, "com.amazonaws.ap-northeast-2.")])) == "ecr.api ecr.dkr events logs secretsmanager sqs"
    error_message = "EventBridge (section 6.1), and what tasks need to start and to log."
  }

  assert {
    condition     = alltrue([for it in aws_vpc_endpoint.interface : it.private_dns_enabled && sort(it.subnet_ids) == sort(output.private_subnet_ids) && one(it.security_group_ids) == output.security_group_ids.endpoints])
    error_message = "By the services' own names, in every zone, behind the endpoints' group."
  }
}

run "endpoints_let_through_this_environment_alone" {
  command = plan

  assert {
    condition = jsondecode(aws_vpc_endpoint.gateway["dynamodb"].policy).Statement == jsondecode(<<-EOT
      [{
        "Sid": "TablesOfThisEnvironment",
        "Effect": "Allow",
        "Principal": "*",
        "Action": [
          "dynamodb:BatchGetItem", "dynamodb:BatchWriteItem", "dynamodb:DeleteItem", "dynamodb:GetItem",
          "dynamodb:PutItem", "dynamodb:Query", "dynamodb:Scan", "dynamodb:UpdateItem",
          "dynamodb:CreateBackup", "dynamodb:DescribeBackup", "dynamodb:DescribeContinuousBackups", "dynamodb:DescribeTable", "dynamodb:DescribeTimeToLive"
        ],
        "Resource": "arn:aws:dynamodb:ap-northeast-2:111122223333:table/traffic-tacos-reservation-*",
        "Condition": {"StringEquals": {"aws:PrincipalAccount": "111122223333"}}
      }]
    EOT
    )
    error_message = "The env's tables, for roles of this account."
  }

  assert {
    condition = jsondecode(aws_vpc_endpoint.interface["events"].policy).Statement == jsondecode(<<-EOT
      [
        {
          "Sid": "PutEvents",
          "Effect": "Allow",
          "Principal": "*",
          "Action": "events:PutEvents",
          "Resource": "arn:aws:events:ap-northeast-2:111122223333:event-bus/traffic-tacos-reservation-events",
          "Condition": {"StringEquals": {"aws:PrincipalAccount": "111122223333"}}
        },
        {
          "Sid": "ReadTheBusAndItsRules",
          "Effect": "Allow",
          "Principal": "*",
          "Action": ["events:DescribeEventBus", "events:DescribeRule", "events:ListTargetsByRule"],
          "Resource": [
            "arn:aws:events:ap-northeast-2:111122223333:event-bus/traffic-tacos-reservation-events",
            "arn:aws:events:ap-northeast-2:111122223333:rule/traffic-tacos-reservation-events/*"
          ],
          "Condition": {"StringEquals": {"aws:PrincipalAccount": "111122223333"}}
        }
      ]
    EOT
    )
    error_message = "The env's bus, and what the event processor's role may look at."
  }

  assert {
    condition     = jsondecode(aws_vpc_endpoint.interface["sqs"].policy).Statement[0].Action == [for action in ["ChangeMessageVisibility", "DeleteMessage", "GetQueueAttributes", "GetQueueUrl", "ReceiveMessage", "SendMessage"] : "sqs:${action}"]
    error_message = "Messages, and not the queues themselves."
  }

  assert {
    condition     = jsondecode(aws_vpc_endpoint.interface["sqs"].policy).Statement[0].Resource == ["arn:aws:sqs:ap-northeast-2:111122223333:traffic-tacos-reservation-events-dlq", "arn:aws:sqs:ap-northeast-2:111122223333:traffic-tacos-reservation-events-queue"]
    error_message = "The env's queues."
  }

  assert {
    condition     = jsondecode(aws_vpc_endpoint.interface["secretsmanager"].policy).Statement[0].Resource == "arn:aws:secretsmanager:ap-northeast-2:111122223333:secret:traffic-tacos-reservation-*"
    error_message = "The env's secrets."
  }

  assert {
    condition = (
      jsondecode(aws_vpc_endpoint.interface["ecr.dkr"].policy).Statement[1].Resource == ["arn:aws:ecr:ap-northeast-2:111122223333:repository/reservation-api"]
      && aws_vpc_endpoint.interface["ecr.dkr"].policy == aws_vpc_endpoint.interface["ecr.api"].policy
    )
    error_message = "The service's own images."
  }

  assert {
    condition = alltrue(flatten([for policy in concat([for it in aws_vpc_endpoint.gateway : it.policy], [for it in aws_vpc_endpoint.interface : it.policy]) : [
      for statement in jsondecode(policy).Statement : statement.Effect == "Allow" && (statement.Resource != "*" || statement.Action == "ecr:GetAuthorizationToken") && (
        can(statement.Condition.StringEquals["aws:PrincipalAccount"]) || statement.Sid == "LayersOfImages"
      )
    ]]))
    error_message = "Nothing but ECR's token is for every resource, and nothing but its layers for every account."
  }
}

run "pods_of_eks_take_roles_by_an_endpoint_too" {
  command = plan

  variables {
    env                 = "demo"
    interface_endpoints = ["ecr.api", "ecr.dkr", "events", "logs", "secretsmanager", "sqs", "sts"]
  }

  assert {
    condition = jsondecode(aws_vpc_endpoint.interface["sts"].policy).Statement[0] == {
      Sid       = "TakeRoles"
      Effect    = "Allow"
      Principal = "*"
      Action    = "sts:AssumeRoleWithWebIdentity"
      Resource  = "arn:aws:iam::111122223333:role/demo-reservation-*"
    }
    error_message = "Roles of this environment; who asks has no account yet."
  }
}

run "one_nat_gateway_for_all_zones" {
  command = apply

  variables {
    new_vpc = { nat = "one", zones = 3 }
  }

  assert {
    condition     = keys(aws_nat_gateway.this) == ["ap-northeast-2a"] && aws_nat_gateway.this["ap-northeast-2a"].subnet_id == aws_subnet.public["ap-northeast-2a"].id
    error_message = "In the first zone's public subnet."
  }

  assert {
    condition     = length(aws_route.nat) == 3 && alltrue([for zone, route in aws_route.nat : route.nat_gateway_id == aws_nat_gateway.this["ap-northeast-2a"].id && route.route_table_id == aws_route_table.private[zone].id && route.destination_cidr_block == "0.0.0.0/0"])
    error_message = "All private subnets go out by it."
  }

  assert {
    condition     = output.reaches_internet && length(output.nat_addresses) == 1
    error_message = "The issuer is reached, and sees one address."
  }
}

run "a_nat_gateway_in_each_zone" {
  command = apply

  variables {
    new_vpc             = { nat = "each_zone", zones = 3, cidr_block = "10.8.0.0/20" }
    interface_endpoints = []
  }

  assert {
    condition     = length(aws_nat_gateway.this) == 3 && alltrue([for zone, route in aws_route.nat : route.nat_gateway_id == aws_nat_gateway.this[zone].id])
    error_message = "A zone that is lost takes only itself along."
  }

  assert {
    condition     = [for subnet in aws_subnet.public : subnet.cidr_block] == ["10.8.15.0/28", "10.8.15.16/28", "10.8.15.32/28"]
    error_message = "A /20 is the smallest that has room for them."
  }
}

run "a_vpc_that_is_there_gets_endpoints_and_nothing_else" {
  command = apply

  variables {
    existing_vpc = {
      vpc_id                  = "vpc-0123456789abcdef0"
      cidr_block              = "172.16.0.0/16"
      private_subnet_ids      = ["subnet-a", "subnet-b"]
      private_route_table_ids = ["rtb-a"]
      public_subnet_ids       = ["subnet-p", "subnet-q"]
    }
    gateway_endpoints   = ["dynamodb"]
    interface_endpoints = ["events"]
  }

  assert {
    condition     = length(aws_vpc.this) + length(aws_subnet.private) + length(aws_subnet.public) + length(aws_internet_gateway.this) + length(aws_route_table.private) + length(aws_nat_gateway.this) == 0
    error_message = "It has those."
  }

  assert {
    condition     = keys(aws_vpc_endpoint.gateway) == ["dynamodb"] && one(aws_vpc_endpoint.gateway["dynamodb"].route_table_ids) == "rtb-a" && aws_vpc_endpoint.gateway["dynamodb"].vpc_id == "vpc-0123456789abcdef0"
    error_message = "Only what it lacks."
  }

  assert {
    condition     = join(" ", output.load_balancer.subnet_ids) == "subnet-p subnet-q" && join(" ", output.private_subnet_ids) == "subnet-a subnet-b" && output.vpc.cidr_block == "172.16.0.0/16" && output.reaches_internet
    error_message = "As given."
  }
}

run "without_nat_no_endpoint_may_be_missing" {
  command = plan

  variables {
    interface_endpoints = ["ecr.api", "ecr.dkr", "events", "logs", "sqs"]
  }

  expect_failures = [var.interface_endpoints]
}

run "an_endpoint_without_a_policy_is_refused" {
  command = plan

  variables {
    interface_endpoints = ["ecr.api", "ecr.dkr", "events", "logs", "secretsmanager", "sqs", "kms"]
  }

  expect_failures = [var.interface_endpoints]
}

run "a_new_vpc_needs_both_gateways" {
  command = plan

  variables {
    gateway_endpoints = ["dynamodb"]
  }

  expect_failures = [var.gateway_endpoints]
}

run "a_network_too_small_for_its_subnets_is_refused" {
  command = plan

  variables {
    new_vpc = { cidr_block = "10.8.0.0/24" }
  }

  expect_failures = [var.new_vpc]
}

run "one_zone_is_none" {
  command = plan

  variables {
    new_vpc = { zones = 1 }
  }

  expect_failures = [var.new_vpc]
}

run "a_region_has_to_have_the_zones" {
  command = plan

  override_data {
    target = data.aws_availability_zones.here
    values = { names = ["ap-northeast-2a", "ap-northeast-2b"] }
  }

  variables {
    new_vpc = { zones = 3 }
  }

  expect_failures = [aws_vpc.this]
}

run "zones_that_are_named_stay_when_aws_leaves_one_out" {
  command = plan

  override_data {
    target = data.aws_availability_zones.here
    values = { names = ["ap-northeast-2b", "ap-northeast-2d"] }
  }

  variables {
    new_vpc = { zones = 3, zone_names = ["ap-northeast-2a", "ap-northeast-2b", "ap-northeast-2c"] }
  }

  assert {
    condition     = jsonencode({ for zone, subnet in aws_subnet.private : zone => subnet.cidr_block }) == jsonencode({ ap-northeast-2a = "10.20.0.0/20", ap-northeast-2b = "10.20.16.0/20", ap-northeast-2c = "10.20.32.0/20" })
    error_message = "Subnets do not move."
  }
}

run "a_zone_is_named_once" {
  command = plan

  variables {
    new_vpc = { zone_names = ["ap-northeast-2a", "ap-northeast-2a"] }
  }

  expect_failures = [var.new_vpc]
}

run "nat_is_asked_for_by_a_known_word" {
  command = plan

  variables {
    new_vpc = { nat = "yes" }
  }

  expect_failures = [var.new_vpc]
}

run "a_public_balancer_needs_public_subnets" {
  command = plan

  variables {
    existing_vpc = {
      vpc_id                  = "vpc-0123456789abcdef0"
      cidr_block              = "172.16.0.0/16"
      private_subnet_ids      = ["subnet-a", "subnet-b"]
      private_route_table_ids = ["rtb-a"]
    }
  }

  expect_failures = [var.load_balancer]
}

run "one_private_subnet_is_not_enough" {
  command = plan

  variables {
    existing_vpc = {
      vpc_id                  = "vpc-0123456789abcdef0"
      cidr_block              = "172.16.0.0/16"
      private_subnet_ids      = ["subnet-a"]
      private_route_table_ids = ["rtb-a"]
      public_subnet_ids       = ["subnet-p", "subnet-q"]
    }
  }

  expect_failures = [var.existing_vpc]
}
