{#
    The number of events of batches after `since`, and when the oldest happened, in microseconds since 1970 (null if there
    are none).
#}
{% macro scd2_news(events, since) -%}
select count(*) as events, {{ epoch_us('min(_eff)') }} as oldest from {{ events }} where _batch > {{ since }}
{%- endmacro %}
