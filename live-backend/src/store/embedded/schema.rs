//! The tables, made on first start and brought up to date on later ones.
//!
//! Belongs here: table definitions and their version. Does not belong here: queries.

use crate::store::StoreError;
use rusqlite::Connection;

/// Version of the tables below; kept in the file's `user_version`.
const VERSION: i64 = 7;

const TABLES: &str = "
CREATE TABLE signups (
  user_id INTEGER PRIMARY KEY AUTOINCREMENT,
  username TEXT NOT NULL,
  email TEXT NOT NULL UNIQUE,
  password_hash TEXT NOT NULL,
  email_verified INTEGER NOT NULL DEFAULT 0,
  verification_hash TEXT,
  welcome_email_id TEXT,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX signups_by_verification ON signups (verification_hash);
CREATE TABLE logins (
  id INTEGER PRIMARY KEY,
  user_id INTEGER,
  login_successful INTEGER NOT NULL,
  session_id TEXT,
  token_hash TEXT,
  email_id TEXT,
  in_app_id TEXT,
  created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX logins_by_user ON logins (user_id, id);
CREATE TABLE sessions (
  session_id TEXT PRIMARY KEY,
  user_id INTEGER NOT NULL,
  refresh_hash TEXT NOT NULL UNIQUE,
  created_at INTEGER NOT NULL,
  refreshed_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  ended_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_by_user ON sessions (user_id, created_at);
CREATE TABLE purchases (
  id TEXT PRIMARY KEY, user_id INTEGER NOT NULL, item TEXT NOT NULL, amount REAL NOT NULL,
  currency TEXT NOT NULL, email_id TEXT, in_app_id TEXT, created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE friend_requests (
  id TEXT PRIMARY KEY, from_user_id INTEGER NOT NULL, to_user_id INTEGER NOT NULL,
  email_id TEXT, in_app_id TEXT, created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE reset_passwords (
  id TEXT PRIMARY KEY, user_id INTEGER NOT NULL, token_hash TEXT NOT NULL,
  email_id TEXT, expires_at INTEGER NOT NULL, created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE notifications (
  id TEXT PRIMARY KEY,
  channel TEXT NOT NULL,
  type TEXT NOT NULL,
  user_id INTEGER NOT NULL,
  title TEXT NOT NULL,
  message TEXT NOT NULL,
  priority TEXT NOT NULL,
  status TEXT NOT NULL,
  attempts INTEGER NOT NULL DEFAULT 0,
  job_id INTEGER,
  message_id TEXT,
  socket_id TEXT,
  delivered_at INTEGER,
  read_at INTEGER,
  expires_at INTEGER,
  created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX notifications_by_user ON notifications (user_id, channel, created_at);
CREATE TABLE deliveries (
  id INTEGER PRIMARY KEY,
  notification_id TEXT NOT NULL,
  at INTEGER NOT NULL,
  status TEXT NOT NULL,
  attempt INTEGER NOT NULL,
  tier TEXT NOT NULL,
  code INTEGER,
  reason TEXT
) STRICT;
CREATE INDEX deliveries_by_notification ON deliveries (notification_id, id);
CREATE TABLE jobs (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  channel TEXT NOT NULL,
  state TEXT NOT NULL,
  notification_id TEXT NOT NULL,
  user_id INTEGER NOT NULL,
  kind TEXT NOT NULL,
  priority TEXT NOT NULL,
  attempt INTEGER NOT NULL,
  station TEXT,
  due_at INTEGER,
  created_at INTEGER NOT NULL,
  run TEXT,
  part TEXT,
  is_missed INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX jobs_by_state ON jobs (state, id);
CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE INDEX notifications_by_job ON notifications (job_id);
CREATE INDEX in_app_jobs_by_user ON jobs (user_id, id) WHERE channel = 'in-app';
CREATE TABLE administrators (user_id INTEGER PRIMARY KEY, since INTEGER NOT NULL) STRICT;
";

/// Version 2 knows which request of which recorded run a job is of.
const FROM_1: &str = "ALTER TABLE jobs ADD COLUMN run TEXT; ALTER TABLE jobs ADD COLUMN part TEXT;";

const FROM_2: &str = "
ALTER TABLE signups ADD COLUMN verification_hash TEXT;
CREATE UNIQUE INDEX signups_by_verification ON signups (verification_hash);
ALTER TABLE notifications ADD COLUMN job_id INTEGER;
";

/// Version 4 keeps what operators set, and finds a notification by its job.
const FROM_3: &str = "
CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE INDEX notifications_by_job ON notifications (job_id);
";

/// Version 5 knows which notifications found their user away, and finds the jobs of a user.
const FROM_4: &str = "
ALTER TABLE jobs ADD COLUMN is_missed INTEGER NOT NULL DEFAULT 0;
CREATE INDEX in_app_jobs_by_user ON jobs (user_id, id) WHERE channel = 'in-app';
";

/// Version 6 knows administrators.
const FROM_5: &str = "
CREATE TABLE administrators (user_id INTEGER PRIMARY KEY, since INTEGER NOT NULL) STRICT;
";

/// Version 7 knows by which token a login is found, and every open job's notification by the job: files
/// that began at version 1 or 2 came up to 6 without.
const FROM_6: &str = "
ALTER TABLE logins ADD COLUMN token_hash TEXT;
UPDATE notifications SET job_id = jobs.id FROM jobs
  WHERE jobs.notification_id = notifications.id AND notifications.job_id IS NULL;
";

/// Makes the tables in an empty file; refuses a file that a newer version wrote.
pub(super) fn prepare(connection: &Connection) -> Result<(), StoreError> {
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let steps: &[&str] = match version {
        VERSION => return Ok(()),
        0 => &[TABLES],
        1 => &[FROM_1, FROM_2, FROM_3, FROM_4, FROM_5, FROM_6],
        2 => &[FROM_2, FROM_3, FROM_4, FROM_5, FROM_6],
        3 => &[FROM_3, FROM_4, FROM_5, FROM_6],
        4 => &[FROM_4, FROM_5, FROM_6],
        5 => &[FROM_5, FROM_6],
        6 => &[FROM_6],
        other => {
            return Err(StoreError::Corrupt {
                what: format!("the tables have version {other}, this program knows {VERSION}"),
            });
        }
    };
    let steps = steps.concat();
    connection.execute_batch(&format!(
        "BEGIN IMMEDIATE; {steps} PRAGMA user_version = {VERSION}; COMMIT;"
    ))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn columns(connection: &Connection) -> BTreeSet<String> {
        let mut statement = connection
            .prepare(
                "SELECT m.name || '.' || c.name FROM sqlite_master m, pragma_table_info(m.name) c \
                 WHERE m.type = 'table'",
            )
            .unwrap();
        let names = statement.query_map([], |row| row.get(0)).unwrap();
        names.collect::<Result<_, _>>().unwrap()
    }

    #[test]
    fn older_files_get_what_new_ones_have() {
        let new = Connection::open_in_memory().unwrap();
        prepare(&new).unwrap();
        for version in [1, 2, 3, 4, 5, 6] {
            let old = Connection::open_in_memory().unwrap();
            prepare(&old).unwrap();
            old.execute_batch("ALTER TABLE logins DROP COLUMN token_hash;")
                .unwrap();
            if version < 6 {
                old.execute_batch("DROP TABLE administrators;").unwrap();
            }
            if version < 5 {
                old.execute_batch(
                    "DROP INDEX in_app_jobs_by_user; ALTER TABLE jobs DROP COLUMN is_missed;",
                )
                .unwrap();
            }
            if version < 4 {
                old.execute_batch("DROP TABLE settings; DROP INDEX notifications_by_job;")
                    .unwrap();
            }
            if version < 3 {
                old.execute_batch(
                    "DROP INDEX signups_by_verification; ALTER TABLE signups DROP COLUMN verification_hash; \
                     ALTER TABLE notifications DROP COLUMN job_id;",
                )
                .unwrap();
            }
            if version == 1 {
                old.execute_batch(
                    "ALTER TABLE jobs DROP COLUMN run; ALTER TABLE jobs DROP COLUMN part;",
                )
                .unwrap();
            }
            old.execute_batch(
                "INSERT INTO notifications (id, channel, type, user_id, title, message, priority, status, \
                 created_at) VALUES ('n1', 'email', 'signup', 1, '', '', 'low', 'pending', 5); \
                 INSERT INTO jobs (id, channel, state, notification_id, user_id, kind, priority, attempt, \
                 created_at) VALUES (7, 'email', 'waiting', 'n1', 1, 'signup', 'low', 1, 5); \
                 INSERT INTO logins (user_id, login_successful, session_id, created_at) VALUES (1, 1, 's', 5);",

            )
            .unwrap();
            old.pragma_update(None, "user_version", version).unwrap();
            assert_ne!(columns(&old), columns(&new));
            prepare(&old).unwrap();
            assert_eq!(columns(&old), columns(&new), "from version {version}");
            let job: Option<i64> = old
                .query_row("SELECT job_id FROM notifications", [], |row| row.get(0))
                .unwrap();
            assert_eq!(job, Some(7), "from version {version}");
            let login: (String, Option<String>) = old
                .query_row("SELECT session_id, token_hash FROM logins", [], |row| {
                    Ok((row.get(0)?, row.get(1)?))
                })
                .unwrap();
            assert_eq!(login, ("s".to_owned(), None), "from version {version}");
        }
        new.pragma_update(None, "user_version", VERSION + 1)
            .unwrap();
        assert!(prepare(&new).is_err());
    }
}
