"""What the paper's own numbers say about a claim: the printed pair, and whether they contradict it.

Differences are computed in decimal arithmetic, so that 0.329 − 0.289 is 0.040 and not almost.
"""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

from nexusflow.paper.claims_config import (
    AgreeClaim,
    ArgumentClaim,
    BoundClaim,
    Claim,
    EqualClaim,
    OrderClaim,
    StatedNumber,
)
from nexusflow.paper.published import (
    PublishedCell,
    metric_info,
    published_cell,
    published_cells,
    published_metric,
)

__all__ = ["contradiction", "printed_cell", "printed_effect", "printed_numbers"]


def printed_cell(table: str, block: str | None, label: str, metric: str) -> PublishedCell | None:
    """Look up what the paper prints, if it prints it at all.

    Args:
        table: table name.
        block: printed row where the table's columns are the methods, else None.
        label: method or setting.
        metric: metric name.

    Returns:
        The cell; None where the paper has no such method or gives no number.

    Raises:
        UserError: if the paper has the table but not the block.
    """
    if block is not None:
        columns = {
            cell.column for cell in published_cells().values() if (cell.table, cell.row) == (table, block)
        }
        cell = published_cell(table, block, label) if label in columns or not columns else None
    else:
        labels = {name for key in published_cells() if key[0] == table for name in key[1:]}
        cell = published_metric(table, label, metric) if label in labels else None
    return None if cell is None or cell.value is None else cell


def _decimal(cell: PublishedCell) -> Decimal:
    return Decimal(str(cell.value))


def printed_effect(first: PublishedCell | None, second: PublishedCell | None, effect: str) -> Decimal | None:
    """Compute by how much one printed number is better than another.

    Args:
        first: the number that should be better.
        second: the other.
        effect: "difference" or "ratio".

    Returns:
        Positive (ratio: above 1) if `first` is better in the metric's direction; None if one is not printed.
    """
    if first is None or second is None:
        return None
    up = metric_info(first.metric).direction == "up"
    better, worse = (_decimal(first), _decimal(second)) if up else (_decimal(second), _decimal(first))
    return better - worse if effect == "difference" else better / worse


def _pairs(claim: Claim) -> list[tuple[str, PublishedCell | None, PublishedCell | None]]:
    """Metric and printed numbers of every comparison of a claim."""
    if isinstance(claim, OrderClaim):
        wanted = [(metric, pair) for pair in claim.pairs for metric in claim.metrics]
    elif isinstance(claim, EqualClaim):
        wanted = [(metric, claim.labels) for metric in claim.tolerance]
    else:
        return []
    return [
        (metric, *(printed_cell(claim.table, claim.block, label, metric) for label in pair))  # type: ignore[misc]
        for metric, pair in wanted
    ]


def _agreeing(claim: AgreeClaim) -> list[tuple[PublishedCell, PublishedCell]]:
    found = []
    for metric in claim.metrics:
        first, second = (
            printed_cell(row.table, None, row.label, metric) for row in (claim.first, claim.second)
        )
        assert first is not None and second is not None, claim.id
        found.append((first, second))
    return found


def printed_numbers(claim: Claim) -> str:
    """Write the paper's numbers behind a claim exactly as printed.

    Args:
        claim: the claim.

    Returns:
        For example "AMOTA 0.329 : 0.289"; numbers of the running text come first, in quotation marks.
    """
    parts = [f"“{text}”" for text in claim.printed]
    if isinstance(claim, BoundClaim):
        cell = printed_cell(claim.table, None, claim.label, claim.metric)
        parts.append(f"{claim.metric} {cell.printed if cell else '–'}")
    pairs = _pairs(claim)
    if isinstance(claim, AgreeClaim):
        pairs = [(first.metric, first, second) for first, second in _agreeing(claim)]
    for metric, first, second in pairs:
        if first is not None or second is not None:
            texts = [cell.printed if cell else "–" for cell in (first, second)]
            parts.append(f"{metric} {texts[0]} : {texts[1]}")
    return "; ".join(dict.fromkeys(parts))


def _stated_contradiction(stated: StatedNumber, computed: Decimal, cells: str) -> str | None:
    """Say how a number of the text differs from what the tables give."""
    value = Decimal(stated.value)
    given = computed.quantize(value, ROUND_HALF_UP)
    if given == value or (stated.rule == "at_least" and computed > value):
        return None
    wanted = "at least " if stated.rule == "at_least" else ""
    return f"the text says {wanted}{value}, {cells} give {computed.normalize():f}"


def _order_contradiction(claim: OrderClaim) -> str | None:
    neutral = Decimal(0) if claim.effect == "difference" else Decimal(1)
    against = []
    for metric, first, second in _pairs(claim):
        computed = printed_effect(first, second, claim.effect)
        if computed is None or first is None or second is None:
            continue
        cells = f"{first.printed} and {second.printed}"
        if first.impossible or second.impossible:
            against.append(f"{metric}: {cells}, one of which cannot be")
        elif computed <= neutral:
            against.append(f"{metric}: {first.printed} is not better than {second.printed}")
        elif claim.stated is not None:
            stated = claim.stated
            exact = printed_effect(first, second, stated.is_)
            sentence = _stated_contradiction(stated, exact, cells) if exact is not None else None
            against += [f"{metric}: {sentence}"] if sentence else []
    return "; ".join(against) or None


def contradiction(claim: Claim) -> str | None:
    """Tell whether the paper's own numbers, or its wording, rule a claim out.

    Args:
        claim: the claim.

    Returns:
        Why it cannot hold as printed, or None.
    """
    if isinstance(claim, OrderClaim):
        return _order_contradiction(claim)
    if isinstance(claim, AgreeClaim):
        against = [
            f"{first.metric}: {first.printed} against {second.printed}"
            for first, second in _agreeing(claim)
            if _decimal(first) != _decimal(second)
        ]
        return "; ".join(against) or None
    if isinstance(claim, BoundClaim):
        cell, bound = (
            printed_cell(claim.table, None, claim.label, claim.metric),
            metric_info(claim.metric).upper_bound,
        )
        over = cell is not None and cell.value is not None and bound is not None and cell.value > bound
        return f"{claim.metric} cannot exceed {bound:g}" if over else None
    return claim.reason if isinstance(claim, ArgumentClaim) else None
