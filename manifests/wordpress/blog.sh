#!/bin/sh
# User data of the blog server: WordPress behind Apache, on the database of the other server.
#
# stackward renders this file (70-blog.yaml names the values); db_host is the address that the database server really
# got, so this server is not made before that one is there. Lines that begin with "auto-dep:" show up in the server's
# console log.
set -eu

# The values. Quoted here-documents take any character that a password or a title may hold.
db_host='{{ db_host }}'
db_name='{{ db_name }}'
db_user='{{ db_user }}'
db_password=$(cat <<'VALUE'
{{ db_password }}
VALUE
)
title=$(cat <<'VALUE'
{{ title }}
VALUE
)
admin_password=$(cat <<'VALUE'
{{ admin_password }}
VALUE
)

say() { echo "auto-dep: $*"; }
give_up() { say "$*"; exit 1; }
# quoted TEXT: TEXT between single quotes, as PHP reads it
quoted() { printf "'%s'" "$(printf %s "$1" | sed "s/[\\\\']/\\\\&/g")"; }

# 1. Packages: only what the image lacks.
missing=
for package in apache2 libapache2-mod-php php-mysql wordpress mariadb-client curl; do
  dpkg-query -W -f '${Status}' "$package" 2> /dev/null | grep -q 'ok installed' || missing="$missing $package"
done
if [ -n "$missing" ]; then
  say "installing$missing"
  export DEBIAN_FRONTEND=noninteractive
  apt-get update
  # shellcheck disable=SC2086  # a list of words
  apt-get install -y --no-install-recommends $missing
fi

# 2. WordPress: where the database is, and who may read that.
cat > /etc/wordpress/config-default.php <<PHP
<?php
define('DB_HOST', $(quoted "$db_host"));
define('DB_NAME', $(quoted "$db_name"));
define('DB_USER', $(quoted "$db_user"));
define('DB_PASSWORD', $(quoted "$db_password"));
define('WP_CONTENT_DIR', '/var/lib/wordpress/wp-content');
define('WP_HOME', 'http://' . \$_SERVER['HTTP_HOST']);
define('WP_SITEURL', WP_HOME);
define('WP_HTTP_BLOCK_EXTERNAL', true);
define('DISABLE_WP_CRON', true);
PHP
chown root:www-data /etc/wordpress/config-default.php
chmod 0640 /etc/wordpress/config-default.php

# 3. Apache serves WordPress and nothing else.
cat > /etc/apache2/sites-available/wordpress.conf <<'CONF'
<VirtualHost *:80>
  DocumentRoot /usr/share/wordpress
  Alias /wp-content /var/lib/wordpress/wp-content
  <Directory /usr/share/wordpress>
    Options FollowSymLinks
    DirectoryIndex index.php
    Require all granted
  </Directory>
  <Directory /var/lib/wordpress/wp-content>
    Options FollowSymLinks
    Require all granted
  </Directory>
</VirtualHost>
CONF
echo "ServerName $(hostname)" > /etc/apache2/conf-enabled/servername.conf
rm -f /etc/apache2/sites-enabled/000-default.conf
ln -sfn ../sites-available/wordpress.conf /etc/apache2/sites-enabled/wordpress.conf

# 4. The database server may still be busy with its own first boot.
waited=0
until MYSQL_PWD="$db_password" mariadb -h "$db_host" -u "$db_user" --connect-timeout=5 -e 'SELECT 1' "$db_name" > /dev/null 2>&1; do
  waited=$((waited + 1))
  [ "$waited" -le 450 ] || give_up "no database at $db_host"
  sleep 2
done
say "database at $db_host answers after $(cut -d. -f1 /proc/uptime) s"

# 5. The blog itself. A database that holds one already (an older blog server made it) is left as it is.
php <<PHP
<?php
\$_SERVER['HTTP_HOST'] = 'localhost';
define('WP_INSTALLING', true);
function wp_mail() { return true; }
require '/usr/share/wordpress/wp-load.php';
require_once ABSPATH . 'wp-admin/includes/upgrade.php';
if (!is_blog_installed()) {
    wp_install($(quoted "$title"), 'admin', 'admin@example.com', true, '', $(quoted "$admin_password"));
}
PHP
say "WordPress installed after $(cut -d. -f1 /proc/uptime) s"
systemctl enable -q apache2
systemctl restart apache2
curl -s -o /dev/null -w 'auto-dep: first page %{http_code} in %{time_total} s\n' http://localhost/
say "blog ready after $(cut -d. -f1 /proc/uptime) s"
