"""A small backend to copy from: the routes of the bootcamp's Flask app on `cruddur_messages.store`, and one page."""
