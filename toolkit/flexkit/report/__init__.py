"""Reports: the schema of report.json, statistics, comparison, history and the HTML page."""
