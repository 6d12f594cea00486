variable "name" {
  description = "Name of the bucket, unique in the world."
  type        = string
}

variable "prefix" {
  description = "Where in the bucket the lake begins, with a slash at the end; empty for the whole bucket."
  type        = string
  default     = ""

  validation {
    condition     = var.prefix == "" || (endswith(var.prefix, "/") && !startswith(var.prefix, "/"))
    error_message = "The prefix is empty, or ends with a slash and does not begin with one."
  }
}

variable "kms_key_arn" {
  description = "Key of your own that encrypts the lake; null for S3's."
  type        = string
  default     = null
}

variable "undo_days" {
  description = "How long what was deleted or written over can be brought back. Adds its storage to the bill."
  type        = number
  default     = 30

  validation {
    condition     = var.undo_days >= 1
    error_message = "At least one day."
  }
}

variable "tags" {
  description = "Tags of everything made here."
  type        = map(string)
  default     = {}
}
