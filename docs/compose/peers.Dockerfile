# What stands behind the front ends of compose.yaml: slapd, Dovecot 2.3, and openssl.
FROM debian:bookworm-slim
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends \
    dovecot-imapd openssl slapd \
 && rm -rf /var/lib/apt/lists/*
