"""Text and figures as people see them: what is safe to print, tables to export."""
