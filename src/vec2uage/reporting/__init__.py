"""From folders of finished runs to tables, figures, statistics and one page."""
