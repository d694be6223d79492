"""Charts, pictures and maps: for the page as SVG and WebP, for papers as SVG, PDF, PNG and CSV."""
