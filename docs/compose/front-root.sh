#!/bin/sh
# The server root that the front ends are copies of: front-root.sh SITE.
set -eu
umask 077
site=$1
root=$site/root
[ -e "$root" ] && exit 0
rm -rf "$site/root.new"
export MAILFRONT_HOME="$site/root.new"
mailfront init --domain example.test --demo
msgcert add-cert -C site-ca "$site/ca.pem"
cp "$site/site.secret" "$MAILFRONT_HOME/config/site.secret"
printf 'reader-secret\n' > "$MAILFRONT_HOME/config/ldappassword"
printf 'valkey-secret\n' > "$MAILFRONT_HOME/config/sharedstore.password"
configutil -i - < /compose/front.conf
chown -R 990:990 "$MAILFRONT_HOME"
chmod 755 "$MAILFRONT_HOME"
mv "$MAILFRONT_HOME" "$root"
