# A lake on AWS: its bucket, the right to read its secrets, and a role for each kind of user.
# Secrets are written by hand or by a rotation, under <env>/...: a value in Terraform would be in its state.

locals {
  tags     = { system = "lakehouse", environment = var.env }
  policies = { runner = ["loader", "transformer"], reader = ["reader"], steward = ["steward"] }
  attached = merge([for role, names in local.policies : { for name in names : "${role}-${name}" => { role = role, policy = name } }]...)
  account  = data.aws_caller_identity.here.account_id
  # who administers the account decides who else is a steward
  trusted = {
    runner  = length(var.writers) == 0 ? ["arn:aws:iam::${local.account}:root"] : tolist(var.writers)
    reader  = length(var.readers) == 0 ? ["arn:aws:iam::${local.account}:root"] : tolist(var.readers)
    steward = ["arn:aws:iam::${local.account}:root"]
  }
}

data "aws_caller_identity" "here" {}

module "lake" {
  source      = "../lake_bucket"
  name        = "${var.name}-lake-${var.env}"
  kms_key_arn = var.kms_key_arn
  undo_days   = var.retention_days
  tags        = local.tags
}

data "aws_iam_policy_document" "trust" {
  for_each = local.trusted
  statement {
    actions = ["sts:AssumeRole", "sts:TagSession"]
    principals {
      type        = "AWS"
      identifiers = each.value
    }
  }

  # jobs of this account alone, not those that another one starts with this role
  dynamic "statement" {
    for_each = each.key == "runner" && length(var.services) > 0 ? [1] : []
    content {
      actions = ["sts:AssumeRole"]
      principals {
        type        = "Service"
        identifiers = var.services
      }
      condition {
        test     = "StringEquals"
        variable = "aws:SourceAccount"
        values   = [local.account]
      }
    }
  }
}

resource "aws_iam_role" "access" {
  for_each           = local.trusted
  name               = "${var.name}-lake-${var.env}-${each.key}"
  assume_role_policy = data.aws_iam_policy_document.trust[each.key].json
  tags               = local.tags
}

resource "aws_iam_role_policy_attachment" "lake" {
  for_each   = local.attached
  role       = aws_iam_role.access[each.value.role].name
  policy_arn = module.lake.policy_arns[each.value.policy]
}

data "aws_iam_policy_document" "secrets" {
  statement {
    sid       = "ReadItsSecrets"
    actions   = ["secretsmanager:GetSecretValue"]
    resources = ["arn:aws:secretsmanager:${var.region}:${local.account}:secret:${var.env}/*"]
  }
}

# A reader of Gold needs no secret: neither the sources' logins nor the salt.
resource "aws_iam_role_policy" "secrets" {
  for_each = toset(["runner", "steward"])
  name     = "secrets"
  role     = aws_iam_role.access[each.value].name
  policy   = data.aws_iam_policy_document.secrets.json
}
