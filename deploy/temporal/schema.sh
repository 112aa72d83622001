#!/bin/sh
# Makes Temporal's two databases in PostgreSQL, and brings their schema to the version of this image. Runs at every `up`.
# Where and as whom: SQL_PLUGIN, SQL_HOST, SQL_PORT, SQL_USER, SQL_PASSWORD, which temporal-sql-tool reads.
set -eu

versions=/etc/temporal/schema/postgresql/v12

# bring DATABASE FOLDER
bring() {
  temporal-sql-tool --db "$1" create
  # Leaves a later version as it is.
  temporal-sql-tool --db "$1" setup-schema --version 0.0
  temporal-sql-tool --db "$1" update-schema --schema-dir "$versions/$2/versioned"
}

bring temporal temporal
bring temporal_visibility visibility
