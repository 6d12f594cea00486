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

variable "cidr" {
  description = "The private addresses of the network, a /16 to /22 that no network has with which it will be joined."
  type        = string
  default     = "10.60.0.0/20"

  validation {
    condition     = can(cidrnetmask(var.cidr)) && tonumber(split("/", var.cidr)[1]) >= 16 && tonumber(split("/", var.cidr)[1]) <= 22
    error_message = "The addresses are written as 10.60.0.0/20, from /16 to /22."
  }
}
