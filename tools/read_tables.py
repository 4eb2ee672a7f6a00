#!/usr/bin/env python3
"""Reads the exports of one reel with DuckDB and says what is in them.

    python3 tools/read_tables.py BASE     reads BASE.parquet, BASE.csv and BASE.jsonl; totals as JSON

Needs the package duckdb (its Parquet, CSV and JSON readers are in the wheel).
"""

import json
import sys

import duckdb

COLUMNS = {
    "t_ns": "UBIGINT", "seq": "UBIGINT", "kind": "VARCHAR", "request": "UBIGINT", "class": "VARCHAR",
    "part": "USMALLINT", "attempt": "USMALLINT", "component": "VARCHAR", "peer": "VARCHAR",
    "outcome": "VARCHAR", "value": "UBIGINT",
}
TYPES = COLUMNS | {"detail": "MAP(VARCHAR, VARCHAR)"}


def totals(db, table):
    """What every format must agree on."""
    numbers = db.execute(
        f"""select count(*), min(t_ns), max(t_ns), sum(value)::varchar, sum(seq)::varchar, count(request),
            count(distinct request), sum(part), sum(attempt), count(peer), count(outcome), count(detail) from {table}"""
    ).fetchone()
    names = ["rows", "first_t_ns", "last_t_ns", "value_sum", "seq_sum", "with_request", "requests", "part_sum",
             "attempt_sum", "with_peer", "with_outcome", "with_detail"]
    answer = dict(zip(names, numbers))
    answer["kinds"] = dict(db.execute(f"select kind, count(*) from {table} group by kind order by kind").fetchall())
    for column in ["component", "class"]:
        rows = f"select {column}, count(*) from {table} where {column} is not null group by 1 order by 1"
        answer[column] = dict(db.execute(rows).fetchall())
    # Each fact of each record, by its event.
    facts = db.execute(
        f"select seq, detail from {table} where detail is not null order by seq"
    ).fetchall()
    answer["facts"] = [[seq, dict(sorted(detail.items()))] for seq, detail in facts]
    return answer


def main(base):
    db = duckdb.connect()
    parquet = f"read_parquet('{base}.parquet')"
    # Typed by the file itself: no type is given here.
    types = {name: kind for name, kind, *_ in db.execute(f"describe select * from {parquet}").fetchall()}
    wall = types.pop("wall_clock", None)
    problems = [] if types == TYPES else [f"the columns are {types}"]
    listed = ", ".join(f"'{name}': '{kind}'" for name, kind in COLUMNS.items())
    csv = f"read_csv('{base}.csv', header = true, columns = {{{listed}, 'detail': 'VARCHAR'}})"
    listed += ", 'detail': 'MAP(VARCHAR, VARCHAR)'"
    lines = f"read_json('{base}.jsonl', format = 'newline_delimited', columns = {{{listed}}})"
    db.execute(f"create table rows as select * from {csv}")
    db.execute("create table csv as select * replace (detail::json::map(varchar, varchar) as detail) from rows")
    answer = {"parquet": totals(db, parquet), "csv": totals(db, "csv"), "jsonl": totals(db, lines)}
    for other in ["csv", "jsonl"]:
        for key, value in answer["parquet"].items():
            if answer[other][key] != value:
                problems.append(f"{key} is {value} in Parquet and {answer[other][key]} in {other}")
    about = db.execute(f"select decode(key), decode(value) from parquet_kv_metadata('{base}.parquet')").fetchall()
    told = answer["parquet"]
    told["records"] = len(told.pop("facts"))
    if wall is not None:
        first = f"select epoch_ns(min(wall_clock)) - min(t_ns)::bigint, epoch_ns(max(wall_clock)) - max(t_ns)::bigint from {parquet}"
        told["started_at_unix_ns"], again = db.execute(first).fetchone()
        if told["started_at_unix_ns"] != again:
            problems.append("the wall clock does not run with the time")
    told["about"] = dict(about)
    print(json.dumps(told | {"problems": problems, "holds": not problems}))
    return 1 if problems else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: read_tables.py BASE")
    sys.exit(main(sys.argv[1]))
