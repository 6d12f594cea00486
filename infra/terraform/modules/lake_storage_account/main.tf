# An ADLS Gen2 account with one container for a lake, and who may write and read there.
# No rule deletes blobs: what a lake no longer needs, `lakehouse maintain` knows and nobody else.

locals {
  # readers see Gold and audit: Bronze, Silver and quarantine hold personal columns
  reader_condition = <<-EOT
    (
      (!(ActionMatches{'Microsoft.Storage/storageAccounts/blobServices/containers/blobs/read'} AND NOT SubOperationMatches{'Blob.List'}))
      OR
      (
        @Resource[Microsoft.Storage/storageAccounts/blobServices/containers/blobs:path] StringLike 'lake/gold/*'
        OR @Resource[Microsoft.Storage/storageAccounts/blobServices/containers/blobs:path] StringLike 'lake/audit/*'
        OR @Resource[Microsoft.Storage/storageAccounts/blobServices/containers/blobs:path] StringLike 'lake/_lakehouse.json'
      )
    )
  EOT
}

resource "azurerm_storage_account" "lake" {
  name                            = var.name
  resource_group_name             = var.resource_group_name
  location                        = var.location
  account_tier                    = "Standard"
  account_kind                    = "StorageV2"
  account_replication_type        = var.replication
  is_hns_enabled                  = true
  https_traffic_only_enabled      = true
  min_tls_version                 = "TLS1_2"
  allow_nested_items_to_be_public = false
  shared_access_key_enabled       = false
  local_user_enabled              = false
  public_network_access_enabled   = !var.is_private
  tags                            = var.tags

  blob_properties {
    delete_retention_policy {
      days = var.undo_days
    }
    container_delete_retention_policy {
      days = var.undo_days
    }
  }

  lifecycle {
    prevent_destroy = true
  }
}

resource "azurerm_storage_container" "lake" {
  name                  = var.container
  storage_account_id    = azurerm_storage_account.lake.id
  container_access_type = "private"

  lifecycle {
    prevent_destroy = true
  }
}

resource "azurerm_role_assignment" "writer" {
  for_each             = var.writers
  scope                = azurerm_storage_container.lake.id
  role_definition_name = "Storage Blob Data Contributor"
  principal_id         = each.value
}

resource "azurerm_role_assignment" "reader" {
  for_each             = var.readers
  scope                = azurerm_storage_container.lake.id
  role_definition_name = "Storage Blob Data Reader"
  principal_id         = each.value
  condition_version    = "2.0"
  condition            = local.reader_condition
}
