# A lake on Azure: its storage account, its vault, and a managed identity for each kind of user.
# Secrets are written by hand or by a rotation, as <env>-...: a value in Terraform would be in its state.

locals {
  tags  = { system = "lakehouse", environment = var.env }
  roles = toset(["runner", "reader", "steward"])
  storage = {
    runner  = "Storage Blob Data Contributor"
    reader  = "Storage Blob Data Reader"
    steward = "Storage Blob Data Contributor"
  }
  is_private = var.network != null
  private = local.is_private ? {
    blob  = { id = module.lake.account_id, zone = "privatelink.blob.core.windows.net" }
    dfs   = { id = module.lake.account_id, zone = "privatelink.dfs.core.windows.net" }
    vault = { id = azurerm_key_vault.lake.id, zone = "privatelink.vaultcore.azure.net" }
  } : {}
}

data "azurerm_client_config" "here" {}

resource "azurerm_resource_group" "lake" {
  name     = "${var.name}-lake-${var.env}"
  location = var.region
  tags     = local.tags
}

module "lake" {
  source              = "../lake_storage_account"
  name                = "${var.name}lake${var.env == "staging" ? "stg" : var.env}"
  resource_group_name = azurerm_resource_group.lake.name
  location            = azurerm_resource_group.lake.location
  replication         = coalesce(var.replication, var.env == "prod" ? "ZRS" : "LRS")
  undo_days           = var.retention_days
  writers             = var.writers
  readers             = var.readers
  is_private          = local.is_private
  tags                = local.tags
}

resource "azurerm_key_vault" "lake" {
  #checkov:skip=CKV_AZURE_189:with a network it is closed; without one logins of Entra alone protect it, as jobs come from anywhere
  #checkov:skip=CKV2_AZURE_32:there is one where the root makes a network
  name                       = "${var.name}-${var.env}"
  resource_group_name        = azurerm_resource_group.lake.name
  location                   = azurerm_resource_group.lake.location
  tenant_id                  = data.azurerm_client_config.here.tenant_id
  sku_name                   = "standard"
  rbac_authorization_enabled = true
  purge_protection_enabled   = true
  soft_delete_retention_days = var.retention_days
  tags                       = local.tags

  public_network_access_enabled = !local.is_private

  dynamic "network_acls" {
    for_each = local.is_private ? [1] : []
    content {
      default_action = "Deny"
      bypass         = "AzureServices"
    }
  }

  lifecycle {
    prevent_destroy = true
  }
}

# With a network the lake and the vault have private addresses in it, and no public ones.
resource "azurerm_private_dns_zone" "private" {
  for_each            = local.private
  name                = each.value.zone
  resource_group_name = azurerm_resource_group.lake.name
  tags                = local.tags
}

resource "azurerm_private_dns_zone_virtual_network_link" "private" {
  for_each            = local.private
  name                = "${var.name}-lake-${var.env}"
  private_dns_zone_id = azurerm_private_dns_zone.private[each.key].id
  virtual_network_id  = var.network.id
  tags                = local.tags
}

resource "azurerm_private_endpoint" "private" {
  for_each            = local.private
  name                = "${var.name}-lake-${var.env}-${each.key}"
  resource_group_name = azurerm_resource_group.lake.name
  location            = azurerm_resource_group.lake.location
  subnet_id           = var.network.endpoint_subnet_id
  tags                = local.tags

  private_service_connection {
    name                           = each.key
    is_manual_connection           = false
    private_connection_resource_id = each.value.id
    subresource_names              = [each.key]
  }

  private_dns_zone_group {
    name                 = each.key
    private_dns_zone_ids = [azurerm_private_dns_zone.private[each.key].id]
  }
}

resource "azurerm_user_assigned_identity" "access" {
  for_each            = local.roles
  name                = "${var.name}-lake-${var.env}-${each.value}"
  resource_group_name = azurerm_resource_group.lake.name
  location            = azurerm_resource_group.lake.location
  tags                = local.tags
}

resource "azurerm_role_assignment" "lake" {
  for_each             = local.storage
  scope                = module.lake.container_id
  role_definition_name = each.value
  principal_id         = azurerm_user_assigned_identity.access[each.key].principal_id
  condition_version    = each.key == "reader" ? "2.0" : null
  condition            = each.key == "reader" ? module.lake.reader_condition : null
}

# A reader of Gold needs no secret: neither the sources' logins nor the salt.
resource "azurerm_role_assignment" "secrets" {
  for_each             = toset(["runner", "steward"])
  scope                = azurerm_key_vault.lake.id
  role_definition_name = "Key Vault Secrets User"
  principal_id         = azurerm_user_assigned_identity.access[each.value].principal_id
}
