"""The `.scale` language: text -> syntax tree -> checked module -> machine."""
