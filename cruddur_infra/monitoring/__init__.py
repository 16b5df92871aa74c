"""What watches the projection."""
