"""mailfront: a TLS front end for mail.

It terminates TLS for SMTP, IMAP, POP3 and HTTP, decides who the peer is, and hands the
authenticated session to a backend. Data and imports go one way:
listener, TLS, protocol front, authentication, backend.
"""
