"""A run's report to hand on: Markdown, one HTML file and its charts as SVG, made from the same blocks."""
