"""The comparison of arms, and the tables that show it: terminal, Markdown, LaTeX, CSV and JSON."""
