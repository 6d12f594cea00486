# What a site's values make, and which are refused. The provider is a stand-in: nothing is asked and no login is needed.

mock_provider "azurerm" {
  mock_data "azurerm_client_config" {
    defaults = { tenant_id = "00000000-0000-0000-0000-000000000000" }
  }
}

variables {
  name           = "company"
  env            = "dev"
  region         = "westeurope"
  retention_days = 7
  runner         = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/company-lake-dev/providers/Microsoft.ManagedIdentity/userAssignedIdentities/runner"
}

run "the_vault_is_open_to_logins_and_has_no_private_address_by_itself" {
  command = plan
  module {
    source = "../modules/azure"
  }
  assert {
    condition     = azurerm_key_vault.lake.public_network_access_enabled && length(azurerm_private_endpoint.private) == 0 && length(azurerm_private_dns_zone.private) == 0
    error_message = "Without a network nothing private is made."
  }
  assert {
    condition     = keys(azurerm_role_assignment.secrets) == ["runner", "steward"]
    error_message = "A reader has no secret."
  }
  assert {
    condition     = strcontains(azurerm_role_assignment.lake["reader"].condition, "lake/gold/*") && azurerm_role_assignment.lake["runner"].condition == null
    error_message = "A reader sees Gold and audit."
  }
}

run "in_a_network_lake_and_vault_have_private_addresses_alone" {
  command = plan
  module {
    source = "../modules/azure"
  }
  variables {
    network = {
      id                 = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/company-network-dev/providers/Microsoft.Network/virtualNetworks/company-lake-dev"
      endpoint_subnet_id = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/company-network-dev/providers/Microsoft.Network/virtualNetworks/company-lake-dev/subnets/endpoints"
    }
  }
  assert {
    condition     = !azurerm_key_vault.lake.public_network_access_enabled && azurerm_key_vault.lake.network_acls[0].default_action == "Deny"
    error_message = "The vault is closed to the internet."
  }
  assert {
    condition     = keys(azurerm_private_endpoint.private) == ["blob", "dfs", "vault"]
    error_message = "Both names of the lake and the vault have an endpoint."
  }
}

run "an_account_in_a_network_is_closed_to_the_internet" {
  command = plan
  module {
    source = "../modules/lake_storage_account"
  }
  variables {
    name                = "companylakedev"
    resource_group_name = "company-lake-dev"
    location            = "westeurope"
    is_private          = true
  }
  assert {
    condition     = !azurerm_storage_account.lake.public_network_access_enabled && !azurerm_storage_account.lake.shared_access_key_enabled
    error_message = "Neither the internet nor a key leads to the data."
  }
}

run "a_name_that_storage_does_not_take_is_refused" {
  command = plan
  module {
    source = "../modules/azure"
  }
  variables {
    name = "Company!"
  }
  expect_failures = [var.name]
}

run "an_environment_that_is_none_is_refused" {
  command = plan
  module {
    source = "../modules/azure"
  }
  variables {
    env = "test"
  }
  expect_failures = [var.env]
}

run "less_than_a_week_to_bring_back_what_was_deleted_is_refused" {
  command = plan
  module {
    source = "../modules/azure"
  }
  variables {
    retention_days = 1
  }
  expect_failures = [var.retention_days]
}

run "jobs_have_no_public_address_and_go_out_by_one" {
  command = plan
  module {
    source = "../modules/network_azure"
  }
  assert {
    condition     = length(setsubtract([for name, subnet in azurerm_subnet.jobs : subnet.address_prefixes[0]], ["10.60.0.0/22", "10.60.4.0/22"])) == 0 && azurerm_subnet.endpoints.address_prefixes[0] == "10.60.8.0/22"
    error_message = "Three subnets share the addresses."
  }
  assert {
    condition     = alltrue([for subnet in azurerm_subnet.jobs : !subnet.default_outbound_access_enabled]) && length(azurerm_subnet_nat_gateway_association.jobs) == 2
    error_message = "The way out is the gateway alone."
  }
}

run "addresses_that_are_none_are_refused" {
  command = plan
  module {
    source = "../modules/network_azure"
  }
  variables {
    cidr = "10.60/20"
  }
  expect_failures = [var.cidr]
}

run "a_workspace_has_clusters_without_public_addresses" {
  command = plan
  module {
    source = "../modules/compute_azure"
  }
  assert {
    condition     = azurerm_databricks_workspace.lake.custom_parameters[0].no_public_ip && azurerm_databricks_workspace.lake.sku == "premium"
    error_message = "Clusters have no public address."
  }
  assert {
    condition     = azurerm_databricks_access_connector.lake.identity[0].identity_ids == toset([var.runner])
    error_message = "The catalog reaches the lake as the runner."
  }
}

run "subnets_without_their_network_are_refused" {
  command = plan
  module {
    source = "../modules/compute_azure"
  }
  variables {
    subnet_ids = ["/subscriptions/0/subnets/host"]
  }
  expect_failures = [azurerm_databricks_workspace.lake]
}
