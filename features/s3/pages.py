"""The lines below a new token that print its S3 key."""

from hub.site.panels import Pages, Panel

PAGES = Pages(panels=(Panel("new-token", "s3/key.html"),))
