"""Check digits of a CPF and of a payment card."""

from __future__ import annotations

_LENGTHS = {"2": (16,), "3": (14, 15, 16), "4": (13, 16, 19), "5": range(13, 20), "6": range(13, 20)}
"""First digit of a card (ISO/IEC 7812) -> the lengths in use: a moment such as 20260301100000 is none."""
_DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)


def is_cpf(digits: str) -> bool:
    """Return whether eleven digits end in the two check digits of the first nine (modulo 11), and are not all equal."""
    if len(digits) != 11 or digits == digits[0] * 11:
        return False
    numbers = [int(digit) for digit in digits]
    for length in (9, 10):
        total = sum(number * weight for number, weight in zip(numbers, range(length + 1, 1, -1), strict=False))
        if total * 10 % 11 % 10 != numbers[length]:
            return False
    return True


def is_card(digits: str) -> bool:
    """Return whether 13 to 19 digits pass Luhn's check and begin as those of a payment network of this length do."""
    if len(digits) not in _LENGTHS.get(digits[0], ()):
        return False
    backwards = [int(digit) for digit in reversed(digits)]
    return (sum(backwards[::2]) + sum(_DOUBLED[number] for number in backwards[1::2])) % 10 == 0
