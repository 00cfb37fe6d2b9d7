"""What the budgets of students were spent on, in words."""

from __future__ import annotations

from stepdown.report.figures import clean, count, percent, size
from stepdown.results import Results, Spent


def budgets(results: Results) -> tuple[str, ...]:
    """What the budgets of all rungs that have one were spent on, a sentence each."""
    built = {cell.position: (cell.model, cell.spent) for cell in results.cells if cell.spent}
    return tuple(spending(position, *found) for position, found in sorted(built.items()))


def spending(position: int, model: str, spent: Spent) -> str:
    """What the budget of a rung was spent on, in one sentence."""
    budget = size(spent.max_bytes) if spent.max_bytes else f"{spent.max_params or 0:,} parameters"
    held: dict[str, list[str]] = {}
    for table in spent.tables:
        held.setdefault(table.holds, []).append(f"{table.rows:,} × {table.columns}")
    rows = "; ".join(f"{what} {' + '.join(sizes)}" for what, sizes in held.items())
    network = f"{count(spent.network_parameters)} in the network"
    if spent.hidden:
        network += f", of hidden size {spent.hidden}"
    return clean(
        f"Rung {position} ({model}): of at most {budget}, {count(spent.table_parameters)} parameters are in tables "
        f"({rows}) and {network}; the vocabulary holds {percent(spent.coverage)} of the running words of the train "
        "texts whole."
    )
