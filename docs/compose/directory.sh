#!/bin/sh
# slapd with the users of users.ldif: directory.sh SITE HOME.
set -eu
umask 077
site=$1 home=$2
here=$(dirname "$0")
schema=${SCHEMA:-/ldap/mailfront.schema}
rm -rf "$home"
mkdir -p "$home/data"
cat > "$home/slapd.conf" <<END
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
include /etc/ldap/schema/misc.schema
include $schema
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile $home/slapd.pid
TLSCertificateFile $site/directory.pem
TLSCertificateKeyFile $site/directory.key
database mdb
suffix "dc=example,dc=test"
directory $home/data
index objectClass,uid,mail,mailAlternateAddress,mailEquivalentAddress eq
access to attrs=userPassword by anonymous auth by * none
access to * by dn.exact="cn=mailfront,dc=example,dc=test" read by * none
END
slapadd -q -f "$home/slapd.conf" -l "$here/users.ldif"
exec slapd -d 0 -h "ldaps://${LISTEN:-}/" -f "$home/slapd.conf"
