# The lake on Azure; the subscription is ARM_SUBSCRIPTION_ID. The state's place is given at start, and is another one for each environment:
#   make terraform-plan CLOUD=azure ENV=dev STATE=...

terraform {
  required_version = ">= 1.9"
  backend "azurerm" {}
  required_providers {
    azurerm = {
      source  = "hashicorp/azurerm"
      version = "~> 4.42"
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
}

output "lake" {
  value = module.lake
}
