# A bucket for a lake, and a policy for each role; `lakehouse grants --for s3` prints the same ones.

locals {
  encryption = var.kms_key_arn == null ? "AES256" : "aws:kms"
  roles      = ["loader", "transformer", "reader", "steward"]
  policies   = { for name in local.roles : name => "${path.module}/policies/${name}.json.tftpl" }
}

resource "aws_s3_bucket" "lake" {
  #checkov:skip=CKV_AWS_18:who read what is told by data events of CloudTrail, whose place and cost are the site's
  #checkov:skip=CKV_AWS_144:objects copied in another order are no lake; docs/operations.md says how to back one up whole
  #checkov:skip=CKV2_AWS_62:nothing waits for objects: readers follow the Delta log
  bucket = var.name
  tags   = var.tags

  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_s3_bucket_ownership_controls" "lake" {
  bucket = aws_s3_bucket.lake.id
  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_public_access_block" "lake" {
  bucket                  = aws_s3_bucket.lake.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_versioning" "lake" {
  bucket = aws_s3_bucket.lake.id
  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "lake" {
  bucket = aws_s3_bucket.lake.id
  rule {
    bucket_key_enabled = var.kms_key_arn != null
    apply_server_side_encryption_by_default {
      sse_algorithm     = local.encryption
      kms_master_key_id = var.kms_key_arn
    }
  }
}

# Never a rule that expires current objects: what a lake no longer needs, `lakehouse maintain` knows and nobody else.
resource "aws_s3_bucket_lifecycle_configuration" "lake" {
  bucket     = aws_s3_bucket.lake.id
  depends_on = [aws_s3_bucket_versioning.lake]

  rule {
    id     = "undo"
    status = "Enabled"
    filter {}
    noncurrent_version_expiration {
      noncurrent_days = var.undo_days
    }
    expiration {
      expired_object_delete_marker = true
    }
  }

  rule {
    id     = "uploads-that-broke-off"
    status = "Enabled"
    filter {}
    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }
  }
}

data "aws_iam_policy_document" "tls" {
  statement {
    sid       = "OnlyEncryptedConnections"
    effect    = "Deny"
    actions   = ["s3:*"]
    resources = [aws_s3_bucket.lake.arn, "${aws_s3_bucket.lake.arn}/*"]
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

resource "aws_s3_bucket_policy" "lake" {
  bucket     = aws_s3_bucket.lake.id
  policy     = data.aws_iam_policy_document.tls.json
  depends_on = [aws_s3_bucket_public_access_block.lake]
}

data "aws_iam_policy_document" "access" {
  for_each = local.policies
  source_policy_documents = [
    templatefile(each.value, { bucket = aws_s3_bucket.lake.arn, prefix = var.prefix })
  ]

  dynamic "statement" {
    for_each = var.kms_key_arn == null ? [] : [var.kms_key_arn]
    content {
      sid       = "UseTheKey"
      actions   = each.key == "reader" ? ["kms:Decrypt"] : ["kms:Decrypt", "kms:GenerateDataKey"]
      resources = [statement.value]
    }
  }
}

resource "aws_iam_policy" "access" {
  for_each = local.policies
  name     = "${var.name}-${each.key}"
  policy   = data.aws_iam_policy_document.access[each.key].json
  tags     = var.tags
}
