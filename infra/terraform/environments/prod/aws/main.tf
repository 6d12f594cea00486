# The lake of prod on Amazon S3. The state's place is given at start: terraform init -backend-config=backend.hcl

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

variable "region" {
  type = string
}

variable "company" {
  description = "Begins the bucket's name, which must be unique in the world."
  type        = string
}

provider "aws" {
  region = var.region
}

module "lake" {
  source    = "../../../modules/lake_bucket"
  name      = "${var.company}-lake-prod"
  undo_days = 30
  tags      = { system = "lakehouse", environment = "prod" }
}

output "lake" {
  value = module.lake
}
