//! Pages of lists: which one is asked for.
//!
//! Belongs here: `page` and `limit` of a query. Does not belong here: what is listed.

use crate::error::AppError;
use crate::store::notifications::Page;
use serde::{Deserialize, Serialize};

/// Items on a page where none is asked for.
const LIMIT_DEFAULT: u64 = 20;
/// Items on a page at most.
const LIMIT_MAX: u64 = 100;

/// `?page=2&limit=10`, as it was sent.
#[derive(Deserialize)]
pub(crate) struct AskedPage {
    page: Option<String>,
    limit: Option<String>,
}

/// A page that exists or could.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Paged {
    page: u64,
    limit: u64,
}

/// The same beside what is on it.
#[derive(Serialize)]
pub(crate) struct OfAll {
    #[serde(flatten)]
    paged: Paged,
    total: u64,
}

impl AskedPage {
    pub(super) fn read(&self) -> Result<Paged, AppError> {
        Ok(Paged {
            page: number("page", self.page.as_deref(), 1, u64::from(u32::MAX))?,
            limit: number("limit", self.limit.as_deref(), LIMIT_DEFAULT, LIMIT_MAX)?,
        })
    }
}

impl Paged {
    pub(super) const fn of(self, total: u64) -> OfAll {
        OfAll { paged: self, total }
    }

    /// The same in items.
    pub(super) const fn range(self) -> Page {
        Page {
            offset: (self.page - 1) * self.limit,
            limit: self.limit,
        }
    }
}

fn number(
    field: &'static str,
    text: Option<&str>,
    default: u64,
    max: u64,
) -> Result<u64, AppError> {
    let Some(text) = text else { return Ok(default) };
    let number = text
        .parse()
        .ok()
        .filter(|number| (1..=max).contains(number));
    number
        .ok_or_else(|| AppError::field(field, format!("{field} is a whole number from 1 to {max}")))
}
