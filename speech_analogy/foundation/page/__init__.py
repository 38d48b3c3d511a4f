"""The furniture of pages: templates, one style sheet, chart axes, numbers and durations in words."""
