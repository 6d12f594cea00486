variable "name" {
  description = "Name of the storage account: 3 to 24 lower-case letters and digits, unique in the world."
  type        = string
}

variable "resource_group_name" {
  description = "An existing resource group."
  type        = string
}

variable "location" {
  description = "Region, e.g. westeurope."
  type        = string
}

variable "container" {
  description = "Name of the lake's container."
  type        = string
  default     = "lake"
}

variable "replication" {
  description = "How often Azure keeps the data: LRS, ZRS, GRS, ..."
  type        = string
  default     = "ZRS"
}

variable "undo_days" {
  description = "How long what was deleted can be brought back. Adds its storage to the bill."
  type        = number
  default     = 30
}

variable "writers" {
  description = "Object ids of the identities that run `lakehouse load`, `build`, `repair` and `maintain`."
  type        = set(string)
  default     = []
}

variable "readers" {
  description = "Object ids of the identities that read. They see Gold and audit."
  type        = set(string)
  default     = []
}

variable "tags" {
  description = "Tags of everything made here."
  type        = map(string)
  default     = {}
}

variable "is_private" {
  description = "Whether only private endpoints lead to the account."
  type        = bool
  default     = false
}
