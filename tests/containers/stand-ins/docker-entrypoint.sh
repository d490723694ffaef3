#!/bin/bash
# Stands for the entry point of the official image: makes the database at the first start, with the password of root from
# MARIADB_ROOT_PASSWORD_FILE, and becomes the server.
set -euo pipefail

if [[ ! -d /var/lib/mysql/mysql ]]; then
    mariadb-install-db --skip-test-db --auth-root-authentication-method=normal >/dev/null
    password=$(<"$MARIADB_ROOT_PASSWORD_FILE")
    # --init-file takes one statement a line.
    {
        echo "ALTER USER root@localhost IDENTIFIED BY '$password';"
        echo "CREATE USER root@'${MARIADB_ROOT_HOST:-%}' IDENTIFIED BY '$password';"
        echo "GRANT ALL ON *.* TO root@'${MARIADB_ROOT_HOST:-%}' WITH GRANT OPTION;"
        echo "CREATE USER healthcheck@localhost;"
    } >/tmp/init.sql
    exec "$@" --bind-address=0.0.0.0 --init-file=/tmp/init.sql
fi
exec "$@" --bind-address=0.0.0.0
