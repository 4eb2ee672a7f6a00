//! `POST /api/purchases`: somebody bought something.
//!
//! Belongs here: its fields and answer. Does not belong here: who is told.

use super::{Made, created};
use crate::error::AppError;
use crate::middleware::body::Fields;
use crate::middleware::caller::Caller;
use crate::request::RequestContext;
use crate::router::ServerState;
use crate::security::random_hex;
use crate::store::records::NewPurchase;
use axum::extract::{Extension, State};
use serde::Serialize;

/// Longest name of an item, in characters.
const ITEM_CHARS_MAX: usize = 200;
/// Largest amount.
const AMOUNT_MAX: f64 = 1e9;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Created {
    purchase_id: String,
    request_id: String,
}

pub(crate) async fn create(
    State(server): State<ServerState>,
    Extension(context): Extension<RequestContext>,
    caller: Caller,
    fields: Fields,
) -> Made<Created> {
    let purchase = NewPurchase {
        id: random_hex::<16>(),
        user: caller.user()?,
        item: fields.text("item", ITEM_CHARS_MAX)?,
        amount: fields.positive("amount", AMOUNT_MAX)?,
        currency: currency(&fields)?,
    };
    server.app.service.check_room()?;
    let told = server
        .app
        .service
        .purchase(&context, purchase, server.app.now());
    let purchase_id = context.in_service(told).await?;
    Ok(created(Created {
        purchase_id,
        request_id: context.id().to_owned(),
    }))
}

fn currency(fields: &Fields) -> Result<String, AppError> {
    let text = fields.text("currency", 3)?.to_ascii_uppercase();
    if text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_uppercase()) {
        return Ok(text);
    }
    Err(AppError::field(
        "currency",
        "write a currency of three letters, such as EUR",
    ))
}
