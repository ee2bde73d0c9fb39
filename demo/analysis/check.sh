#!/bin/bash
# Bash step: looks at what the others made.
set -euo pipefail
echo "$(($(wc -l <daily.csv) - 1)) days; the highest three:"
tail -n +2 daily.csv | sort -t, -k2,2nr | awk -F, 'NR <= 3 {printf "  %s  %7.1f kWh  at %s C\n", $1, $2, $4 + 0}'
head -c 8 chart.png | od -An -tx1 | grep '89 50 4e 47 0d 0a 1a 0a' >/dev/null && echo "chart.png is a PNG of $(stat -c %s chart.png) bytes"
grep -c '#' report.md >/dev/null && tar czf results.tgz summary.json daily.csv chart.png report.md
echo "packed results.tgz: $(tar tzf results.tgz | tr '\n' ' ')"
