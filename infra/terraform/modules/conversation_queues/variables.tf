variable "name" {
  description = "Begins the names of the queues and policies."
  type        = string
}

variable "fifo" {
  description = "Whether the queues keep the order within a call, and drop what came within five minutes."
  type        = bool
  default     = false
}

variable "visibility_seconds" {
  description = "How long a delivery is invisible to others; at least six times as long as a batch takes."
  type        = number
  default     = 300

  validation {
    condition     = var.visibility_seconds >= 30 && var.visibility_seconds <= 43200
    error_message = "From 30 seconds to 12 hours."
  }
}

variable "max_receives" {
  description = "A message that was received so often without being deleted goes to the dead letters."
  type        = number
  default     = 10

  validation {
    condition     = var.max_receives >= 3 && var.max_receives <= 1000
    error_message = "From 3 to 1000: an interruption must not make dead letters."
  }
}

variable "retention_days" {
  description = "How long a queue keeps a message that nobody receives, in days."
  type        = number
  default     = 14

  validation {
    condition     = var.retention_days >= 1 && var.retention_days <= 14
    error_message = "From 1 to 14 days."
  }
}

variable "kms_key_arn" {
  description = "Key of your own that encrypts the queues; null for SQS's."
  type        = string
  default     = null
}

variable "claims" {
  description = "Where bodies lie that are too large for a message, as in claim_check of the connections: bucket, and prefix with a slash at the end. Let a rule of the bucket delete them there after more than retention_days."
  type        = object({ bucket_arn = string, prefix = string })
  default     = null
}

variable "tags" {
  description = "Tags of everything made here."
  type        = map(string)
  default     = {}
}
