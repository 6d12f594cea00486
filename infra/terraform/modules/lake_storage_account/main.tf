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
  #checkov:skip=CKV_AZURE_43:the name is put together of validated parts, 3 to 24 lower-case letters and digits
  #checkov:skip=CKV_AZURE_59:with a network it is closed; without one logins of Entra alone protect it, no container is public
  #checkov:skip=CKV_AZURE_33:the account has no queue
  #checkov:skip=CKV2_AZURE_33:there is one where the root makes a network
  #checkov:skip=CKV2_AZURE_1:encrypted with keys of Azure; a key of your own that is lost takes the lake along
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
  #checkov:skip=CKV2_AZURE_21:who read what is told by diagnostic settings of the subscription, whose place and cost are the site's
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
