"""What can go wrong in a secret store, in words. The stores' own texts are left out: they may quote what was sent."""

from __future__ import annotations

from enum import Enum


class Fault(Enum):
    """A kind of fault: what was found, and the next step."""

    REFUSED = (
        "does not let this identity read {path}",
        "Grant the identity the right to read this secret ({right}).",
    )
    NO_LOGIN = (
        "accepts no login of this machine",
        "Give the machine or the pod an identity, or log in ({login}).",
    )
    EXPIRED = (
        "refuses the login, which has expired",
        "Log in again ({login}), or renew the credential.",
    )
    CLOCK = (
        "refuses the login because of its time: this machine's clock differs from the store's",
        "Set the clock (NTP), then run it again.",
    )
    SIGNATURE = (
        "refuses the signature: this machine's clock differs from the store's, or the secret key is wrong",
        "Set the clock (NTP) and check the key.",
    )
    UNUSABLE = (
        "has {path}, but not in a usable state (disabled, deleted or without a text)",
        "Enable it, or write a new version of it.",
    )
    ANSWER = (
        "did not return {path}",
        "Check the store's name and region and this identity's rights ({right}).",
    )
    BUSY = (
        "has too many requests now",
        "Run it again later; a longer LAKEHOUSE_SECRETS_SECONDS asks less often.",
    )
    SILENT = (
        "did not answer",
        "Check the network and the store's name ({setting}), then run it again.",
    )


class StoreError(Exception):
    """Raised by the module of a store. `code` is the store's own code, without any text of it."""

    def __init__(self, fault: Fault, code: object = "") -> None:
        super().__init__(fault, code)
        self.fault, self.code = fault, code

    @property
    def may_pass(self) -> bool:
        return self.fault in (Fault.BUSY, Fault.SILENT)
