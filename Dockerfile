# mailfront on Debian 13 (Python 3.13, OpenSSL 3.5), without root.
#
#   docker build --tag mailfront .
#   docker run --rm --volume mailfront:/var/lib/mailfront --publish 2993:2993 mailfront
#
# By default it makes a demonstration server in the volume and serves it; for a server root of
# your own: docker run … mailfront serve

FROM debian:trixie-slim AS build
RUN apt-get update \
 && apt-get install --yes --no-install-recommends python3 python3-venv \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /usr/src/mailfront
COPY pyproject.toml README.md ./
COPY config ./config
COPY mailfront ./mailfront
RUN python3 -m venv /opt/mailfront \
 && /opt/mailfront/bin/pip install --no-cache-dir '.[redis]'

FROM debian:trixie-slim
RUN apt-get update \
 && apt-get install --yes --no-install-recommends python3 \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --system --uid 990 --user-group --home-dir /var/lib/mailfront mailfront \
 && install --directory --owner=mailfront --group=mailfront --mode=0700 /var/lib/mailfront
COPY --from=build /opt/mailfront /opt/mailfront
ENV PATH=/opt/mailfront/bin:$PATH MAILFRONT_HOME=/var/lib/mailfront PYTHONUNBUFFERED=1
USER mailfront
VOLUME /var/lib/mailfront
# SMTP, submission, submissions, IMAP, IMAPS, POP3, POP3S, HTTPS
EXPOSE 2525 2587 2465 2143 2993 2110 2995 2443
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s CMD ["mailfront", "status"]
ENTRYPOINT ["mailfront"]
CMD ["quickstart", "--listen", "0.0.0.0"]
