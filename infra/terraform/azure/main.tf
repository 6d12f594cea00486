# The lake on Azure; the subscription is ARM_SUBSCRIPTION_ID. The state's place is given at start, and is another one for each environment:
# docs/deploy.md has the commands.

terraform {
  required_version = ">= 1.9"
  backend "azurerm" {}
  required_providers {
    azurerm = {
      source  = "hashicorp/azurerm"
      version = "~> 5.2"
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

provider "azurerm" {
  storage_use_azuread = true
  features {}
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
  source         = "../modules/azure"
  name           = var.company
  env            = var.env
  region         = var.region
  retention_days = var.retention_days
  writers        = var.writers
  readers        = var.readers
  network        = var.network ? { id = module.network[0].network_id, endpoint_subnet_id = module.network[0].endpoint_subnet_id } : null
}

module "network" {
  count  = var.network ? 1 : 0
  source = "../modules/network_azure"
  name   = var.company
  env    = var.env
  region = var.region
  cidr   = var.cidr
}

module "compute" {
  count  = var.compute ? 1 : 0
  source = "../modules/compute_azure"
  name   = var.company
  env    = var.env
  region = var.region

  runner     = module.lake.identity_ids["runner"]
  subnet_ids = var.network ? module.network[0].subnet_ids : []
  network_id = var.network ? module.network[0].network_id : null
  jobs       = var.network ? module.network[0].jobs : null
}

output "compute" {
  value = var.compute ? module.compute[0].compute : null
}

output "network" {
  value = var.network ? module.network[0] : null
}

output "lake" {
  value = module.lake
}
