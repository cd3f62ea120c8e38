"""HTTP, and the commands that start it. The application is in `web.app`; what only starts processes loads none of it."""
