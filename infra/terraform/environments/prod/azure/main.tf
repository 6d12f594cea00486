# The lake of prod on Azure. The state's place is given at start: terraform init -backend-config=backend.hcl

terraform {
  required_version = ">= 1.9"
  backend "azurerm" {}
  required_providers {
    azurerm = {
      source  = "hashicorp/azurerm"
      version = "~> 4.9"
    }
  }
}

variable "subscription_id" {
  type = string
}

variable "location" {
  type = string
}

variable "company" {
  description = "Begins the account's name, which must be unique in the world: letters and digits, at most 16."
  type        = string
}

variable "writers" {
  description = "Object ids of the identities that load and build."
  type        = set(string)
  default     = []
}

variable "readers" {
  type    = set(string)
  default = []
}

provider "azurerm" {
  subscription_id     = var.subscription_id
  storage_use_azuread = true
  features {}
}

resource "azurerm_resource_group" "lake" {
  name     = "${var.company}-lake-prod"
  location = var.location
  tags     = { system = "lakehouse", environment = "prod" }
}

module "lake" {
  source              = "../../../modules/lake_storage_account"
  name                = "${var.company}lakeprod"
  resource_group_name = azurerm_resource_group.lake.name
  location            = azurerm_resource_group.lake.location
  replication         = "ZRS"
  undo_days           = 30
  writers             = var.writers
  readers             = var.readers
  tags                = { system = "lakehouse", environment = "prod" }
}

output "lake" {
  value = module.lake
}
