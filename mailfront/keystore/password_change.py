"""Another password for the certificate database, in the database and in `sslpassword.conf`.

These are two files, and between them a crash may come at any moment; afterwards the password in
`sslpassword.conf` must open the database whatever happened. So for a while both passwords do:

1. the database gets the data key under the new password, beside the one under the old;
2. the new password is written into `sslpassword.conf`, by replacing the file;
3. the data key under the old password goes.

After an interruption the command is given again, with the password that `sslpassword.conf` holds,
and settles what was left. The data key and thereby all rows stay as they are: a server that runs
notices nothing. Takes both paths and passwords; raises `KeystoreError`.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from mailfront.interfaces.secret import Secret
from mailfront.keystore import data_key, passwords, schema, sealing
from mailfront.keystore.directory_lock import locked_directory
from mailfront.keystore.nicknames import INTERNAL_TOKEN


def change_password(
    database: Path, sslpassword_conf: Path, password: Secret, new_password: Secret
) -> bool:
    """Let `new_password` open the database in place of `password`, durably.

    Returns whether `sslpassword.conf` was written: only where it has a line of the database. The
    cost of a derivation stays. Raises `KeystoreError` if `password` is wrong; then, and after any
    other error, the password in `sslpassword.conf` opens the database.
    """
    with (
        locked_directory(database.parent),
        closing(schema.open_file(database)) as connection,
        schema.plain_errors(database),
    ):
        noted = _noted_password(sslpassword_conf)
        try:
            data_key.open_keys(connection, database, password)
            present, _ = data_key.opened_by(connection, database, password)
        except sealing.SealError as error:
            raise data_key.wrong_password(database) from error
        new = sealing.rewrap_data_key(present, password, new_password, present.cost)
        kept = _kept(connection, database, present, noted)
        with schema.transaction(connection):
            data_key.write(connection, kept)
            others = [new] if kept == present else [present, new]
            data_key.write_others(connection, others)
        if noted is not None:
            passwords.write_password(sslpassword_conf, INTERNAL_TOKEN, new_password)
        with schema.transaction(connection):
            data_key.write(connection, new)
            data_key.write_others(connection, ())
        # The journal still holds pages with the old ones; whoever reads keeps it a while longer.
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return noted is not None


def was_interrupted(database: Path) -> bool:
    """Return whether a change of the password did not come to its end."""
    with closing(schema.open_file(database)) as connection, schema.plain_errors(database):
        return bool(data_key.read_others(connection, database))


def _noted_password(sslpassword_conf: Path) -> Secret | None:
    if not sslpassword_conf.exists():
        return None
    return passwords.find_password(sslpassword_conf, INTERNAL_TOKEN)


def _kept(
    connection: sqlite3.Connection,
    database: Path,
    present: sealing.SealedDataKey,
    noted: Secret | None,
) -> sealing.SealedDataKey:
    """Return what the password in `sslpassword.conf` opens: a crash must leave it opening.

    It need not be the password that was given, after an earlier interruption.
    """
    if noted is None:
        return present
    try:
        return data_key.opened_by(connection, database, noted)[0]
    except sealing.SealError:
        return present
