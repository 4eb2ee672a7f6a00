//! An estimate as an answer prints it.
//!
//! Belongs here: its shape and its bounds. Does not belong here: intervals (interval).

use super::interval::Estimate;
use serde::Serialize;

/// An estimate; `ci` is its 95 % interval, absent where it can't be had.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Value {
    /// Point estimate.
    pub value: f64,
    /// Low and high end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ci: Option<[f64; 2]>,
}

impl Value {
    /// As a share: some of those counted after the warm-up came before it, and intervals are as wide.
    pub(super) fn share(self) -> Self {
        Self {
            value: self.value.clamp(0.0, 1.0),
            ci: self.ci.map(|ends| ends.map(|end| end.clamp(0.0, 1.0))),
        }
    }
}

impl From<Estimate> for Value {
    fn from(estimate: Estimate) -> Self {
        Self {
            value: estimate.value,
            ci: estimate.ci,
        }
    }
}
