"""Small widgets of the page."""
