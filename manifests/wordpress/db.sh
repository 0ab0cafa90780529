#!/bin/sh
# User data of the database server: MariaDB, with its data directory on the attached volume.
#
# stackward renders this file (60-db.yaml names the values), the cloud hands it to the server, and cloud-init runs it as
# root at the first boot. It is written so that it may find the volume used before: a server that was deleted and made
# again finds its data where it left them. Lines that begin with "auto-dep:" show up in the server's console log.
set -eu

# The values. Quoted here-documents take any character that a password may hold.
device='{{ device }}'
db_name='{{ db_name }}'
db_user='{{ db_user }}'
db_password=$(cat <<'VALUE'
{{ db_password }}
VALUE
)

say() { echo "auto-dep: $*"; }
give_up() { say "$*"; exit 1; }
# quoted TEXT: TEXT between single quotes, as SQL reads it
quoted() { printf "'%s'" "$(printf %s "$1" | sed "s/[\\\\']/\\\\&/g")"; }

# 1. Packages: only what the image lacks.
missing=
for package in mariadb-server e2fsprogs; do
  dpkg-query -W -f '${Status}' "$package" 2> /dev/null | grep -q 'ok installed' || missing="$missing $package"
done
if [ -n "$missing" ]; then
  say "installing$missing"
  export DEBIAN_FRONTEND=noninteractive
  apt-get update
  # shellcheck disable=SC2086  # a list of words
  apt-get install -y --no-install-recommends $missing
fi
systemctl stop mariadb

# 2. The volume. It is attached once the server runs, so wait for it; only a volume without a file system gets one.
waited=0
until [ -b "$device" ]; do
  waited=$((waited + 1))
  [ "$waited" -le 600 ] || give_up "no volume at $device"
  sleep 1
done
say "volume $device is there"
if ! blkid "$device" > /dev/null; then
  say "making a file system on $device"
  mkfs.ext4 -q -L mysql "$device"
fi
mkdir -p /srv/mysql
mount "$device" /srv/mysql
echo 'LABEL=mysql /srv/mysql ext4 defaults,nofail 0 2' >> /etc/fstab

# 3. MariaDB on the volume. Without the volume it must not start at all, rather than start with empty data.
if [ -d /srv/mysql/data ]; then
  say 'the volume holds a database already'
else
  cp -a /var/lib/mysql /srv/mysql/data
fi
chown -R mysql:mysql /srv/mysql/data
cat > /etc/mysql/mariadb.conf.d/90-auto-dep.cnf <<'CONF'
[mariadbd]
datadir = /srv/mysql/data
bind-address = 0.0.0.0
skip-name-resolve
performance_schema = OFF
CONF
mkdir -p /etc/systemd/system/mariadb.service.d
cat > /etc/systemd/system/mariadb.service.d/volume.conf <<'UNIT'
[Unit]
RequiresMountsFor=/srv/mysql
UNIT
systemctl daemon-reload
systemctl enable -q mariadb
systemctl start mariadb

# 4. The blog's database and its user.
mariadb <<SQL
CREATE DATABASE IF NOT EXISTS \`$db_name\` CHARACTER SET utf8mb4;
CREATE USER IF NOT EXISTS $(quoted "$db_user")@'%';
ALTER USER $(quoted "$db_user")@'%' IDENTIFIED BY $(quoted "$db_password");
GRANT ALL PRIVILEGES ON \`$db_name\`.* TO $(quoted "$db_user")@'%';
FLUSH PRIVILEGES;
SQL
say "data directory on $(df --output=source /srv/mysql | tail -1), mounted at /srv/mysql"
say "database ready after $(cut -d. -f1 /proc/uptime) s"
