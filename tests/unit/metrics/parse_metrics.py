"""Parse a Prometheus text with the real parser and print every sample, for test_metrics.c:
one line `name{sorted labels} value` each, and `TYPE name type` lines first."""
import sys
from prometheus_client.parser import text_string_to_metric_families

families = list(text_string_to_metric_families(sys.stdin.read()))
for family in families:
    print("TYPE", family.name, family.type, "|", family.documentation)
for family in families:
    for sample in family.samples:
        labels = ",".join(f"{k}={v!r}" for k, v in sorted(sample.labels.items()))
        print(f"{sample.name}{{{labels}}} {sample.value!r}")
