#!/bin/sh
# A CA of this site and a certificate for each server behind the front ends: certificates.sh DIR.
set -eu
umask 077
site=$1
[ -e "$site/ca.pem" ] && exit 0
cd "$site"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 \
    -subj "/CN=Site CA" -keyout ca.key -out ca.pem.new
for name in directory store1 store2 shared-store; do
    openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$name" \
        -keyout "$name.key" -out "$name.csr"
    printf 'subjectAltName=DNS:%s\nextendedKeyUsage=serverAuth\n' "$name" > "$name.ext"
    openssl x509 -req -in "$name.csr" -CA ca.pem.new -CAkey ca.key -CAcreateserial -days 365 \
        -extfile "$name.ext" -out "$name.pem"
    rm "$name.csr" "$name.ext"
done
openssl rand -hex 32 > site.secret
chmod 755 .
chmod 644 ca.pem.new ./*.pem
# Last: its being there says that all of it is.
mv ca.pem.new ca.pem
