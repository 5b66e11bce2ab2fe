"""The order of a page: `_sort`, and the place behind a cursor.

Ties are broken by the resource's key in the direction of the last sort parameter; missing values come last.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from service.fhir.conditions import Query
from service.fhir.parameters import SearchParameter
from service.store.clauses import TABLES
from service.store.numbering import parameter_number

# PostgreSQL makes a join of an EXISTS, or a table of all that it could find, unless it has an offset: then it is asked
# for each row that the rest yields, which is what the statement is made for.
PROBED = "LIMIT 1 OFFSET 0"
STREAMED = {"date", "number", "quantity"}  # their indexes stand in the order of (value, key)


def streams(query: Query) -> bool:
    """Whether an index yields the resources in the order that is asked for."""
    if len(query.sort) != 1 or query.parts:
        return False
    parameter, _ = query.sort[0]
    if parameter.parts:
        return False
    return parameter.code == "_lastUpdated" or parameter.type in STREAMED


def order(query: Query) -> str:
    """The ORDER BY of the columns m.s0, m.s1 … and m.key."""
    parts = []
    for place, (_, descending) in enumerate(query.sort):
        parts += [f"m.s{place} IS NULL", f"m.s{place}{' DESC' if descending else ''}"]
    return ", ".join([*parts, f"m.key{' DESC' if query.sort[-1][1] else ''}"])


def gathered(
    parts: Sequence[tuple[Query, Any]], cursor: tuple[Any, ...] | None, limit: int
) -> tuple[str, tuple[Any, ...], str]:
    """All matches of each type's query (with the Sql of its keys), sorted and cut: text, values, ORDER BY."""
    texts, values = [], []
    for query, keys in parts:
        columns, joins, column_values, join_values = [], [], [], []
        for place, (parameter, descending) in enumerate(query.sort):
            column, join, value = _column(query.type, parameter, descending, place)
            columns.append(f"{column} AS s{place}")
            joins.append(join)
            (join_values if join else column_values).extend(value)
        texts.append(
            f"SELECT * FROM (WITH k AS MATERIALIZED ({keys.text}) SELECT k.key, {', '.join(columns)} "
            f"FROM k{''.join(joins)}) q"
        )
        values += [*keys.values, *column_values, *join_values]
    query = parts[0][0]
    after, after_values = _after(query, cursor)
    text = f"SELECT m.* FROM ({' UNION ALL '.join(texts)}) m WHERE {after} ORDER BY {order(query)} LIMIT ?"
    return text, (*values, *after_values, limit), order(query)


def _column(type_: str, parameter: SearchParameter, descending: bool, place: int) -> tuple[str, str, tuple[Any, ...]]:
    """The sort value of `k.key`: by probe where the table can be probed by resource, else by a grouped join."""
    if parameter.code in ("_id", "_lastUpdated"):
        name = "id" if parameter.code == "_id" else "seq"  # versions are numbered in the order of their times
        return f"(SELECT o.{name} FROM resource o WHERE o.key = k.key)", "", ()
    pick = "max" if descending else "min"
    column = {"token": "code", "uri": "value", "string": "folded"}.get(parameter.type, "low")
    table = TABLES[parameter.type]
    numbers = tuple(parameter_number(type_, part.code) for part in parameter.parts or (parameter,))
    among = f"IN ({','.join('?' * len(numbers))})"
    if parameter.type in ("token", "uri"):
        grouped = f"(SELECT key, {pick}({column}) AS s FROM {table} WHERE param {among} "
        grouped += "AND key IN (SELECT key FROM k) GROUP BY key)"
        return f"j{place}.s", f" LEFT JOIN {grouped} j{place} ON j{place}.key = k.key", numbers
    if parameter.type == "reference":  # by the id that it leads to
        joined = "reference_index o JOIN resource t ON t.key = o.target"
        return f"(SELECT {pick}(t.id) FROM {joined} WHERE o.key = k.key AND o.param {among})", "", numbers
    return f"(SELECT {pick}(o.{column}) FROM {table} o WHERE o.key = k.key AND o.param {among})", "", numbers


def _after(query: Query, cursor: tuple[Any, ...] | None) -> tuple[str, list[Any]]:
    """The rows behind the cursor (sort values…, key)."""
    if cursor is None:
        return "1 = 1", []
    alternatives, values, same, same_values = [], [], [], []
    for place, (_, descending) in enumerate(query.sort):
        if cursor[place] is not None:
            column = f"m.s{place}"
            later = f"({column} {'<' if descending else '>'} ? OR {column} IS NULL)"
            alternatives.append(" AND ".join([*same, later]))
            values += [*same_values, cursor[place]]
            same.append(f"{column} = ?")
            same_values.append(cursor[place])
        else:
            same.append(f"m.s{place} IS NULL")
    alternatives.append(" AND ".join([*same, f"m.key {'<' if query.sort[-1][1] else '>'} ?"]))
    return f"({' OR '.join(f'({a})' for a in alternatives)})", [*values, *same_values, cursor[-1]]


def streamed(
    query: Query,
    type_number: int,
    conditions: Sequence[str],
    values: Sequence[Any],
    cursor: tuple[Any, ...] | None,
    limit: int,
) -> tuple[str, list[Any]]:
    """The matches in the order of the sort parameter's index, as (key, s0); `conditions` test `d.key`."""
    (parameter, descending) = query.sort[0]
    sign, way = ("<", " DESC") if descending else (">", "")
    if parameter.code == "_lastUpdated":
        text = (
            "SELECT d.key AS key, d.seq AS s0 FROM version d WHERE d.type = ? AND EXISTS (SELECT 1 FROM resource c "
            f"WHERE c.key = d.key AND c.seq = d.seq AND NOT c.deleted {PROBED})"
        )
        first, column = [type_number], "d.seq"
    else:
        # Of several values of one resource the smallest counts, or the largest.
        other = f"o.key = d.key AND o.param = d.param AND (o.low {'>' if descending else '<'} d.low"
        rest = (
            "o.high > d.high"
            if parameter.type != "quantity"
            else "(o.high, o.code, o.system) > (d.high, d.code, d.system)"
        )
        table = TABLES[parameter.type]
        text = (
            f"SELECT d.key AS key, d.low AS s0 FROM {table} d WHERE d.param = ? AND NOT EXISTS "
            f"(SELECT 1 FROM {table} o WHERE {other} OR (o.low = d.low AND {rest})))"
        )
        first, column = [parameter_number(query.type, parameter.code)], "d.low"
    where = "".join(f" AND {condition}" for condition in conditions)
    found = [*first, *values]
    if cursor is not None:
        if cursor[0] is None:
            return f"{text} AND 1 = 0 LIMIT ?", [*first, limit]
        where += f" AND {column} {sign}= ? AND ({column} {sign} ? OR d.key {sign} ?)"
        found += [cursor[0], cursor[0], cursor[-1]]
    # Sequence numbers have no ties, and PostgreSQL streams the index only where nothing else is asked for.
    ties = "" if parameter.code == "_lastUpdated" else f", d.key{way}"
    return f"{text}{where} ORDER BY {column}{way}{ties} LIMIT ?", [*found, limit]
