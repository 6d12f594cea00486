{#
    The events of the batches after `since`: how many, and when the oldest happened, in microseconds since 1970 (null
    where there is none).
#}
{% macro scd2_news(events, since) -%}
select count(*) as events, {{ epoch_us('min(_eff)') }} as oldest from {{ events }} where _batch > {{ since }}
{%- endmacro %}
