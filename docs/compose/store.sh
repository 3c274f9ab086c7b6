#!/bin/sh
# Dovecot 2.3 for the users whose mailHost it is: store.sh NAME SITE HOME.
set -eu
name=$1 site=$2 home=$3
mkdir -p "$home/mail"
chown nobody:nogroup "$home/mail"
printf '%s\n' 'alice@example.test:{PLAIN}alice-secret' 'bob@example.test:{PLAIN}bob-secret' \
    > "$home/users"
cat > "$home/dovecot.conf" <<END
base_dir = $home/run
log_path = /dev/stderr
protocols = imap
listen = ${LISTEN:-*}
ssl = required
ssl_cert = <$site/$name.pem
ssl_key = <$site/$name.key
# The front ends, whose word on their clients' addresses is taken.
login_trusted_networks = ${TRUSTED:-172.16.0.0/12 192.168.0.0/16 10.0.0.0/8}
auth_mechanisms = plain login
mail_location = maildir:$home/mail/%u
mail_uid = nobody
mail_gid = nogroup
first_valid_uid = 1
first_valid_gid = 1
default_internal_user = nobody
default_login_user = nobody
default_internal_group = nogroup
service anvil {
  chroot =
}
service stats {
  chroot =
}
service imap-login {
  chroot =
  inet_listener imap {
    port = 0
  }
  inet_listener imaps {
    port = 993
  }
}
passdb {
  driver = passwd-file
  args = $home/users
}
userdb {
  driver = static
  args = home=$home/mail/%u
}
END
exec dovecot -F -c "$home/dovecot.conf"
