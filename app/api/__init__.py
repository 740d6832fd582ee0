"""HTTP: routes, schemas, the table of status codes, the page."""
