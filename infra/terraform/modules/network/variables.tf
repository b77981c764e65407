variable "env" {
  description = "Prefix of every name."
  type        = string
  default     = "traffic-tacos"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,20}$", var.env))
    error_message = "Up to 21 lower-case letters, digits and hyphens: the longest name made of it, {env}-reservation-events-archive, may have 48 characters."
  }
}

variable "new_vpc" {
  description = "The VPC that is made, unless there is one already. `nat` is how private subnets reach the internet: none, one (for all zones), each_zone. `zone_names` says which zones it is in, for good; without, the first `zones` that AWS tells of."
  type = object({
    cidr_block = optional(string, "10.20.0.0/16")
    zones      = optional(number, 2) # what a load balancer needs at least
    zone_names = optional(list(string))
    nat        = optional(string, "none") # the endpoints below do for AWS; only an issuer that is asked for its keys needs more
  })
  default = {}

  validation {
    condition     = can(cidrhost(var.new_vpc.cidr_block, 0)) && can(regex("/(16|17|18|19|20)$", var.new_vpc.cidr_block))
    error_message = "A network of /16 to /20: an eighth of its address bits go to its subnets, and AWS makes none below /28."
  }

  validation {
    condition     = var.new_vpc.zones >= 2 && var.new_vpc.zones <= 4 && floor(var.new_vpc.zones) == var.new_vpc.zones
    error_message = "2 to 4 zones: a load balancer needs two, and ap-northeast-2 has four."
  }

  validation {
    condition     = var.new_vpc.zone_names == null ? true : length(distinct(var.new_vpc.zone_names)) == length(var.new_vpc.zone_names) && length(var.new_vpc.zone_names) >= 2 && length(var.new_vpc.zone_names) <= 4
    error_message = "2 to 4 zones, each once."
  }

  validation {
    condition     = contains(["none", "one", "each_zone"], var.new_vpc.nat)
    error_message = "none, one or each_zone."
  }
}

variable "existing_vpc" {
  description = "A VPC that is there already, instead of a new one. `reaches_internet` says whether its private subnets have a way out, which is then its owner's."
  type = object({
    vpc_id                  = string
    cidr_block              = string
    private_subnet_ids      = list(string)
    private_route_table_ids = list(string)
    public_subnet_ids       = optional(list(string), []) # for a load balancer that the internet reaches
    reaches_internet        = optional(bool, true)
  })
  default = null

  validation {
    condition     = var.existing_vpc == null ? true : can(cidrhost(var.existing_vpc.cidr_block, 0))
    error_message = "cidr_block is the VPC's own, such as 10.0.0.0/16."
  }

  validation {
    condition     = var.existing_vpc == null ? true : length(var.existing_vpc.private_subnet_ids) >= 2
    error_message = "Two private subnets at least, in two zones: what runs in one is lost with it."
  }
}

variable "load_balancer" {
  description = "Whether the load balancer is reached from within the VPC only, and from which addresses."
  type = object({
    internal    = optional(bool, false)
    cidr_blocks = optional(set(string), ["0.0.0.0/0"]) # buyers are everywhere
  })
  default = {}

  validation {
    condition     = length(var.load_balancer.cidr_blocks) > 0 && alltrue([for block in var.load_balancer.cidr_blocks : can(cidrhost(block, 0))])
    error_message = "Networks such as 0.0.0.0/0, one at least."
  }

  validation {
    condition     = var.load_balancer.internal || var.existing_vpc == null ? true : length(var.existing_vpc.public_subnet_ids) >= 2
    error_message = "A load balancer that the internet reaches needs two public subnets of the existing VPC; or set internal."
  }
}

variable "gateway_endpoints" {
  description = "The gateway endpoints that are made: dynamodb, s3 (where ECR keeps the layers of images). They cost nothing. Fewer where an existing VPC has them already: a route table takes one of each."
  type        = set(string)
  default     = ["dynamodb", "s3"]

  validation {
    condition     = length(setsubtract(var.gateway_endpoints, ["dynamodb", "s3"])) == 0
    error_message = "dynamodb and s3 have gateway endpoints."
  }

  validation {
    condition     = var.existing_vpc != null || length(var.gateway_endpoints) == 2
    error_message = "A new VPC has no endpoints yet: it needs both."
  }
}

variable "interface_endpoints" {
  description = "The interface endpoints that are made, each paid by the hour and zone. `sts` is for pods of EKS, which ECS tasks and functions do without."
  type        = set(string)
  default     = ["ecr.api", "ecr.dkr", "events", "logs", "secretsmanager", "sqs"]

  validation {
    condition     = length(setsubtract(var.interface_endpoints, ["ecr.api", "ecr.dkr", "events", "logs", "secretsmanager", "sqs", "sts"])) == 0
    error_message = "ecr.api, ecr.dkr, events, logs, secretsmanager, sqs, sts: those that this module has a policy for."
  }

  validation {
    condition     = var.existing_vpc != null || var.new_vpc.nat != "none" || length(setsubtract(["ecr.api", "ecr.dkr", "events", "logs", "secretsmanager", "sqs"], var.interface_endpoints)) == 0
    error_message = "Without NAT there is no other way to what the service needs: ecr.api, ecr.dkr, events, logs, secretsmanager, sqs."
  }
}

variable "image_repositories" {
  description = "The ECR repositories that tasks may pull from through the endpoints: the service's, and a copy of the collector's if that runs beside it."
  type        = set(string)
  default     = ["reservation-api"]
}

# Section 6.1 allows HTTPS, DynamoDB and EventBridge out. By section 5 the service also speaks to these, which the
# document forgets.
variable "peers" {
  description = "What service and functions reach within the VPC besides HTTPS: port, and the networks (null: the VPC's own) or the security group that it is in. A payment service is one more."
  type = map(object({
    port           = number
    cidr_blocks    = optional(set(string))
    security_group = optional(object({ id = string })) # an object: whether there is one has to be known to a plan, its id does not
  }))
  default = {
    inventory      = { port = 9090 } # INVENTORY_GRPC_ADDRESS
    collector      = { port = 4318 } # OTLP_ENDPOINT: OTLP over HTTP
    collector-grpc = { port = 4317 } # OTLP over gRPC
  }

  validation {
    condition     = alltrue([for peer in var.peers : peer.port >= 1 && peer.port <= 65535])
    error_message = "Ports from 1 to 65535."
  }

  validation {
    condition     = alltrue([for peer in var.peers : peer.cidr_blocks == null || peer.security_group == null])
    error_message = "A peer is known by its networks or by its security group, not by both."
  }

  validation {
    condition     = alltrue(flatten([for peer in var.peers : [for block in coalesce(peer.cidr_blocks, []) : can(cidrhost(block, 0)) && block != "0.0.0.0/0"]]))
    error_message = "Peers speak plain text: they are in networks of one's own, not anywhere."
  }
}

variable "dns_cidr_blocks" {
  description = "Where names are asked for. Null: within the VPC. A VPC's own resolver is never filtered by security groups; a resolver that knows the names of a Kubernetes cluster (svc.cluster.local) is, and the document forgets it too."
  type        = set(string)
  default     = null
}

variable "grpc_clients" {
  description = "Who may speak gRPC to the service, on which port. Null: nobody, as section 6.1 has it, which opens 8080 alone."
  type = object({
    cidr_blocks = set(string)
    port        = optional(number, 8011)
  })
  default = null

  validation {
    condition     = var.grpc_clients == null ? true : alltrue([for block in var.grpc_clients.cidr_blocks : can(cidrhost(block, 0)) && block != "0.0.0.0/0"])
    error_message = "Networks of gateways, such as 10.20.0.0/20: with APP_GRPC_TRUSTED whoever reaches this port is believed."
  }
}

variable "tags" {
  description = "Tags of everything here that takes them, besides those of the provider."
  type        = map(string)
  default     = {}
}
