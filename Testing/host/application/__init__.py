"""The application around the scene: logics, files, views, layouts, main window and modules."""
