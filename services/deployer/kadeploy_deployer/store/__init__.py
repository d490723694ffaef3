"""The deployer's database: tables, repositories, migrations. Rows stop here."""
