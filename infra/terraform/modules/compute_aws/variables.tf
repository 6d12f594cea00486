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

variable "security_group_ids" {
  description = "What jobs are let out by, with subnet_ids."
  type        = list(string)
  default     = []

  validation {
    condition     = (length(var.security_group_ids) == 0) == (length(var.subnet_ids) == 0)
    error_message = "subnet_ids and security_group_ids come together, from one network."
  }
}

variable "release" {
  description = "A release of EMR with Spark 4 (docs/spark.md), as AWS names it."
  type        = string
  default     = null
}

variable "most_vcpus" {
  description = "Processors that all jobs together take at most; 4 GB of memory come with each."
  type        = number
  default     = 32

  validation {
    condition     = var.most_vcpus >= 8 && floor(var.most_vcpus) == var.most_vcpus
    error_message = "A whole number from 8: a driver and one executor take 4 each."
  }
}
