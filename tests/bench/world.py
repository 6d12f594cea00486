"""The rows that every side of the bench is given: customers, and what changes of them in a step. SQL for DuckDB."""

from __future__ import annotations

BUSINESS = "customer_id, customer_name, email, segment, city, credit_limit, created_at, updated_at"


def customers(keys: int) -> str:
    """Return the first state: keys ascend with the time of entry, as sequences do."""
    return f"""
        select
            i as customer_id,
            'Customer ' || i as customer_name,
            'user' || i || '@example.com' as email,
            ['Consumer', 'Corporate', 'Home Office'][(1 + hash(i) % 3)::int] as segment,
            'City ' || (hash(i * 7) % 3000) as city,
            (hash(i * 11) % 1000000 / 100.0)::decimal(14, 2) as credit_limit,
            timestamp '2020-01-01' + to_seconds((i * 10)::bigint) as created_at,
            timestamp '2026-01-01' + to_seconds((hash(i * 13) % 80000)::bigint) as updated_at
        from range({keys}) as r(i)
    """


def is_changed(step: int, keys: int, *, recent: bool = False) -> str:
    """Return the condition on `customer_id` of the 1 % that change in a step: at random, or all among the newest 5 %."""
    if recent:
        return f"customer_id >= {keys * 95 // 100} and hash(customer_id * 31 + {step}) % 5 = 0"
    return f"hash(customer_id * 31 + {step}) % 100 = 0"


def is_deleted(step: int) -> str:
    """Return the condition on `customer_id` that a changed row is gone: one of fifty."""
    return f"hash(customer_id * 37 + {step}) % 50 = 0"


def changed(step: int) -> str:
    """Return the columns of a changed row in its new state, a day later per step."""
    return f"""* replace (
        'City ' || (hash(customer_id * 7 + {step}) % 3000) as city,
        timestamp '2026-01-01' + to_days({step}) + to_seconds((hash(customer_id * 13) % 80000)::bigint) as updated_at
    )"""
