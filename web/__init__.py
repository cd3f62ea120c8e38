"""HTTP, and the commands that start it. The application is `web.app`: what only starts processes loads none of it."""
