# The lake on Amazon S3. The state's place is given at start, and is another one for each environment:
#   make terraform-plan CLOUD=aws ENV=dev STATE=...

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
}

output "lake" {
  value = module.lake
}
