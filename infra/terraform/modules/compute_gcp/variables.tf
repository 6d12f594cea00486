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

variable "runner" {
  description = "What jobs act as, as the cloud names it where jobs are made: the role's ARN, the identity's id, the account's address."
  type        = string
}

variable "subnet_ids" {
  description = "Where jobs run: the output of the network's module; empty for the cloud's own place."
  type        = list(string)
  default     = []
}
