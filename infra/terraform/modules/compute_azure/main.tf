# A workspace of Databricks, and the connector by which its catalog reaches the lake as the runner. Jobs come from Airflow
# (LAKEHOUSE_RUNNER=databricks), and clusters with them: nothing runs at rest.

locals {
  tags = { system = "lakehouse", environment = var.env }
}

resource "azurerm_resource_group" "compute" {
  name     = "${var.name}-compute-${var.env}"
  location = var.region
  tags     = local.tags
}

resource "azurerm_databricks_workspace" "lake" {
  #checkov:skip=CKV_AZURE_158:people and Airflow reach the workspace by their login; a private front end needs a network of the site
  #checkov:skip=CKV2_AZURE_48:the workspace holds no data of the lake; Databricks encrypts its own with its keys
  name                = "${var.name}-lake-${var.env}"
  resource_group_name = azurerm_resource_group.compute.name
  location            = azurerm_resource_group.compute.location
  sku                 = "premium"
  tags                = local.tags

  custom_parameters {
    no_public_ip                                         = true
    virtual_network_id                                   = var.network_id
    public_subnet_name                                   = var.jobs == null ? null : var.jobs.host
    private_subnet_name                                  = var.jobs == null ? null : var.jobs.container
    public_subnet_network_security_group_association_id  = var.jobs == null ? null : var.jobs.host_association
    private_subnet_network_security_group_association_id = var.jobs == null ? null : var.jobs.container_association
  }

  lifecycle {
    precondition {
      condition     = (length(var.subnet_ids) == 0) == (var.network_id == null) && (var.network_id == null) == (var.jobs == null)
      error_message = "subnet_ids, network_id and jobs come together, from one network."
    }
  }
}

resource "azurerm_databricks_access_connector" "lake" {
  name                = "${var.name}-lake-${var.env}"
  resource_group_name = azurerm_resource_group.compute.name
  location            = azurerm_resource_group.compute.location
  tags                = local.tags

  identity {
    type         = "UserAssigned"
    identity_ids = [var.runner]
  }
}
