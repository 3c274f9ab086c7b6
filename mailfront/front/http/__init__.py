"""Webmail: sign in, read, write and send mail in a browser, the status page, and autoconfig.

`create_application` gives an aiohttp application that expects to be served over TLS only.
Everything it needs stands behind interfaces; it knows no store and no directory.
"""
