"""One thing wrong in an otherwise valid file gives one fault, with its sentence, at its line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

import pytest
import yaml
from _pytest.mark.structures import ParameterSet

from ingestion.errors import Fault

KEY = "        primaryKey: true\n        primaryKeyPosition: 1\n        required: true\n        unique: true\n"
CITY = (
    "      - name: city\n        physicalName: CITY\n        logicalType: string\n        physicalType: VARCHAR2(80)\n"
)
CITY_TYPE = "        logicalType: string\n        physicalType: VARCHAR2(80)\n"
SEGMENT_QUALITY = (
    "          - {id: segment_known, type: library, metric: invalidValues, "
    "arguments: {validValues: [Consumer, Small Business, Corporate, Public Sector]}, "
    "mustBe: 0, dimension: conformity, severity: error}\n"
)
REQUIRED_WATERMARK = "        physicalType: TIMESTAMP(6)\n        required: true\n        description: Watermark."
NULLABLE_WATERMARK = "        physicalType: TIMESTAMP(6)\n        description: Watermark."
CREDIT = "logicalTypeOptions: {minimum: 0}"


def case(name: str, old: str, new: str, sentence: str, *, at: str | None = None) -> ParameterSet:
    """`at` is the text whose first line is expected; without it the new text, "" for the whole file."""
    return pytest.param(old, new, sentence, new if at is None else at, id=name)


def city(options: str) -> str:
    return CITY_TYPE + f"        {options}\n"


def quality(entry: str) -> str:
    return f"          - {entry}\n"


# fmt: off
FILE = [
    case("not YAML", "kind: DataContract", "kind: [DataContract", "is not YAML: did not find expected ',' or ']'; nothing after this place was checked", at="id: erp.customers"),
    case("duplicate key", "status: active", "status: active\nkind: DataContract", "the key kind is there twice; keep one of them", at="kind: DataContract\nname"),
    case("alias", "serviceName: ${ERP_SERVICE}", "serviceName: &service ${ERP_SERVICE}\n    database: *service", "an alias repeats this value; write it out where it is used", at="    serviceName"),
    case("unknown key of the file", "status: active", "statuss: active", "statuss is no known key; did you mean status?"),
    case("unknown key of a column", "        physicalName: CITY", "        physcalName: x\n        physicalName: CITY", "schema[0].properties[7].physcalName is no known key; did you mean physicalName?"),
    case("unknown key of the SLA", "driver: operational", "pilot: operational", "slaProperties[0].pilot is no known key; remove it"),
    case("text where true or false stands", "required: true\n        unique: true", "required: always\n        unique: true", "schema[0].properties[0].required must be true or false"),
    case("list where text stands", "name: ERP customers", "name: [ERP]", "name must be text; put it in quotes"),
    case("number where text stands", "version: 1.0.0", "version: 1.0", "version must be text; put it in quotes"),
]
HEAD = [
    case("older standard", "apiVersion: v3.1.0", "apiVersion: v3.0.2", "apiVersion must be v3.1.x or v3.2.x; write `apiVersion: v3.1.0`"),
    case("no apiVersion", "apiVersion: v3.1.0\n", "", "apiVersion must be v3.1.x or v3.2.x; write `apiVersion: v3.1.0`", at=""),
    case("other kind", "kind: DataContract", "kind: DataProduct", "kind must be DataContract; write `kind: DataContract`"),
    case("no kind", "kind: DataContract\n", "", "kind must be DataContract; write `kind: DataContract`", at=""),
    case("no id", "id: erp.customers\n", "", "id is missing; write `id: erp.customers`", at=""),
    case("id without system", "id: erp.customers", "id: customers", "id is customers; write <system>.<entity>, each lower case letters, digits and single _, beginning with a letter"),
    case("id with a double underscore", "id: erp.customers", "id: erp.my__customers", "id is erp.my__customers; write <system>.<entity>, each lower case letters, digits and single _, beginning with a letter"),
    case("id of another place", "id: erp.customers", "id: erp.clients", "id is erp.clients, but the file stands at the place of erp.customers; correct the id or move the file"),
    case("no version", "version: 1.0.0\n", "", "version must be major.minor.patch; write e.g. `version: 1.0.0`", at=""),
    case("version with two numbers", "version: 1.0.0", "version: '1.0'", "version must be major.minor.patch; write e.g. `version: 1.0.0`"),
    case("no server", "servers:\n  - server: erp\n    type: oracle\n    host: ${ERP_HOST}\n    port: 1521\n    serviceName: ${ERP_SERVICE}\n", "", "servers names no database; write one of type duckdb, oracle or sqlserver", at=""),
    case("unknown kind of server", "type: oracle", "type: postgres", "servers[0].type is postgres; write duckdb, oracle or sqlserver"),
    case("server without a type", "    type: oracle\n", "", "servers[0] has no type; write duckdb, oracle or sqlserver", at="  - server: erp"),
    case("two dialects", "serviceName: ${ERP_SERVICE}\n", "serviceName: ${ERP_SERVICE}\n  - {server: copy, type: duckdb}\n", "servers mixes duckdb and oracle; a contract is read from one kind of database", at="servers:"),
    case("a host by name", "${ERP_HOST}", "db1.corp.example", "servers[0].host names a place, which a contract never does; write e.g. ${ERP_HOST} and keep the address in the connection"),
    case("a password", "    port: 1521", "    password: tiger\n    port: 1521", "servers[0].password looks like a secret; remove it, the connection keeps secrets", at="    password"),
    case("a password in a value", "${ERP_SERVICE}", "scott/tiger@erp", "servers[0].serviceName looks like a secret; remove it, the connection keeps secrets", at="    serviceName"),
    case("a token among custom properties", "customProperties:\n", "customProperties:\n  - {property: apiToken, value: x}\n", "customProperties[0].value looks like a secret; remove it, the connection keeps secrets", at="  - {property: apiToken"),
]
TABLE = [
    case("two tables", "slaProperties:", "  - {name: more, physicalName: RETAIL.MORE}\nslaProperties:", "schema holds 2 tables; a contract is about exactly one, write one file per table", at="schema:"),
    case("table without a physical name", "    physicalName: RETAIL.CUSTOMERS\n", "", "the table has no physicalName; write its name in the source, e.g. RETAIL.CUSTOMERS", at="  - name: customers"),
    case("too many parts", "RETAIL.CUSTOMERS", "DB.RETAIL.CUSTOMERS", "DB.RETAIL.CUSTOMERS is no table name; write at most 2 parts with dots between them"),
]
COLUMNS = [
    case("no name", "      - name: city\n        physicalName: CITY", "      - physicalName: CITY", "a column has no name; write name, as the lake shall call it"),
    case("nothing but a description", CITY, "      - description: x\n      - name: city\n" + CITY.partition("\n")[2], "a column has no name; write name, as the lake shall call it", at="      - description: x"),
    case("upper case name", "name: city", "name: City", "City: is not a column name; write lower case letters, digits and _, and begin with a letter"),
    case("name of a lake column", "name: city", "name: _batch", "_batch: names that start with _ are kept for the lake's own columns; write e.g. batch"),
    case("name of a Silver column", "name: city", "name: row_hash", "row_hash: is a column that Silver adds itself; write e.g. source_row_hash and keep physicalName as it is"),
    case("our name twice", "name: city", "name: region", "name region is there twice (upper and lower case count as one); keep one column of it", at="name: region\n        physicalName: CITY"),
    case("source name twice but for case", "physicalName: CITY", "physicalName: Region", "physicalName Region is there twice (upper and lower case count as one); keep one column of it"),
    case("no physical name", "        physicalName: CITY\n", "", "city: physicalName is missing; write the name as the source's catalog has it", at="      - name: city"),
    case("blank physical name", "physicalName: CITY", 'physicalName: " "', "city: physicalName is missing; write the name as the source's catalog has it"),
    case("no physical type", CITY_TYPE, "        logicalType: string\n", "city: physicalType is missing; write it as the source declares it", at="      - name: city"),
    case("no logical type", CITY_TYPE, "        physicalType: VARCHAR2(80)\n", "city: logicalType is missing; write e.g. string, integer, number, boolean, date or timestamp", at="      - name: city"),
    case("unknown physical type", "VARCHAR2(80)", "SDO_GEOMETRY", "city: SDO_GEOMETRY is not a type that oracle contracts can use"),
    case("physical type of another dialect", "VARCHAR2(80)", "UNIQUEIDENTIFIER", "city: UNIQUEIDENTIFIER is not a type that oracle contracts can use"),
    case("open precision", "NUMBER(14,2)", "NUMBER", "credit_limit: NUMBER leaves precision and scale open; write e.g. NUMBER(20,4)", at="        physicalType: NUMBER\n"),
    case("precision that is no number", "NUMBER(14,2)", "NUMBER(many)", "credit_limit: NUMBER(many) has a precision or scale that is not a whole number in range"),
    case("types that disagree", "logicalType: number", "logicalType: timestamp", "credit_limit: logicalType timestamp does not fit physicalType NUMBER(14,2) (decimal128(14, 2))", at="        physicalType: NUMBER(14,2)"),
    case("nested columns", CITY, CITY + "        properties: [{name: a}]\n", "city: properties nests columns; the columns of a table are flat, remove it", at="        properties: [{"),
    case("personal watermark", "        description: Watermark. Set", "        classification: pii\n        description: Watermark. Set", "warning: lake.watermark: updated_at is personal, and commits and the ledger hold its values; name another column", at="      watermark: updated_at"),
    case("personal data without a class", "        classification: pii\n        description: International", "        description: International", "warning: phone: looks personal, but has no classification; write e.g. `classification: pii`", at="      - name: phone"),
]
KEYS = [
    case("no key", KEY, "        required: true\n", "no column is the key; write `primaryKey: true` at each column of it", at="    properties:"),
    case("key positions with a hole", "primaryKeyPosition: 1", "primaryKeyPosition: 2", "the key has the positions 2; number its columns 1 to 1 with primaryKeyPosition"),
    case("key column without a position", CITY, CITY + "        primaryKey: true\n        required: true\n", "the key has the positions 1, 0; number its columns 1 to 2 with primaryKeyPosition", at="        primaryKeyPosition: 1"),
    case("position without a key", CITY, CITY + "        primaryKeyPosition: 2\n", "city: has a primaryKeyPosition without primaryKey: true; add it or remove the position", at="        primaryKeyPosition: 2"),
    case("nullable key", KEY, KEY.replace("        required: true\n", ""), "customer_id: a key column cannot be null; write `required: true`", at="      - name: customer_id"),
    case("decimal key", "NUMBER(12)", "NUMBER(20)", "customer_id: a key cannot be decimal128(20, 0); declare at most 18 digits and no fraction (each value is guarded; the source's own type as `sourceType` in the column's lake block), or write `logicalType: string` to keep it as exact text"),
    case("float key", "logicalType: integer\n        physicalType: NUMBER(12)", "logicalType: number\n        physicalType: BINARY_DOUBLE", "customer_id: a key cannot be double; declare at most 18 digits and no fraction (each value is guarded; the source's own type as `sourceType` in the column's lake block), or write `logicalType: string` to keep it as exact text", at="        physicalType: BINARY_DOUBLE"),
]
RULES = [
    case("look-around in a pattern", "'^[0-9]{11}$'", "'^(?=1)[0-9]{11}$'", "tax_id: the pattern does not compile in RE2 (invalid perl operator: (?=); RE2 has no look-around and no back references, write it without"),
    case("pattern of a number", CREDIT, "logicalTypeOptions: {pattern: '^1'}", "credit_limit: pattern is for text, but the column is decimal128(14, 2); remove it"),
    case("negative length", "{maxLength: 120}", "{maxLength: -1}", "customer_name: maxLength must be a whole number, 0 or more"),
    case("crossed lengths", "{maxLength: 120}", "{maxLength: 120, minLength: 200}", "customer_name: minLength is more than maxLength, so no value fits"),
    case("bound of a text", "{maxLength: 120}", "{minimum: 1}", "customer_name: minimum is for numbers, days and moments, not for string; remove it"),
    case("bound that is no number", CREDIT, "logicalTypeOptions: {minimum: low}", "credit_limit: minimum low is not a number in plain digits"),
    case("bound with more digits than the column", CREDIT, "logicalTypeOptions: {minimum: 0.001}", "credit_limit: minimum 0.001 cannot be held exactly by decimal128(14, 2)"),
    case("fraction as a bound of whole numbers", KEY, KEY + "        logicalTypeOptions: {minimum: 0.5}\n", "customer_id: minimum 0.5 cannot be held exactly by int64", at="        logicalTypeOptions: {minimum: 0.5}"),
    case("yes as a boolean", "        logicalType: number\n        physicalType: NUMBER(14,2)\n        " + CREDIT, "        logicalType: boolean\n        physicalType: NUMBER(1)\n        enum: [{value: maybe}]", "credit_limit: enum: maybe is not true or false", at="        enum:"),
    case("instant without an offset", "        physicalType: TIMESTAMP(6)\n", "        physicalType: TIMESTAMP(6) WITH TIME ZONE\n        logicalTypeOptions: {minimum: '2020-01-01'}\n", "created_at: minimum 2020-01-01 has no offset, but the column holds instants; write e.g. 2026-01-31T00:00:00+00:00", at="        logicalTypeOptions: {minimum: '2020"),
    case("crossed bounds", CREDIT, "logicalTypeOptions: {minimum: 10, maximum: 9.99}", "credit_limit: minimum 10 and maximum 9.99 leave no value"),
    case("bounds that touch and exclude", CREDIT, "logicalTypeOptions: {exclusiveMinimum: 10, maximum: 10}", "credit_limit: exclusiveMinimum 10 and maximum 10 leave no value"),
    case("unknown option", CREDIT, "logicalTypeOptions: {minimun: 0}", "credit_limit: minimun is no option of a column; did you mean minimum?"),
    case("option that nobody runs", CREDIT, "logicalTypeOptions: {multipleOf: 5}", "warning: credit_limit: multipleOf is not run by the loader; it only informs"),
    case("moment with an offset on wall clock", REQUIRED_WATERMARK, "        logicalTypeOptions: {minimum: '2020-01-01T00:00:00Z'}\n" + REQUIRED_WATERMARK, "updated_at: minimum 2020-01-01T00:00:00Z has an offset, but the column holds wall clock of the source; leave the offset out", at="        logicalTypeOptions: {minimum: '2020"),
    case("empty enum", CITY_TYPE, city("enum: []"), "city: enum lists no value; list the allowed values or remove it", at="        enum: []"),
    case("enum with a null", CITY_TYPE, city("enum: [{value: null}]"), "city: enum lists a null or a structure; list single values (null is always allowed)", at="        enum:"),
    case("enum with a repetition", CITY_TYPE, city("enum: [{value: A}, {value: A}]"), "city: enum lists A twice; keep one", at="        enum:"),
    case("enum that the type cannot hold", CREDIT, "enum: [{value: many}]", "credit_limit: enum: many is not a number in plain digits"),
]
QUALITY = [
    case("two operators", SEGMENT_QUALITY, quality("{metric: nullValues, mustBe: 0, mustBeLessThan: 3}"), "quality nullValues of segment has mustBe and mustBeLessThan; write exactly one, e.g. mustBe: 0"),
    case("no operator", SEGMENT_QUALITY, quality("{metric: nullValues}"), "quality nullValues of segment has no operator; write exactly one, e.g. mustBe: 0"),
    case("unknown metric", SEGMENT_QUALITY, quality("{metric: nullValue, mustBe: 0}"), "quality nullValue of segment: nullValue is no metric; did you mean nullValues?"),
    case("no metric", SEGMENT_QUALITY, quality("{type: library, mustBe: 0}"), "quality 0 of segment names no metric; write one of duplicateValues, invalidValues, missingValues, nullValues"),
    case("metric of the table at a column", SEGMENT_QUALITY, quality("{metric: rowCount, mustBeGreaterThan: 0}"), "quality rowCount of segment: rowCount is about the table; move it to the quality of the object"),
    case("unknown type", SEGMENT_QUALITY, quality("{type: soda, metric: nullValues, mustBe: 0}"), "quality nullValues of segment: type is soda; write library, sql, custom or text"),
    case("unknown unit", SEGMENT_QUALITY, quality("{metric: nullValues, mustBe: 0, unit: share}"), "quality nullValues of segment: unit is share; write rows or percent"),
    case("percent over 100", SEGMENT_QUALITY, quality("{metric: nullValues, mustBeLessThan: 120, unit: percent}"), "quality nullValues of segment: mustBeLessThan is out of 0 to 100 percent"),
    case("unknown severity", SEGMENT_QUALITY, quality("{metric: nullValues, mustBe: 0, severity: info}"), "quality nullValues of segment: severity is info; write error or warning"),
    case("operand that is no number", SEGMENT_QUALITY, quality("{metric: nullValues, mustBe: none}"), "quality nullValues of segment: mustBe must be a number"),
    case("list where one number stands", SEGMENT_QUALITY, quality("{metric: nullValues, mustBe: [1]}"), "quality nullValues of segment: mustBe must be a number"),
    case("one value where a list stands", SEGMENT_QUALITY, quality("{metric: invalidValues, arguments: {validValues: A}, mustBe: 0}"), "quality invalidValues of segment: validValues must be a list"),
    case("valid value that the type cannot hold", CREDIT, CREDIT + "\n        quality: [{id: x, metric: invalidValues, arguments: {validValues: [many]}, mustBe: 0}]", "quality x of credit_limit: validValues: many is not a number in plain digits", at="        quality: [{id: x"),
    case("unknown column of a table check", "slaProperties:", "    quality: [{id: x, metric: duplicateValues, arguments: {properties: [town]}, mustBe: 0}]\nslaProperties:", "quality x: town is no column; remove it", at="    quality: [{id: x"),
    case("pair in the wrong order", SEGMENT_QUALITY, quality("{metric: nullValues, mustBeBetween: [5, 1]}"), "quality nullValues of segment: mustBeBetween must have its smaller number first"),
    case("unknown argument", SEGMENT_QUALITY, quality("{metric: invalidValues, arguments: {validValues: [A], valid: [B]}, mustBe: 0}"), "quality invalidValues of segment: valid is no argument of invalidValues; did you mean validValues?"),
    case("no argument", SEGMENT_QUALITY, quality("{metric: invalidValues, mustBe: 0}"), "quality invalidValues of segment: invalidValues needs arguments; write validValues or pattern"),
    case("no valid value", SEGMENT_QUALITY, quality("{metric: invalidValues, arguments: {validValues: []}, mustBe: 0}"), "quality invalidValues of segment: validValues lists no value; list the allowed values or remove it"),
    case("pattern outside RE2", SEGMENT_QUALITY, quality(r"{metric: invalidValues, arguments: {pattern: '(a)\1'}, mustBe: 0}"), r"quality invalidValues of segment: the pattern does not compile in RE2 (invalid escape sequence: \1); RE2 has no look-around and no back references, write it without"),
    case("id twice", "id: region_known", "id: segment_known", "quality segment_known of region: the id is there twice; give each check its own", at="          - {id: segment_known, type: library, metric: invalidValues, arguments: {validValues: [North"),
    case("SQL that nobody runs", SEGMENT_QUALITY, quality("{id: x, type: sql, query: SELECT 1, mustBe: 0}"), "warning: quality x of segment: type sql is not run by the loader; it only informs"),
]
LAKE = [
    case("no lake block", "property: lake", "property: pond", "customProperties has no property lake; write it with at least timezone and mode", at="customProperties:"),
    case("two lake blocks", "customProperties:\n", "customProperties:\n  - {property: lake, value: {timezone: UTC, mode: full}}\n", "the property lake is there twice; write one", at="  - property: lake"),
    case("lake block that is a word", "property: lake\n    value:\n", "property: lake\n    value: full\n  - property: other\n    value:\n", "lake must be a mapping; write at least timezone and mode", at="    value: full"),
    case("unknown key", "overlap: PT2H", "overlaps: PT2H", "lake.overlaps is no known key; did you mean overlap?"),
    case("no time zone", "      timezone: America/Sao_Paulo\n", "", "lake.timezone: is missing; write the zone of the source's clock, e.g. America/Sao_Paulo", at="    value:\n"),
    case("unknown time zone", "America/Sao_Paulo", "America/Sao_Paolo", "lake.timezone: America/Sao_Paolo is no IANA time zone; did you mean America/Sao_Paulo?"),
    case("no mode", "      mode: incremental\n", "", "lake.mode: is missing; write full, incremental or changes", at="    value:\n"),
    case("unknown mode", "mode: incremental", "mode: delta", "lake.mode must be one of full, incremental, changes"),
    case("changes on Oracle", "mode: incremental\n      watermark: updated_at\n      overlap: PT2H\n", "mode: changes\n", "lake.mode: changes is for sqlserver, but the source is oracle; write full or incremental"),
    case("incremental without a watermark", "      watermark: updated_at\n      overlap: PT2H\n", "", "lake.watermark: is missing; mode incremental needs it: name the column that grows with each change", at="    value:\n"),
    case("unknown watermark", "watermark: updated_at", "watermark: update_at", "lake.watermark: update_at is no column of the table; did you mean updated_at?"),
    case("nullable watermark", REQUIRED_WATERMARK, NULLABLE_WATERMARK, "lake.watermark: updated_at may be null; say what becomes of such rows: `nullWatermark: include` (loaded, and read again by each load), `quarantine` or `fail`", at="      watermark:"),
    case("rows without a required watermark", "overlap: PT2H", "overlap: PT2H\n      nullWatermark: include", "lake.nullWatermark: include loads rows without updated_at, which is `required: true`; remove one of the two", at="      nullWatermark"),
    case("rows without a watermark that there is not", "mode: incremental\n      watermark: updated_at\n      overlap: PT2H", "mode: full\n      nullWatermark: fail", "lake.nullWatermark: is about rows without a watermark, and the block names none; remove it", at="      nullWatermark"),
    case("unknown policy for rows without a watermark", "overlap: PT2H", "overlap: PT2H\n      nullWatermark: ignore", "lake.nullWatermark must be one of include, quarantine, fail", at="      nullWatermark"),
    case("watermark that is text", "watermark: updated_at", "watermark: customer_name", "lake.watermark: customer_name is string; name a timestamp, a date or a 64-bit number"),
    case("overlap on a number", "watermark: updated_at", "watermark: customer_id", "lake.overlap: is a duration, but the watermark customer_id is a number; remove it", at="      overlap"),
    case("negative overlap", "overlap: PT2H", "overlap: -PT2H", "lake.overlap: is negative; write a duration of zero or more, e.g. PT2H"),
    case("overlap in seconds", "overlap: PT2H", "overlap: 7200", "lake.overlap must be an ISO 8601 duration, e.g. PT2H or P1D"),
    case("overlap in mode full", "mode: incremental\n      watermark: updated_at\n", "mode: full\n", "lake.overlap: is about windows of a watermark, and mode full reads none; remove it", at="      overlap"),
    case("unknown sequence", "overlap: PT2H", "overlap: PT2H\n      sequence: scn", "lake.sequence: scn is no column of the table; remove it", at="      sequence"),
    case("sequence that is text", "overlap: PT2H", "overlap: PT2H\n      sequence: city", "lake.sequence: city is string; a sequence is a whole number", at="      sequence"),
    case("unknown tracked column", "overlap: PT2H", "overlap: PT2H\n      tracked: [city, mail]", "lake.tracked[1]: mail is no column of the table; did you mean email?", at="      tracked"),
    case("tracked key", "overlap: PT2H", "overlap: PT2H\n      tracked: [customer_id]", "lake.tracked[0]: customer_id is a key, which never changes; remove it", at="      tracked"),
    case("unknown deletes", "deletes: keys", "deletes: close", "lake.deletes must be one of keys, changes, none"),
    case("deletes from a feed that is not read", "deletes: keys", "deletes: changes", "lake.deletes: changes needs mode changes, but mode is incremental; write keys or none"),
    case("share over 100", "maxDeletePercent: 20", "maxDeletePercent: 120", "lake.maxDeletePercent must be 100 or less"),
    case("negative share", "failPercent: 10", "failPercent: -1", "lake.quarantine.failPercent must be 0 or more"),
    case("share that is text", "maxDeletePercent: 20", "maxDeletePercent: a lot", "lake.maxDeletePercent must be a number"),
    case("warn above fail", "{warnPercent: 0, failPercent: 10}", "{warnPercent: 20, failPercent: 10}", "lake.quarantine: warnPercent is more than failPercent; write it lower, to warn before a load fails"),
    case("warn above the usual limit", "{warnPercent: 0, failPercent: 10}", "{warnPercent: 20}", "lake.quarantine: warnPercent is more than failPercent; write it lower, to warn before a load fails"),
    case("warning gap above critical", "warningGapPercent: 0", "warningGapPercent: 2", "lake.reconcile: warningGapPercent is more than criticalGapPercent; write it lower"),
    case("grain of an hour", "grain: month", "grain: hour", "lake.reconcile.grain must be one of day, month, year"),
    case("unknown reconcile column", "partition: created_at", "partition: created", "lake.reconcile.partition: created is no column of the table; did you mean created_at?"),
    case("reconcile by text", "partition: created_at", "partition: city", "lake.reconcile.partition: city is string; name a date or timestamp column"),
    case("unknown Bronze partition", "overlap: PT2H", "overlap: PT2H\n      partition: day", "lake.partition: day is no column of the table; remove it", at="      partition: day"),
    case("Bronze partition by a moment", "overlap: PT2H", "overlap: PT2H\n      partition: created_at", "lake.partition: created_at is timestamp[us]; name a date column or remove it", at="      partition: created_at"),
    case("overwrite of windows", "deletes: keys", "deletes: none\n      bronze: overwrite", "lake.bronze: overwrite needs mode full, but mode is incremental; write append or merge", at="      bronze"),
    case("deletes of what is overwritten", "mode: incremental\n      watermark: updated_at\n      overlap: PT2H", "mode: full\n      bronze: overwrite", "lake.deletes: has no meaning where bronze is overwrite (what is gone is gone); write none", at="      deletes"),
    case("no rows in a chunk", "overlap: PT2H", "overlap: PT2H\n      chunkRows: 0", "lake.chunkRows must be 1 or more", at="      chunkRows"),
    case("adding what was removed", "overlap: PT2H", "overlap: PT2H\n      onDrift: {removedColumn: add}", "lake.onDrift.removedColumn must be one of fail, ignore", at="      onDrift"),
    case("model with a dash", "silver: stg_customers", "silver: stg-customers", "lake.silver: stg-customers is no model name; write lower case letters, digits and _"),
    case("freshness without a unit", "unit: h, ", "", "freshness has the unit (none); write m, h or d", at="  - {property: freshness"),
    case("freshness that is no number", "value: 24", "value: soon", "freshness must be a number above 0, e.g. `value: 24` with `unit: h`"),
]

# fmt: on


@pytest.mark.parametrize(
    ("old", "new", "sentence", "at"), [*FILE, *HEAD, *TABLE, *COLUMNS, *KEYS, *RULES, *QUALITY, *LAKE]
)
def test_fault_is_told_at_its_line(
    patched: Callable[..., str], faults_of: Callable[[str], list[Fault]], old: str, new: str, sentence: str, at: str
) -> None:
    text = patched((old, new))
    line = text[: text.index(at)].count("\n") + 1 if at else 0
    place = f"erp/customers.odcs.yaml:{line}" if line else "erp/customers.odcs.yaml"

    assert [str(fault) for fault in faults_of(text)] == [f"{place}: {sentence}"]


def test_table_without_columns_has_no_other_fault(customers_text: str, faults_of: Callable[[str], list[Fault]]) -> None:
    start, end = customers_text.index("    properties:\n"), customers_text.index("slaProperties:")

    faults = faults_of(customers_text[:start] + "    properties: []\n" + customers_text[end:])

    assert [(fault.line, fault.message) for fault in faults] == [
        (27, "the table has no columns; list them under properties")
    ]


def test_file_without_a_table_has_no_other_fault(customers_text: str, faults_of: Callable[[str], list[Fault]]) -> None:
    start, end = customers_text.index("schema:\n"), customers_text.index("slaProperties:")

    assert [str(fault) for fault in faults_of(customers_text[:start] + customers_text[end:])] == [
        "erp/customers.odcs.yaml: schema holds no table; a contract is about exactly one, write one file per table"
    ]


def test_every_fault_of_a_file_is_told_at_once(
    patched: Callable[..., str], faults_of: Callable[[str], list[Fault]]
) -> None:
    text = patched(("kind: DataContract", "kind: X"), ("NUMBER(14,2)", "MONEY"), ("mode: incremental", "mode: delta"))

    assert [(fault.line, fault.message.partition(" ")[0]) for fault in faults_of(text)] == [
        (2, "kind"),
        (92, "credit_limit:"),
        (120, "lake.mode"),
    ]


def test_no_fault_repeats_a_secret(patched: Callable[..., str], faults_of: Callable[[str], list[Fault]]) -> None:
    text = patched(("    port: 1521", "    password: hunter2\n    host: db1.corp.example"))

    told = " ".join(str(fault) for fault in faults_of(text))

    assert "hunter2" not in told
    assert "db1.corp" not in told


def _paths(data: Any, at: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    if at:
        yield at
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for step, value in items:
        yield from _paths(value, (*at, step))


@pytest.mark.parametrize("wrong", [None, [None], {"a": 1}], ids=repr)
def test_wrong_shape_anywhere_is_a_fault_or_no_matter_and_never_a_crash(
    customers_text: str, faults_of: Callable[[str], list[Fault]], wrong: object
) -> None:
    whole = yaml.safe_load(customers_text)
    del whole["schema"][0]["properties"][1:-3]  # columns of a kind tell nothing new

    for path in list(_paths(whole)):
        data = deepcopy(whole)
        block = data
        for step in path[:-1]:
            block = block[step]
        block[path[-1]] = wrong

        faults = faults_of(yaml.safe_dump(data))

        assert all(fault.message for fault in faults)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty file"),
        pytest.param("- a list\n", id="list"),
        pytest.param("a: 1\n---\nb: 2\n", id="two documents"),
        pytest.param("a: &x [*x]\n", id="alias of itself"),
        pytest.param("a: !python/object:os.system {}\n", id="foreign tag"),
        pytest.param("? [a, b]\n: c\n", id="key that is a list"),
        pytest.param("a: \x00\n", id="control character"),
    ],
)
def test_text_that_is_no_contract_is_a_fault(faults_of: Callable[[str], list[Fault]], text: str) -> None:
    assert faults_of(text)
