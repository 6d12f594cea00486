variable "name" {
  description = "Begins all names: lower-case letters and digits, unique in the world for storage."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9]{2,15}$", var.name))
    error_message = "The name has 3 to 16 lower-case letters and digits, and begins with a letter."
  }
}

variable "env" {
  description = "dev, staging or prod; part of all names, and the prefix of secrets."
  type        = string

  validation {
    condition     = contains(["dev", "staging", "prod"], var.env)
    error_message = "The environment is dev, staging or prod."
  }
}

variable "region" {
  description = "Where the data lies, as the cloud calls it."
  type        = string
}

variable "retention_days" {
  description = "How long what was deleted or written over can be brought back, in days. Adds its storage to the bill."
  type        = number

  validation {
    condition     = var.retention_days >= 7 && var.retention_days <= 90
    error_message = "From 7 to 90 days."
  }
}

variable "writers" {
  description = "Who may act as the identity that loads and builds; see the README of infra/terraform for the form."
  type        = set(string)
  default     = []
}

variable "readers" {
  description = "Who may read Gold and audit; in the same form."
  type        = set(string)
  default     = []
}

variable "kms_key_arn" {
  description = "Key of your own that encrypts the lake; null for S3's."
  type        = string
  default     = null
}

variable "services" {
  description = "Services of AWS whose jobs act as the runner, such as emr-serverless.amazonaws.com."
  type        = set(string)
  default     = []
}
