# The lake on Amazon S3. The state's place is given at start, and is another one for each environment:
# docs/deploy.md has the commands.

terraform {
  required_version = ">= 1.9"
  backend "s3" {}
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.80"
    }
  }
}

variable "company" {
  description = "Begins all names."
  type        = string
}

variable "env" {
  type = string
}

variable "region" {
  type = string
}

variable "retention_days" {
  type = number
}

variable "writers" {
  type    = set(string)
  default = []
}

variable "readers" {
  type    = set(string)
  default = []
}

variable "conversations" {
  description = "Whether to make the two queues of conversations and results, which the runner may use."
  type        = bool
  default     = false
}

variable "claims" {
  description = "Where bodies lie that are too large for a message; see modules/conversation_queues."
  type        = object({ bucket_arn = string, prefix = string })
  default     = null
}

variable "network" {
  description = "Whether to make a private network for jobs; see the README."
  type        = bool
  default     = false
}

variable "cidr" {
  description = "With network: its private addresses, which no network has with which it will be joined."
  type        = string
  default     = "10.60.0.0/20"
}

variable "compute" {
  description = "Whether to make what runs jobs of Spark; see the README."
  type        = bool
  default     = false
}

variable "release" {
  description = "With compute: a release of EMR with Spark 4, as AWS names it."
  type        = string
  default     = null
}

provider "aws" {
  region = var.region
}

# A state belongs to one environment: values of another one would replace this, which is refused.
resource "terraform_data" "environment" {
  input            = var.env
  triggers_replace = var.env

  lifecycle {
    prevent_destroy = true
  }
}

module "lake" {
  source         = "../modules/aws"
  name           = var.company
  env            = var.env
  region         = var.region
  retention_days = var.retention_days
  writers        = var.writers
  readers        = var.readers
  services       = var.compute ? ["emr-serverless.amazonaws.com"] : []
}

module "network" {
  count  = var.network ? 1 : 0
  source = "../modules/network_aws"
  name   = var.company
  env    = var.env
  region = var.region
  cidr   = var.cidr
}

module "compute" {
  count  = var.compute ? 1 : 0
  source = "../modules/compute_aws"
  name   = var.company
  env    = var.env
  region = var.region

  runner             = module.lake.identity["runner"]
  subnet_ids         = var.network ? module.network[0].subnet_ids : []
  security_group_ids = var.network ? module.network[0].security_group_ids : []
  release            = var.release
}

module "queues" {
  count  = var.conversations ? 1 : 0
  source = "../modules/conversation_queues"
  name   = "${var.company}-${var.env}"
  claims = var.claims
  tags   = { system = "lakehouse", environment = var.env }
}

resource "aws_iam_role_policy_attachment" "queues" {
  count      = var.conversations ? 1 : 0
  role       = reverse(split("/", module.lake.identity["runner"]))[0]
  policy_arn = module.queues[0].policy_arns["service"]
}

output "compute" {
  value = var.compute ? module.compute[0].compute : null
}

output "network" {
  value = var.network ? module.network[0] : null
}

output "queues" {
  value = var.conversations ? module.queues[0] : null
}

output "lake" {
  value = module.lake
}
