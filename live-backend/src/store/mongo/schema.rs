//! Collections, their validators and indexes, made on first start and brought up to date on later ones.
//!
//! Belongs here: what every writer must keep to, and the schema's version. Does not belong here: queries.

use super::{Mongo, names};
use crate::models::{Channel, EmailStatus, InAppStatus, NotificationType, Priority, TrackedStatus};
use crate::store::StoreError;
use futures_util::future::try_join_all;
use mongodb::bson::{Bson, Document, doc};
use mongodb::error::ErrorKind;
use mongodb::options::IndexOptions;
use mongodb::{Collection, Database, IndexModel};
use serde::{Deserialize, Serialize};

/// Version of what is below; kept in one document.
const VERSION: i64 = 4;
/// The document that keeps it.
const VERSION_ID: &str = "version";
/// What the server answers where a collection is there already.
const COLLECTION_EXISTS: i32 = 48;

/// Unique indexes of values that people choose or hold, and the fields they are of.
pub(super) const UNIQUE: &[(&str, &str)] = &[
    ("email_unique", "email"),
    ("refreshHash_unique", "refreshToken"),
];

/// Collection `schema`: which version the others have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Version {
    version: i64,
}

/// A collection as this version of the program wants it.
struct Wanted {
    name: &'static str,
    /// Name, how a value is checked.
    fields: Document,
    required: &'static [&'static str],
    indexes: Vec<IndexModel>,
}

/// Makes what is missing; refuses what a newer version made.
pub(super) async fn prepare(mongo: &Mongo) -> Result<(), StoreError> {
    let database = &mongo.inner.database;
    let versions: Collection<Version> = database.collection(names::SCHEMA);
    let found = versions.find_one(doc! { "_id": VERSION_ID }).await?;
    match found.map_or(0, |found| found.version) {
        VERSION => return Ok(()),
        // Steps from older versions come here; every part of them may run twice, as several processes start at once.
        // Version 3 knows administrators, version 4 by which token a login is found.
        0..=3 => {}
        other => {
            return Err(StoreError::Corrupt {
                what: format!("the collections have version {other}, this program knows {VERSION}"),
            });
        }
    }
    try_join_all(wanted().into_iter().map(|wanted| make(database, wanted))).await?;
    for counter in [names::USER_COUNTER, names::JOB_COUNTER, names::ROLE_COUNTER] {
        database
            .collection::<Document>(names::COUNTERS)
            .update_one(
                doc! { "_id": counter },
                doc! { "$setOnInsert": { "value": 0_i64 } },
            )
            .upsert(true)
            .await?;
    }
    versions
        .update_one(
            doc! { "_id": VERSION_ID },
            doc! { "$set": { "version": VERSION } },
        )
        .upsert(true)
        .await?;
    Ok(())
}

async fn make(database: &Database, wanted: Wanted) -> Result<(), StoreError> {
    let validator = doc! { "$jsonSchema": {
        "bsonType": "object",
        "required": wanted.required,
        "properties": wanted.fields,
    } };
    let created = database
        .create_collection(wanted.name)
        .validator(validator.clone())
        .await;
    if let Err(error) = created {
        let is_there = matches!(error.kind.as_ref(), ErrorKind::Command(failed) if failed.code == COLLECTION_EXISTS);
        if !is_there {
            return Err(error.into());
        }
        database
            .run_command(doc! {
                "collMod": wanted.name,
                "validator": validator,
                "validationLevel": "strict",
                "validationAction": "error",
            })
            .await?;
    }
    if !wanted.indexes.is_empty() {
        database
            .collection::<Document>(wanted.name)
            .create_indexes(wanted.indexes)
            .await?;
    }
    Ok(())
}

fn wanted() -> Vec<Wanted> {
    let mut all = people();
    all.extend(records());
    all.extend(deliveries());
    all
}

fn people() -> Vec<Wanted> {
    vec![
        Wanted {
            name: names::SIGNUPS,
            fields: doc! {
                "userId": { "bsonType": "long", "minimum": 1_i64 },
                "username": text(), "email": text(),
                "password": { "bsonType": "string", "pattern": "^\\$argon2id\\$" },
                "emailVerified": { "bsonType": "bool" },
                "verificationHash": text(),
                "welcomeEmail": told(),
                "createdAt": date(), "updatedAt": date(),
            },
            required: &[
                "userId",
                "username",
                "email",
                "password",
                "emailVerified",
                "createdAt",
                "updatedAt",
            ],
            indexes: vec![
                unique("userId_unique", doc! { "userId": 1 }),
                unique("email_unique", doc! { "email": 1 }),
                unique_where_there("verificationHash_unique", "verificationHash"),
                index(doc! { "welcomeEmail.status": 1, "userId": -1 }),
            ],
        },
        Wanted {
            name: names::LOGINS,
            fields: doc! {
                "_id": text(), "userId": { "bsonType": "long" }, "username": text(), "email": text(),
                "loginSuccessful": { "bsonType": "bool" }, "sessionId": text(),
                // A digest: what has another form, as a token would, is refused.
                "sessionToken": { "bsonType": "string", "pattern": "^[0-9a-f]{64}$" },
                "loginAlertEmail": told(), "loginInAppNotification": told(), "createdAt": date(),
            },
            required: &["loginSuccessful", "createdAt"],
            indexes: vec![
                index(doc! { "createdAt": -1, "_id": -1 }),
                index(doc! { "userId": 1, "createdAt": -1, "_id": -1 }),
                index(doc! { "loginAlertEmail.status": 1, "createdAt": -1, "_id": -1 }),
            ],
        },
        Wanted {
            name: names::SESSIONS,
            fields: doc! {
                "_id": text(), "userId": { "bsonType": "long" }, "refreshHash": text(),
                "createdAt": date(), "refreshedAt": date(), "expiresAt": date(), "endedAt": date(),
            },
            required: &[
                "userId",
                "refreshHash",
                "createdAt",
                "refreshedAt",
                "expiresAt",
            ],
            indexes: vec![
                unique("refreshHash_unique", doc! { "refreshHash": 1 }),
                index(doc! { "userId": 1, "createdAt": -1 }),
            ],
        },
    ]
}

fn records() -> Vec<Wanted> {
    vec![
        Wanted {
            name: names::PURCHASES,
            fields: doc! {
                "_id": text(), "userId": { "bsonType": "long" }, "item": text(),
                "amount": { "bsonType": "double" }, "currency": text(),
                "emailNotification": told(), "inAppNotification": told(), "createdAt": date(),
            },
            required: &["userId", "item", "amount", "currency", "createdAt"],
            indexes: vec![index(doc! { "userId": 1, "createdAt": -1 })],
        },
        Wanted {
            name: names::FRIEND_REQUESTS,
            fields: doc! {
                "_id": text(), "fromUserId": { "bsonType": "long" }, "toUserId": { "bsonType": "long" },
                "emailNotification": told(), "inAppNotification": told(), "createdAt": date(),
            },
            required: &["fromUserId", "toUserId", "createdAt"],
            indexes: vec![
                index(doc! { "toUserId": 1, "createdAt": -1 }),
                index(doc! { "fromUserId": 1, "createdAt": -1 }),
            ],
        },
        Wanted {
            name: names::RESET_PASSWORDS,
            fields: doc! {
                "_id": text(), "userId": { "bsonType": "long" }, "tokenHash": text(),
                "emailNotification": told(), "expiresAt": date(), "createdAt": date(),
            },
            required: &["userId", "tokenHash", "expiresAt", "createdAt"],
            indexes: vec![
                unique("tokenHash_unique", doc! { "tokenHash": 1 }),
                index(doc! { "userId": 1, "createdAt": -1 }),
            ],
        },
    ]
}

fn deliveries() -> Vec<Wanted> {
    let statuses = [
        (
            names::EMAIL_NOTIFICATIONS,
            names_of(EmailStatus::ALL, |status| status.name()),
        ),
        (
            names::IN_APP_NOTIFICATIONS,
            names_of(InAppStatus::ALL, |status| status.name()),
        ),
    ];
    let mut all: Vec<Wanted> = statuses
        .into_iter()
        .map(|(name, statuses)| Wanted {
            name,
            fields: doc! {
                "_id": text(),
                "type": { "enum": names_of(NotificationType::ALL, |kind| kind.name()) },
                "recipient": {
                    "bsonType": "object",
                    "required": ["userId", "username", "email"],
                    "properties": { "userId": { "bsonType": "long" }, "username": text(), "email": text() },
                },
                "title": text(), "message": text(),
                "status": { "enum": statuses },
                "priority": { "enum": names_of(Priority::ALL, |priority| priority.name()) },
                "attempts": { "bsonType": "long", "minimum": 0_i64 },
                "jobId": { "bsonType": "long" },
                "retryHistory": { "bsonType": "array" }, "deliveryHistory": { "bsonType": "array" },
                "messageId": text(), "socketId": text(), "recordId": text(),
                "deliveredAt": date(), "readAt": date(), "expiresAt": date(), "createdAt": date(),
            },
            required: &[
                "type", "recipient", "title", "message", "status", "priority", "attempts", "jobId",
                "retryHistory", "deliveryHistory", "createdAt",
            ],
            indexes: vec![
                index(doc! { "recipient.userId": 1, "createdAt": -1, "_id": 1 }),
                index(doc! { "jobId": 1 }),
                index(doc! { "status": 1, "jobId": -1 }),
            ],
        })
        .collect();
    all.push(Wanted {
        name: names::JOBS,
        fields: doc! {
            "_id": { "bsonType": "long" },
            "channel": { "enum": names_of(Channel::ALL, |channel| channel.name()) },
            "state": { "enum": ["waiting", "delayed", "dead"] },
            "notificationId": text(), "userId": { "bsonType": "long" },
            "type": { "enum": names_of(NotificationType::ALL, |kind| kind.name()) },
            "priority": { "enum": names_of(Priority::ALL, |priority| priority.name()) },
            "attempt": { "bsonType": "long", "minimum": 1_i64 },
            "station": text(), "dueAt": date(), "isMissed": { "bsonType": "bool" },
            "recordId": text(), "createdAt": date(),
        },
        required: &[
            "channel",
            "state",
            "notificationId",
            "userId",
            "type",
            "priority",
            "attempt",
            "createdAt",
        ],
        indexes: vec![
            index(doc! { "state": 1, "_id": 1 }),
            index(doc! { "notificationId": 1 }),
            in_app_only(
                "inApp_by_user",
                doc! { "userId": 1, "createdAt": 1, "_id": 1 },
            ),
        ],
    });
    all.push(Wanted {
        name: names::ADMINISTRATORS,
        fields: doc! { "_id": { "bsonType": "long", "minimum": 1_i64 }, "since": date() },
        required: &["since"],
        indexes: Vec::new(),
    });
    all.push(Wanted {
        name: names::SETTINGS,
        fields: doc! { "_id": text(), "value": text() },
        required: &["value"],
        indexes: Vec::new(),
    });
    all.push(Wanted {
        name: names::COUNTERS,
        fields: doc! { "value": { "bsonType": "long", "minimum": 0_i64 } },
        required: &["value"],
        indexes: Vec::new(),
    });
    all
}

fn names_of<T: Copy>(all: &[T], name: fn(T) -> &'static str) -> Vec<Bson> {
    all.iter().map(|&item| Bson::from(name(item))).collect()
}

fn text() -> Document {
    doc! { "bsonType": "string" }
}

fn date() -> Document {
    doc! { "bsonType": "date" }
}

fn told() -> Document {
    doc! {
        "bsonType": "object",
        "required": ["status", "jobId", "notificationId", "attempts", "deliveryHistory"],
        "properties": {
            "status": { "enum": names_of(&TrackedStatus::ALL, |status| status.name()) },
            "jobId": { "bsonType": "long" },
            "notificationId": text(),
            "attempts": { "bsonType": "long" },
            "messageId": text(),
            "deliveryHistory": { "bsonType": "array" },
        },
    }
}

fn index(keys: Document) -> IndexModel {
    IndexModel::builder().keys(keys).build()
}

/// Of the in-app jobs alone.
fn in_app_only(name: &str, keys: Document) -> IndexModel {
    let options = IndexOptions::builder()
        .name(name.to_owned())
        .partial_filter_expression(doc! { "channel": Channel::InApp.name() });
    IndexModel::builder()
        .keys(keys)
        .options(options.build())
        .build()
}

fn unique(name: &str, keys: Document) -> IndexModel {
    let options = IndexOptions::builder().unique(true).name(name.to_owned());
    IndexModel::builder()
        .keys(keys)
        .options(options.build())
        .build()
}

/// Unique among the documents that have the field.
fn unique_where_there(name: &str, field: &str) -> IndexModel {
    let options = IndexOptions::builder()
        .unique(true)
        .name(name.to_owned())
        .partial_filter_expression(doc! { field: { "$type": "string" } });
    IndexModel::builder()
        .keys(doc! { field: 1 })
        .options(options.build())
        .build()
}
