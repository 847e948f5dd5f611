"""Stand-ins for the widgets of CTK and of Slicer: ordinary PySide6 widgets with the names, properties and signals of
the originals."""
