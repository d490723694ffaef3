#!/bin/bash
# Stands for the health check of the official image; its options ask for no more than this.
set -euo pipefail
mariadb --user=healthcheck --execute='SELECT 1' >/dev/null
