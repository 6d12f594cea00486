# Two queues, conversations out and results in, each with a queue of dead letters, and a policy for each side.
# `policy` in ingestion/queues/policy.py writes the one of the service, without the statements of key and claims.
# The limit of a message is the provider's default, 256 KiB: the sender reads it, compresses and writes claims.

locals {
  ending = var.fifo ? ".fifo" : ""
  sides  = toset(["conversations", "results"])
  queues = { for side in local.sides : side => aws_sqs_queue.live[side].arn }
  access = {
    # sends conversations, receives results
    service = templatefile("${path.module}/policy.json.tftpl", local.queues)
    # receives conversations, sends results
    worker = templatefile("${path.module}/policy.json.tftpl", {
      conversations = local.queues.results
      results       = local.queues.conversations
    })
  }
}

resource "aws_sqs_queue" "dead" {
  for_each                  = local.sides
  name                      = "${var.name}-${each.key}-dead${local.ending}"
  fifo_queue                = var.fifo ? true : null
  message_retention_seconds = 14 * 24 * 3600 # the most that SQS has
  sqs_managed_sse_enabled   = var.kms_key_arn == null ? true : null
  kms_master_key_id         = var.kms_key_arn
  tags                      = var.tags

  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_sqs_queue" "live" {
  for_each                   = local.sides
  name                       = "${var.name}-${each.key}${local.ending}"
  fifo_queue                 = var.fifo ? true : null
  deduplication_scope        = var.fifo ? "messageGroup" : null # a group is a call
  fifo_throughput_limit      = var.fifo ? "perMessageGroupId" : null
  visibility_timeout_seconds = var.visibility_seconds
  receive_wait_time_seconds  = 20
  message_retention_seconds  = var.retention_days * 24 * 3600
  sqs_managed_sse_enabled    = var.kms_key_arn == null ? true : null
  kms_master_key_id          = var.kms_key_arn
  tags                       = var.tags

  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.dead[each.key].arn
    maxReceiveCount     = var.max_receives
  })

  lifecycle {
    prevent_destroy = true
  }
}

data "aws_iam_policy_document" "tls" {
  for_each = merge({ for side, queue in aws_sqs_queue.live : side => queue }, { for side, queue in aws_sqs_queue.dead : "${side}-dead" => queue })
  statement {
    sid       = "OnlyEncryptedConnections"
    effect    = "Deny"
    actions   = ["sqs:*"]
    resources = [each.value.arn]
    principals {
      type        = "*"
      identifiers = ["*"]
    }
    condition {
      test     = "Bool"
      variable = "aws:SecureTransport"
      values   = ["false"]
    }
  }
}

resource "aws_sqs_queue_policy" "live" {
  for_each  = local.sides
  queue_url = aws_sqs_queue.live[each.key].id
  policy    = data.aws_iam_policy_document.tls[each.key].json
}

resource "aws_sqs_queue_policy" "dead" {
  for_each  = local.sides
  queue_url = aws_sqs_queue.dead[each.key].id
  policy    = data.aws_iam_policy_document.tls["${each.key}-dead"].json
}

data "aws_iam_policy_document" "access" {
  for_each                = local.access
  source_policy_documents = [each.value]

  dynamic "statement" {
    for_each = var.kms_key_arn == null ? [] : [var.kms_key_arn]
    content {
      sid       = "UseTheKey"
      actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
      resources = [statement.value]
    }
  }

  dynamic "statement" {
    for_each = var.claims == null ? [] : [var.claims]
    content {
      sid       = "FindClaims"
      actions   = ["s3:ListBucket"]
      resources = [statement.value.bucket_arn]
      condition {
        test     = "StringLike"
        variable = "s3:prefix"
        values   = ["${statement.value.prefix}*"]
      }
    }
  }

  dynamic "statement" {
    for_each = var.claims == null ? [] : [var.claims]
    content {
      sid       = "ReadAndWriteClaims"
      actions   = ["s3:GetObject", "s3:PutObject"]
      resources = ["${statement.value.bucket_arn}/${statement.value.prefix}*"]
    }
  }
}

resource "aws_iam_policy" "access" {
  for_each = local.access
  name     = "${var.name}-${each.key}"
  policy   = data.aws_iam_policy_document.access[each.key].json
  tags     = var.tags
}
