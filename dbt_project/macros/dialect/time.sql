{# Moments, days and their parts in the SQL of each engine. Instants are UTC. #}

{#  The type of an instant.  #}
{% macro instant_type() -%}
    {{ adapter.dispatch('instant_type', 'lakehouse')() }}
{%- endmacro %}

{% macro duckdb__instant_type() -%}
    timestamp with time zone
{%- endmacro %}

{% macro spark__instant_type() -%}
    timestamp
{%- endmacro %}

{#  The type of a wall-clock time without time zone.  #}
{% macro wall_clock_type() -%}
    {{ adapter.dispatch('wall_clock_type', 'lakehouse')() }}
{%- endmacro %}

{% macro duckdb__wall_clock_type() -%}
    timestamp
{%- endmacro %}

{% macro spark__wall_clock_type() -%}
    timestamp_ntz
{%- endmacro %}

{#  The instant that many microseconds after 1970-01-01 00:00 UTC, as a constant.  #}
{% macro instant_of(microseconds) -%}
    {{ adapter.dispatch('instant_of', 'lakehouse')(microseconds) }}
{%- endmacro %}

{% macro duckdb__instant_of(microseconds) -%}
    make_timestamptz({{ microseconds }})
{%- endmacro %}

{% macro spark__instant_of(microseconds) -%}
    timestamp_micros({{ microseconds }})
{%- endmacro %}

{#  The instant of a timestamp without time zone, read as UTC.  #}
{% macro as_utc(moment) -%}
    {{ adapter.dispatch('as_utc', 'lakehouse')(moment) }}
{%- endmacro %}

{% macro duckdb__as_utc(moment) -%}
    ({{ moment }} at time zone 'UTC')
{%- endmacro %}

{% macro spark__as_utc(moment) -%}
    to_utc_timestamp({{ moment }}, 'UTC')
{%- endmacro %}

{#  An instant before all possible values.  #}
{% macro beginning_of_time() -%}
    {{ adapter.dispatch('beginning_of_time', 'lakehouse')() }}
{%- endmacro %}

{% macro duckdb__beginning_of_time() -%}
    timestamptz '-infinity'
{%- endmacro %}

{% macro spark__beginning_of_time() -%}
    timestamp '0001-01-01 00:00:00+00:00'
{%- endmacro %}

{#  An instant after all possible values.  #}
{% macro end_of_time() -%}
    {{ adapter.dispatch('end_of_time', 'lakehouse')() }}
{%- endmacro %}

{% macro duckdb__end_of_time() -%}
    timestamptz 'infinity'
{%- endmacro %}

{% macro spark__end_of_time() -%}
    timestamp '9999-12-31 23:59:59.999999+00:00'
{%- endmacro %}

{#  The day `number` days after `day`, or before it if the number is negative.  #}
{% macro add_days(day, number) -%}
    {{ adapter.dispatch('add_days', 'lakehouse')(day, number) }}
{%- endmacro %}

{% macro duckdb__add_days(day, number) -%}
    ({{ day }} + cast({{ number }} as integer))
{%- endmacro %}

{% macro spark__add_days(day, number) -%}
    date_add({{ day }}, cast({{ number }} as int))
{%- endmacro %}

{#  A query with one row `date_day` per day from `first` to `last`, both included; no row if either is null.  #}
{% macro days_between(first, last) -%}
    {{ adapter.dispatch('days_between', 'lakehouse')(first, last) }}
{%- endmacro %}

{% macro duckdb__days_between(first, last) -%}
    select cast(unnest(generate_series({{ first }}, {{ last }}, interval 1 day)) as date) as date_day
{%- endmacro %}

{% macro spark__days_between(first, last) -%}
    select explode(sequence({{ first }}, {{ last }}, interval 1 day)) as date_day
{%- endmacro %}

{#  Days since 1970-01-01 as a whole number.  #}
{% macro epoch_days(day) -%}
    {{ adapter.dispatch('epoch_days', 'lakehouse')(day) }}
{%- endmacro %}

{% macro duckdb__epoch_days(day) -%}
    ({{ day }} - date '1970-01-01')
{%- endmacro %}

{% macro spark__epoch_days(day) -%}
    unix_date({{ day }})
{%- endmacro %}

{#  Microseconds since 1970-01-01 00:00 (UTC, or the wall clock of a timestamp without time zone), a whole number.  #}
{% macro epoch_us(moment) -%}
    {{ adapter.dispatch('epoch_us', 'lakehouse')(moment) }}
{%- endmacro %}

{% macro duckdb__epoch_us(moment) -%}
    epoch_us({{ moment }})
{%- endmacro %}

{% macro spark__epoch_us(moment) -%}
    unix_micros(cast({{ moment }} as timestamp))
{%- endmacro %}

{#  The day of the week: 1 (Monday) to 7 (Sunday).  #}
{% macro iso_weekday(day) -%}
    {{ adapter.dispatch('iso_weekday', 'lakehouse')(day) }}
{%- endmacro %}

{% macro duckdb__iso_weekday(day) -%}
    isodow({{ day }})
{%- endmacro %}

{% macro spark__iso_weekday(day) -%}
    extract(dayofweek_iso from {{ day }})
{%- endmacro %}

{#  The year that the day's ISO week belongs to.  #}
{% macro iso_year(day) -%}
    {{ adapter.dispatch('iso_year', 'lakehouse')(day) }}
{%- endmacro %}

{% macro duckdb__iso_year(day) -%}
    isoyear({{ day }})
{%- endmacro %}

{% macro spark__iso_year(day) -%}
    extract(yearofweek from {{ day }})
{%- endmacro %}
