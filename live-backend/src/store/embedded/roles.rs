//! Table `administrators`: users with that role.
//!
//! Belongs here: its rows. Does not belong here: accounts (users).

use super::users::user_by_id;
use super::{Embedded, signed};
use crate::models::{Role, UserId, WallMs};
use crate::store::StoreError;
use crate::store::roles::RoleChange;
use rusqlite::{Connection, params};

impl Embedded {
    pub(crate) async fn role_of(&self, user: UserId) -> Result<Role, StoreError> {
        self.read(move |connection| role_of(connection, user)).await
    }

    pub(crate) async fn set_role(
        &self,
        user: UserId,
        role: Role,
        now: WallMs,
    ) -> Result<RoleChange, StoreError> {
        self.write(move |connection| {
            if user_by_id(connection, user)?.is_none() {
                return Ok(RoleChange::Nobody);
            }
            let id = signed(user.0)?;
            match role {
                Role::Admin => {
                    connection.execute(
                        "INSERT OR IGNORE INTO administrators (user_id, since) VALUES (?1, ?2)",
                        params![id, now.to_stored()],
                    )?;
                }
                Role::User if role_of(connection, user)? == Role::User => {}
                Role::User => {
                    let sql = "SELECT COUNT(*) FROM administrators WHERE user_id <> ?1";
                    let others: i64 = connection.query_row(sql, [id], |row| row.get(0))?;
                    if others == 0 {
                        return Ok(RoleChange::LastAdmin);
                    }
                    let sql = "DELETE FROM administrators WHERE user_id = ?1";
                    connection.execute(sql, [id])?;
                }
            }
            Ok(RoleChange::Done)
        })
        .await
    }
}

fn role_of(connection: &Connection, user: UserId) -> Result<Role, StoreError> {
    let mut found = connection.prepare_cached("SELECT 1 FROM administrators WHERE user_id = ?1")?;
    Ok(if found.exists([signed(user.0)?])? {
        Role::Admin
    } else {
        Role::User
    })
}
