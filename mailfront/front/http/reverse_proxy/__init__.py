"""The HTTPS service as a reverse proxy to a webmail behind it (`service.http.upstream`).

`create_proxy` gives an aiohttp application like the one of the webmail that is part of mailfront.
Which server, over which connection, is not known here: `interfaces.web_servers` is the contract.
"""
