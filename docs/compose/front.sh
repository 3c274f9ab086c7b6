#!/bin/sh
# A front end: a server root of its own, copied once, and the server on it.
set -eu
umask 077
if [ ! -e "$MAILFRONT_HOME" ]; then
    rm -rf "$MAILFRONT_HOME.new"
    cp -R /site/root "$MAILFRONT_HOME.new"
    mv "$MAILFRONT_HOME.new" "$MAILFRONT_HOME"
fi
exec mailfront serve
